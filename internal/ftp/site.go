package ftp

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
)

// siteCommand is a form of SITE.
type siteCommand struct {
	verb   string
	run    func(s *Session, arg string)
	syntax string
	slow   bool // may take long: an ABOR behind it is its own
}

// siteCommands is the closed list, in the order of SITE HELP. All but HELP need
// a login.
func siteCommands() []siteCommand {
	return []siteCommand{
		{verb: "HELP", run: siteHelp, syntax: "[<sp> command]"},
		{verb: "CHGRP", run: chgrp, syntax: "<sp> group <sp> pathname"},
		{verb: "CHMOD", run: chmod, syntax: "<sp> mode <sp> pathname"},
		{verb: "COPY", run: siteCopy, slow: true, syntax: "<sp> source <sp> destination"},
		{verb: "CPFR", run: cpfr, syntax: "<sp> pathname"},
		{verb: "CPTO", run: cpto, slow: true, syntax: "<sp> pathname"},
		{verb: "MKDIR", run: siteMkdir, syntax: "<sp> pathname"},
		{verb: "RMDIR", run: siteRmdir, slow: true, syntax: "<sp> pathname"},
		{verb: "SYMLINK", run: symlink, syntax: "<sp> target <sp> link"},
		{verb: "UTIME", run: utime, syntax: "<sp> YYYYMMDDhhmm[ss] <sp> pathname"},
	}
}

// findSite returns the form of SITE that has a name, nil if none has.
func findSite(verb string) *siteCommand {
	for _, c := range siteCommands() {
		if c.verb == verb {
			return &c
		}
	}
	return nil
}

// splitSite cuts SITE's argument into the form's name and its argument, behind
// exactly one blank.
func splitSite(arg string) (verb, rest string) {
	verb, rest, _ = strings.Cut(strings.TrimLeft(arg, " "), " ")
	return upper(verb), rest
}

// siteTakesTime tells whether a SITE line that waits is one whose work can be
// aborted.
func siteTakesTime(arg []byte) bool {
	verb, _ := splitSite(string(arg[:min(len(arg), 16)]))
	c := findSite(verb)
	return c != nil && c.slow
}

// site takes HELP from everybody; other forms need a login.
func site(s *Session, arg string) {
	verb, rest := splitSite(arg)
	c := findSite(verb)
	switch {
	case verb == "HELP":
		s.rec.verb, s.rec.arg = "SITE HELP", rest
		siteHelp(s, rest)
	case s.user == "":
		s.reply(530, "Please login with USER and PASS")
	case verb == "":
		s.reply(500, "'SITE' requires parameters")
	case c == nil:
		s.reply(500, "'SITE ", verb, "' not understood")
	default:
		s.rec.verb, s.rec.arg = "SITE "+verb, rest
		c.run(s, rest)
	}
}

// siteHelp is SITE HELP and HELP SITE.
func siteHelp(s *Session, arg string) {
	if verb := upper(strings.TrimSpace(arg)); verb != "" {
		if c := findSite(verb); c != nil {
			s.reply(214, "Syntax: SITE ", verb, " ", c.syntax)
			return
		}
		s.reply(502, "Unknown command 'SITE ", verb, "'")
		return
	}
	var rows []string
	for _, c := range siteCommands() {
		rows = append(rows, c.verb)
	}
	s.multi(214, "The following SITE commands are recognized (* =>'s unimplemented)", rows, "Direct comments to "+s.admin())
}

// siteMisfit answers a form with too few words, or too many.
func (s *Session) siteMisfit(verb, arg string) {
	s.reply(500, "'", strings.TrimRight("SITE "+verb+" "+arg, " "), "' not understood")
}

// siteChange runs a form that changes one path.
func (s *Session) siteChange(verb, name string, op func(path string) error) {
	path, ok := s.path(name)
	if !ok {
		return
	}
	if err := op(path); err != nil {
		s.refuse(550, name, err)
		return
	}
	s.reply(200, "SITE ", verb, " command successful")
}

