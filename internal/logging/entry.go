package logging

import (
	"math"
	"net/netip"
	"strings"
	"time"

	"sallyport/ipc"
)

// Entry is what a line of a transfer log or of an extended log is written of:
// master's own facts about the session, and the session's record of one
// command. Rec is a claim, and most of it the client's own bytes.
type Entry struct {
	Time       time.Time // of the last reply, in the zone that lines are to show
	PID        int
	Peer       netip.AddrPort
	Local      netip.AddrPort
	Host       string // of the virtual host; "" for the default one
	ServerName string
	Class      string
	User       string // the account; "" before the login
	Group      string
	UID, GID   uint32
	Open       bool // logged in: UID and GID are the account's
	Anonymous  bool
	Root       string // the directory of the machine that the client sees as "/"
	In, Out    uint64 // bytes of the session so far, control connection included
	Reason     string // why the session ended, see [Disconnect]; "" before its end
	Rec        *ipc.Record
}

// Longest parts of a line in bytes, before escaping.
const (
	maxArgument = 1024
	maxLine     = 16 << 10
)

// hidden stands for an argument that is a secret.
const hidden = "(hidden)"

// argument is the command's argument, whatever the session says of a secret.
func (e *Entry) argument() string {
	switch e.Rec.Verb {
	case "PASS", "ACCT", "ADAT":
		if e.Rec.Arg != "" {
			return hidden
		}
	}
	return clip(e.Rec.Arg, maxArgument)
}

// HostPath is a path of the client's as the machine has it.
func (e *Entry) HostPath(path string) string {
	switch {
	case path == "" || e.Root == "" || e.Root == "/":
		return path
	case path == "/":
		return e.Root
	case path[0] != '/':
		return strings.TrimSuffix(e.Root, "/") + "/" + path
	}
	return strings.TrimSuffix(e.Root, "/") + path
}

// transfer tells whether the record is of data that moved: not of a deletion.
func (e *Entry) transfer() bool { return e.Rec.Transfer && e.Rec.Way != "d" }

// status is how a transfer ended. A transfer command that was refused has failed,
// though nothing has moved; ABOR is a cancellation, whatever it found.
func (e *Entry) status() string {
	if e.transfer() {
		return e.Rec.Status
	}
	switch e.Rec.Verb {
	case "ABOR":
		if e.Rec.Code/100 == 2 {
			return "cancelled"
		}
	case "RETR", "STOR", "APPE", "STOU", "LIST", "NLST", "MLSD":
		if e.Rec.Code >= 400 {
			return "failed"
		}
	}
	return ""
}

// failure is why a transfer failed.
func (e *Entry) failure() string {
	switch {
	case e.transfer():
		return e.Rec.Failure
	case e.status() == "failed":
		return e.Rec.Text
	}
	return ""
}

// file tells whether the record is of one file's transfer: not of a listing.
func (e *Entry) file() bool { return e.Rec.Transfer && e.Rec.Way != "" }

// Moved is what the data connection carried, or what a deletion removed.
func (e *Entry) Moved() int64 {
	if e.Rec.Way == "d" {
		return max(e.Rec.Size, 0)
	}
	sent := max(e.Rec.Sent, 0)
	return sent + min(max(e.Rec.Received, 0), math.MaxInt64-sent)
}

// lastElement is what follows the last slash of a path.
func lastElement(path string) string {
	p := strings.TrimRight(path, "/")
	if p == "" {
		return path
	}
	return p[strings.LastIndexByte(p, '/')+1:]
}
