package ftp

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// model is what a client has to know of a session: a small, second account of
// the sequence rules, without any of the real one's machinery.
type model struct {
	named, user string
	renaming    bool
	ascii       bool
	rest        int
	onlyEPSV    bool
	passive     bool
	over        bool
}

const tenBytes = "0123456789"

// expect returns the beginning of the reply to a command and moves on.
func (m *model) expect(verb, arg string) string {
	if m.user == "" && !strings.Contains(" USER PASS QUIT NOOP TYPE XYZZY ", " "+verb+" ") {
		return "530 Please"
	}
	if m.renaming && !strings.Contains(" RNTO NOOP QUIT STAT XYZZY ", " "+verb+" ") {
		return "501 Bad sequence"
	}
	switch verb {
	case "XYZZY":
		return "500 XYZZY not understood"
	case "NOOP":
		return "200 NOOP"
	case "STAT":
		return "211-"
	case "QUIT":
		m.over = true
		return "221 "
	case "USER":
		return m.userReply(arg)
	case "PASS":
		return m.passReply(arg)
	case "TYPE":
		m.ascii = arg == "A"
		return "200 Type set to " + arg
	case "REST":
		n, err := strconv.Atoi(arg)
		switch {
		case err != nil || n < 0:
			return "501 REST requires"
		case m.ascii && n > 0:
			return "501 REST: Resuming"
		}
		m.rest = n
		return "350 Restarting at " + arg
	case "RNFR":
		if arg != "f" {
			return "550 "
		}
		m.renaming = true
		return "350 File"
	case "RNTO":
		if !m.renaming {
			return "503 "
		}
		m.renaming = false
		return "250 Rename"
	case "SIZE":
		if m.ascii {
			return "550 SIZE not allowed"
		}
		return "213 10"
	case "ABOR":
		return "226 Abort successful"
	case "PASV":
		if m.onlyEPSV {
			return "500 Illegal PASV"
		}
		m.passive = true
		return "227 "
	case "PORT":
		if m.onlyEPSV {
			return "500 Illegal PORT command, EPSV"
		}
		m.passive = false
		return "500 Illegal PORT command"
	case "EPSV":
		if arg == "ALL" {
			m.onlyEPSV = true
			return "200 EPSV ALL"
		}
		m.passive = true
		return "229 "
	case "RETR":
		return m.retrReply()
	}
	panic(verb)
}

func (m *model) userReply(name string) string {
	switch {
	case name == "":
		return "500 USER"
	case m.user == name:
		return "230 "
	case m.user != "":
		return "501 Reauth"
	}
	m.named = name
	return "331 "
}

func (m *model) passReply(secret string) string {
	name := m.named
	switch {
	case m.user != "":
		return "503 You are"
	case name == "":
		return "503 Login with"
	case secret == "":
		return "501 Login incorrect."
	}
	m.named = ""
	if secret != "secret" {
		return "530 Login incorrect."
	}
	m.user = name
	return "230 User " + name
}

// retrReply is of RETR f, with a client that connects where it can.
func (m *model) retrReply() string {
	off := m.rest
	m.rest = 0
	switch {
	case off > 0 && m.ascii:
		return "501 REST: Resuming"
	case off > len(tenBytes):
		return "554 "
	case !m.passive:
		return "425 Unable to build data connection: No PORT or PASV"
	}
	m.passive = false
	return "150 " + tenBytes[off:]
}

// TestSequencesFollowTheModel plays random sessions, each command answered
// before the next.
func TestSequencesFollowTheModel(t *testing.T) {
	command := rapid.SampledFrom([]string{
		"USER ann", "USER ann", "USER bob", "USER", "PASS secret", "PASS secret", "PASS wrong", "PASS", "XYZZY", "NOOP", "STAT", "ABOR",
		"TYPE A", "TYPE I", "TYPE I", "REST 0", "REST 4", "REST 10", "REST 11", "REST x", "RNFR f", "RNFR missing", "RNTO f", "RNTO f",
		"SIZE f", "PASV", "EPSV", "EPSV ALL", "PORT 10,0,0,1,20,20", "RETR f", "RETR f", "QUIT",
	})
	rapid.Check(t, func(t *rapid.T) {
		w := begin(t, ordinary())
		w.put("f", tenBytes)
		m := &model{}
		if rapid.Bool().Draw(t, "logged in") {
			w.login()
			m.user = "ann"
		}
		var address string
		for !m.over {
			c := command.Draw(t, "command")
			if n := rapid.IntRange(0, 30).Draw(t, "enough"); n == 0 {
				c = "QUIT"
			}
			verb, arg, _ := strings.Cut(c, " ")
			want := m.expect(verb, arg)
			if data, ok := strings.CutPrefix(want, "150 "); ok {
				w.retrieve(c, address, data)
				continue
			}
			got := w.cmd("%s", c)
			if !strings.HasPrefix(got, want) {
				t.Fatalf("%s: %q, the model says %q", c, got, want)
			}
			if a := announced(got); a != "" {
				address = a
			}
		}
		w.ended()
	})
}

