package ftp

import (
	"strings"

	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// Copies on the server (SITE CPFR and CPTO, SITE COPY). The files process makes
// them, under the rules of RETR for the source and of STOR for the target.

// cpfr remembers what to copy.
func cpfr(s *Session, arg string) {
	if arg == "" {
		s.siteMisfit("CPFR", arg)
		return
	}
	s.copyFrom = ""
	path, ok := s.path(arg)
	if !ok {
		return
	}
	if _, err := s.files.Stat(path, true); err != nil {
		s.refuse(550, arg, err)
		return
	}
	s.copyFrom = path
	s.reply(350, "File or directory exists, ready for destination name")
}

// cpto copies it.
func cpto(s *Session, arg string) {
	from := s.copyFrom
	s.copyFrom = ""
	switch {
	case arg == "":
		s.siteMisfit("CPTO", arg)
	case from == "":
		s.reply(503, "Bad sequence of commands")
	case s.copyTo(from, arg, "SITE CPTO"):
		s.reply(250, "Copy successful")
	}
}

// siteCopy is both in one, for names without blanks.
func siteCopy(s *Session, arg string) {
	w := strings.Fields(arg)
	if len(w) != 2 {
		s.siteMisfit("COPY", arg)
		return
	}
	from, ok := s.path(w[0])
	if !ok {
		return
	}
	if _, err := s.files.Stat(from, true); err != nil {
		s.refuse(550, w[0], err)
		return
	}
	if s.copyTo(from, w[1], "SITE COPY") {
		s.reply(200, "SITE COPY command successful")
	}
}

// copyTo copies one file; where it cannot, it has answered.
func (s *Session) copyTo(from, arg, verb string) bool {
	to, ok := s.path(arg)
	if !ok {
		return false
	}
	if s.rec.on {
		s.rec.from = from
	}
	done, err := s.piecewise(verb, arg, func() error { return s.files.Copy(from, to) })
	if !done {
		return false
	}
	if err != nil {
		switch vfs.Refused(err) {
		case ipc.DeniedSize:
			s.refuse(552, arg, err)
		default:
			s.refuse(550, arg, err)
		}
		return false
	}
	if s.wantsTransfers() {
		if info, err := s.files.Stat(to, true); err == nil {
			s.moves("i", info.Size)
		}
	}
	return true
}
