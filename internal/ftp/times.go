package ftp

import (
	"strconv"
	"strings"
	"time"

	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// stamp reads YYYYMMDDHHMMSS as UTC, in seconds. Anything behind a point is
// dropped: no file system has to keep it (RFC 3659 §2.3).
func stamp(text string) (int64, bool) {
	whole, fraction, point := strings.Cut(text, ".")
	if point && strings.Trim(fraction, "0123456789") != "" {
		return 0, false
	}
	return stampOf(whole, "20060102150405")
}

// stampOf reads digits by a layout of them. Go's parser takes no 30 February,
// but a number of other widths, and no second 60, which a leap second has (RFC
// 3659 §2.3): to the kernel that is the next minute's first.
func stampOf(text, layout string) (int64, bool) {
	if len(text) != len(layout) || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	leap := int64(0)
	if minute, ok := strings.CutSuffix(text, "60"); ok && len(layout) == len("20060102150405") {
		text, leap = minute+"59", 1
	}
	t, err := time.Parse(layout, text)
	if err != nil {
		return 0, false
	}
	return t.Unix() + leap, true
}

// mfmt is MFMT (draft-somers-ftp-mfxx): the time of the last modification.
func mfmt(s *Session, arg string) {
	text, name, ok := strings.Cut(arg, " ")
	if !ok || name == "" {
		s.reply(501, textSyntax)
		return
	}
	at, ok := stamp(text)
	if !ok {
		s.reply(501, text, ": Invalid argument")
		return
	}
	path, ok := s.path(name)
	if !ok {
		return
	}
	if err := s.files.SetModified(path, at); err != nil {
		s.refuseFacts(name, err)
		return
	}
	whole, _, _ := strings.Cut(text, ".")
	s.reply(213, "Modify=", whole, "; ", name)
}

const textSyntax = "Invalid command syntax"

// refuseFacts answers a change of facts that failed.
func (s *Session) refuseFacts(name string, err error) {
	if vfs.Refused(err) == ipc.DeniedRule {
		s.reply(550, "Unable to handle command")
		return
	}
	s.refuse(550, name, err)
}

// mff is MFF (draft-somers-ftp-mfxx): facts of a file, all of them understood
// before the first is changed.
func mff(s *Session, arg string) {
	facts, name, ok := strings.Cut(arg, "; ")
	if !ok || name == "" {
		s.reply(501, textSyntax)
		return
	}
	path, ok := s.path(name)
	if !ok {
		return
	}
	var changes []func() error
	reply := ""
	for f := range strings.SplitSeq(facts, ";") {
		fact, value, ok := strings.Cut(f, "=")
		if !ok {
			s.reply(501, textSyntax)
			return
		}
		change, canonical, known := s.factChange(path, fact, value)
		if !known {
			s.reply(504, "Cannot modify fact '", fact, "'")
			return
		}
		if change == nil {
			s.reply(501, value, ": Invalid argument")
			return
		}
		changes = append(changes, change)
		reply += canonical + "=" + value + ";"
	}
	for _, change := range changes {
		if err := change(); err != nil {
			s.refuseFacts(name, err)
			return
		}
	}
	s.reply(213, reply, " ", name)
}

// factChange is the change that a fact asks for; nil where its value is nonsense.
func (s *Session) factChange(path, fact, value string) (change func() error, canonical string, known bool) {
	switch upper(fact) {
	case "MODIFY":
		canonical = "modify"
		if at, ok := stamp(value); ok {
			change = func() error { return s.files.SetModified(path, at) }
		}
	case "UNIX.GROUP":
		canonical = "UNIX.group"
		if n, ok := number(value); ok && n < 1<<32-1 {
			change = func() error { return s.files.SetGroup(path, strconv.FormatInt(n, 10)) }
		}
	case "UNIX.MODE":
		canonical = "UNIX.mode"
		if mode, ok := octal(value); ok {
			change = func() error { return s.files.SetMode(path, mode, "") }
		}
	default:
		return nil, "", false
	}
	return change, canonical, true
}

// octal reads the permission bits: one to four digits, or five with a leading
// zero.
func octal(text string) (uint32, bool) {
	if len(text) == 5 && text[0] == '0' {
		text = text[1:]
	}
	if len(text) == 0 || len(text) > 4 || strings.Trim(text, "01234567") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 8, 32)
	return uint32(n), err == nil
}

// utime is SITE UTIME, in one of two forms: "YYYYMMDDhhmm[ss] path" for both
// times, or "path access modify change UTC", whose change no system call sets.
// All times are UTC.
func utime(s *Session, arg string) {
	w := strings.Fields(arg)
	n := len(w)
	var name string
	var mtime, atime int64
	switch {
	case n >= 5 && upper(w[n-1]) == "UTC" && isDigits(w[n-2]):
		name = cutLast(cutLast(cutLast(cutLast(arg))))
		for i, to := range []*int64{&atime, &mtime, new(int64)} {
			t, ok := stamp(w[n-4+i])
			if !ok {
				s.reply(501, w[n-4+i], ": Invalid argument")
				return
			}
			*to = t
		}
	case n >= 2:
		var text string
		text, name, _ = strings.Cut(arg, " ")
		t, ok := stampOf(text, "200601021504")
		if !ok {
			t, ok = stamp(text)
		}
		if !ok {
			s.reply(501, text, ": Invalid argument")
			return
		}
		mtime, atime = t, t
	default:
		s.siteMisfit("UTIME", arg)
		return
	}
	s.siteChange("UTIME", name, func(path string) error { return s.files.SetTimes(path, mtime, atime) })
}

func isDigits(w string) bool { return w != "" && strings.Trim(w, "0123456789") == "" }

// avbl is AVBL (draft-peterson-streamlined-ftp-command-extensions): the bytes
// that may still be written.
func avbl(s *Session, arg string) {
	path, ok := s.path(arg)
	if !ok {
		return
	}
	free, _, err := s.files.Space(path)
	if err != nil {
		s.refuse(550, arg, err)
		return
	}
	s.reply(213, strconv.FormatUint(free, 10))
}