// announced returns the port of a 227 or 229 reply.
func announced(reply string) string {
	var a, b, p, q int
	if n, _ := fmt.Sscanf(reply, "227 Entering Passive Mode (127,0,%d,%d,%d,%d)", &a, &b, &p, &q); n == 4 {
		return strconv.Itoa(p<<8 | q)
	}
	if n, _ := fmt.Sscanf(reply, "229 Entering Extended Passive Mode (|||%d|)", &p); n == 1 {
		return strconv.Itoa(p)
	}
	return ""
}

// retrieve runs RETR over a connection to the announced port.
func (w *world) retrieve(command, port, want string) {
	w.t.Helper()
	c := dial(w.t, "127.0.0.1:"+port)
	defer c.Close()
	w.want("150 ", command)
	b, err := io.ReadAll(c)
	must(w.t, err)
	if string(b) != want {
		w.t.Fatalf("%s: %q, want %q", command, b, want)
	}
	w.next("226 Transfer complete")
}

// TestTransfersEndInEveryOrder aborts, resets, closes, asks and quits during
// transfers, in every order, and holds that the session stays in step: replies
// come in order, none twice, none is missing.
func TestTransfersEndInEveryOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := begin(t, ordinary())
		w.login()
		w.sparse("big", plenty)
		for range rapid.IntRange(1, 4).Draw(t, "transfers") {
			if !w.disturb(t) {
				w.ended()
				return
			}
		}
		w.want("200", "NOOP")
	})
}

// disturb runs one transfer with disturbances; false: the session is over.
func (w *world) disturb(t *rapid.T) bool {
	command := rapid.SampledFrom([]string{"RETR big", "STOR up", "APPE up", "STOU"}).Draw(t, "transfer")
	data := w.passive()
	w.want("150", command)
	var wait []string // replies that come behind the transfer's
	aborted, quit := false, false
	for !aborted {
		switch what := rapid.SampledFrom([]string{"ABOR", "abor synch", "reset", "close", "STAT", "NOOP", "RETR", "QUIT", "some data"}).Draw(t, "disturbance"); what {
		case "ABOR":
			w.send("ABOR\r\n")
			wait, aborted = append(wait, "226 Abort"), true
		case "abor synch":
			w.urgent()
			w.send("ABOR\r\n")
			wait, aborted = append(wait, "226 Abort"), true
		case "STAT":
			w.send("STAT\r\n")
			if len(wait) == 0 {
				w.next("211-")
			} else {
				wait = append(wait, "211-")
			}
		case "NOOP":
			w.send("NOOP\r\n")
			wait = append(wait, "200 NOOP")
		case "RETR": // a second transfer waits; what follows is not for the first
			w.send("RETR big\r\n")
			wait = append(wait, "425 ")
			w.reset(data)
			aborted = true
		case "QUIT":
			w.send("QUIT\r\n")
			if len(wait) > 0 {
				w.reset(data)
			}
			wait, aborted, quit = append(wait, "221"), true, true
		case "reset":
			w.reset(data)
			aborted = true
		case "close":
			data.Close()
			if !strings.HasPrefix(command, "RETR") {
				w.next("226 Transfer complete")
				return w.expectAll(wait, false)
			}
			aborted = true
		case "some data":
			if strings.HasPrefix(command, "RETR") {
				_, _ = io.ReadFull(data, make([]byte, 100000))
			} else {
				_, _ = data.Write(make([]byte, 100000))
			}
		}
	}
	w.next("426 Transfer aborted")
	return w.expectAll(wait, quit)
}

func (w *world) expectAll(replies []string, quit bool) bool {
	w.t.Helper()
	for _, r := range replies {
		w.next(r)
	}
	return !quit
}