// twoParts cuts "first rest" where both are there; rest may hold blanks.
func twoParts(arg string) (first, rest string, ok bool) {
	first, rest, _ = strings.Cut(arg, " ")
	return first, rest, first != "" && rest != ""
}

// chmod is SITE CHMOD, by octal digits or symbols.
func chmod(s *Session, arg string) {
	text, name, ok := twoParts(arg)
	if !ok {
		s.siteMisfit("CHMOD", arg)
		return
	}
	mode, digits := octal(text)
	symbolic := ""
	if !digits {
		if symbolic = text; !isSymbolic(text) {
			s.reply(550, "'", text, "': invalid mode")
			return
		}
	}
	s.siteChange("CHMOD", name, func(path string) error { return s.files.SetMode(path, mode, symbolic) })
}

// maxSymbolic is the longest symbolic mode in bytes; ipc.SetMode has no room for
// more.
const maxSymbolic = 64

// isSymbolic tells whether text is "[ugoa]*[+-=][rwxstX]*", several behind one
// another or with commas between them, as chmod(1) has it.
func isSymbolic(text string) bool {
	if len(text) > maxSymbolic {
		return false
	}
	for clause := range strings.SplitSeq(text, ",") {
		rest := strings.TrimLeft(clause, "ugoa")
		if rest == "" {
			return false
		}
		for rest != "" {
			if !strings.ContainsRune("+-=", rune(rest[0])) {
				return false
			}
			rest = strings.TrimLeft(rest[1:], "rwxstX")
		}
	}
	return true
}

// chgrp is SITE CHGRP, by name or number.
func chgrp(s *Session, arg string) {
	group, name, ok := twoParts(arg)
	if !ok || len(group) > 256 {
		s.siteMisfit("CHGRP", arg)
		return
	}
	s.siteChange("CHGRP", name, func(path string) error { return s.files.SetGroup(path, group) })
}

// siteMkdir is SITE MKDIR: with the directories above it that are missing.
func siteMkdir(s *Session, arg string) {
	if arg == "" {
		s.siteMisfit("MKDIR", arg)
		return
	}
	s.siteChange("MKDIR", arg, s.files.MakeTree)
}

// symlink is SITE SYMLINK. The target stays as the client wrote it and resolves
// beneath the root, whoever follows the link through this service.
func symlink(s *Session, arg string) {
	w := strings.Fields(arg)
	if len(w) != 2 || len(w[0]) > vfs.MaxPath {
		s.siteMisfit("SYMLINK", arg)
		return
	}
	s.siteChange("SYMLINK", w[1], func(path string) error { return s.files.Symlink(w[0], path) })
}

// siteRmdir is SITE RMDIR: with all that is in it.
func siteRmdir(s *Session, arg string) {
	if arg == "" {
		s.siteMisfit("RMDIR", arg)
		return
	}
	path, ok := s.path(arg)
	if !ok {
		return
	}
	done, err := s.piecewise("SITE RMDIR", arg, func() error { return s.files.RemoveTree(path) })
	switch {
	case !done:
	case err != nil:
		s.refuse(550, arg, err)
	default:
		s.reply(200, "SITE RMDIR command successful")
	}
}

// piecewise calls the files process until it has done all of a long work, with
// the control line looked at in between. Where the client has aborted it, or the
// session is over, done is false and what there is to say is said.
func (s *Session) piecewise(verb, name string, call func() error) (done bool, err error) {
	s.beginAlone(verb, name)
	for {
		err = call()
		if !errors.Is(err, unix.EAGAIN) || vfs.Broken(err) {
			break
		}
		s.page.Touch()
		if e := s.step(-1, 0, false); e != nil {
			_, _ = s.files.Stat("/", false) // any other call gives the work up
			return !s.endAlone(e), nil
		}
	}
	return !s.endAlone(nil), err
}
