package ftp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// factNames are the facts of MLST and MLSD in the order of FEAT.
var factNames = []struct {
	name string
	bit  uint32
}{
	{"modify", ipc.FactModify},
	{"perm", ipc.FactPerm},
	{"size", ipc.FactSize},
	{"type", ipc.FactType},
	{"unique", ipc.FactUnique},
	{"UNIX.group", ipc.FactUnixGroup},
	{"UNIX.groupname", ipc.FactUnixGroupName},
	{"UNIX.mode", ipc.FactUnixMode},
	{"UNIX.owner", ipc.FactUnixOwner},
	{"UNIX.ownername", ipc.FactUnixOwnerName},
}

// factList is the list of FEAT: a star behind the facts in use (RFC 3659 §7.8).
func factList(on uint32) string {
	var b strings.Builder
	for _, f := range factNames {
		b.WriteString(f.name)
		if on&f.bit != 0 {
			b.WriteByte('*')
		}
		b.WriteByte(';')
	}
	return b.String()
}

// optsMLST chooses facts (RFC 3659 §7.9). Unknown ones are dropped without a
// word, as is a last one that has no semicolon.
func (s *Session) optsMLST(arg string) {
	var on uint32
	reply := ""
	for rest := strings.TrimSpace(arg); ; {
		name, after, ok := strings.Cut(rest, ";")
		if !ok {
			break
		}
		rest = after
		for _, f := range factNames {
			if strings.EqualFold(f.name, name) && on&f.bit == 0 {
				on |= f.bit
				reply += f.name + ";"
			}
		}
	}
	s.facts = on
	if reply == "" {
		s.reply(200, "MLST OPTS")
		return
	}
	s.reply(200, "MLST OPTS ", reply)
}

// regular returns the facts of a plain file; what is not one is answered with
// words.
func (s *Session) regular(arg, otherwise string) (vfs.Info, bool) {
	path, ok := s.path(arg)
	if !ok {
		return vfs.Info{}, false
	}
	info, err := s.files.Stat(path, true)
	if err != nil {
		s.refuse(550, arg, err)
		return vfs.Info{}, false
	}
	if info.Mode&unix.S_IFMT != unix.S_IFREG {
		s.reply(550, arg, ": ", otherwise)
		return vfs.Info{}, false
	}
	return info, true
}

func mdtm(s *Session, arg string) {
	if info, ok := s.regular(arg, "not a plain file"); ok {
		s.reply(213, time.Unix(info.Mtime, 0).UTC().Format("20060102150405"))
	}
}

func size(s *Session, arg string) {
	if s.ascii {
		s.reply(550, "SIZE not allowed in ASCII mode")
		return
	}
	if info, ok := s.regular(arg, "not a regular file"); ok {
		s.reply(213, strconv.FormatInt(info.Size, 10))
	}
}

// mlst shows the facts of one object on the control connection, behind them its
// whole path (RFC 3659 §7.3.1).
func mlst(s *Session, arg string) {
	shown := arg
	if shown == "" {
		shown = s.cwd
	}
	path, err := vfs.Clean(s.cwd, arg)
	var facts []byte
	if err == nil {
		s.touched(path)
		facts, err = s.oneLine(ipc.List{Path: path, Shown: path, Form: ipc.FormMLST, Facts: s.facts})
	}
	switch {
	case err == nil:
		s.multi(250, "Start of list for "+shown, []string{string(facts)}, "End of list")
	case vfs.Refused(err) == ipc.DeniedRule:
		s.reply(550, "Unable to handle command")
	case vfs.Broken(err):
		s.broken("files", err)
	default:
		s.reply(550, "'", shown, "' cannot be listed")
	}
}

// oneLine returns the only line of a listing, without its end.
func (s *Session) oneLine(q ipc.List) ([]byte, error) {
	l, err := s.files.List(q)
	if err != nil {
		return nil, err
	}
	defer endList(l)
	b, err := nextLines(l)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return bytes.TrimSuffix(b, []byte("\r\n")), nil
}

// stat is STAT: of the session without an argument, also during a transfer;
// with one a listing on the control connection.
func stat(s *Session, arg string) {
	if arg == "" {
		s.status()
		return
	}
	letters, name := listOptions(arg)
	path, ok := s.path(name)
	if !ok {
		return
	}
	info, err := s.files.Stat(path, true)
	if errors.Is(err, unix.ENOENT) {
		info, err = s.files.Stat(path, false) // a dangling link has facts too
	}
	var l *vfs.Listing
	if err == nil {
		l, err = s.files.List(ipc.List{Path: path, Shown: name, Form: ipc.FormList, Options: letters})
	}
	if err != nil {
		s.refuse(450, name, err)
		return
	}
	code := 213
	if info.Mode&unix.S_IFMT == unix.S_IFDIR {
		code = 212
	}
	if name == "" {
		name = "."
	}
	s.coded(code, '-', "Status of ", name, ":")
	s.statLines(l)
	s.reply(code, "End of status")
}

// statLines sends a listing as the middle of a reply.
func (s *Session) statLines(l *vfs.Listing) {
	defer endList(l)
	for !s.over() {
		b, err := nextLines(l)
		if err == io.EOF {
			return
		}
		if err != nil {
			if vfs.Broken(err) {
				s.broken("files", err)
			}
			return
		}
		for line := range bytes.Lines(b) {
			s.middle(string(bytes.TrimSuffix(line, []byte("\r\n"))))
		}
	}
}

// status is what STAT tells about the session (RFC 959 §4.1.3).
func (s *Session) status() {
	kind := "BINARY"
	if s.ascii {
		kind = "ASCII"
	}
	ip := s.peer.Addr().WithZone("").String()
	s.multi(211, "Status of '"+s.view.ServerName+"'", []string{
		"Connected from " + ip + " (" + ip + ")",
		"Logged in as " + s.user,
		"TYPE: " + kind + ", STRUcture: File, Mode: " + s.modeName(),
		s.dataStatus(),
	}, "End of status")
}

func (s *Session) dataStatus() string {
	switch {
	case s.xfer.open:
		return fmt.Sprintf("%s %s: %d bytes transferred", s.xfer.verb, s.xfer.name, s.xfer.done)
	case s.data.mode == linkPassive:
		return "Passive mode, waiting for a transfer command"
	case s.data.mode == linkActive:
		return "Active mode, waiting for a transfer command"
	}
	return "No data connection"
}
