package ftp

import (
	"errors"
	"io"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
	"sallyport/shm"
)

// listLetters are the letters of LIST's and NLST's options; others are ignored.
const listLetters = "1AaBCcdFhLlnRrStUu"

// listOptions takes the words that begin with "-" off the front of an argument.
// Of a letter that comes twice the last place counts.
func listOptions(arg string) (letters, name string) {
	for {
		rest := strings.TrimLeft(arg, " ")
		if !strings.HasPrefix(rest, "-") {
			return letters, arg
		}
		word, after, _ := strings.Cut(rest, " ")
		for i := 1; i < len(word); i++ {
			l := word[i : i+1]
			if strings.Contains(listLetters, l) {
				letters = strings.ReplaceAll(letters, l, "") + l
			}
		}
		arg = after
	}
}

// listed is the path that LIST and NLST name, and how its lines show it. "~" is the
// home, as for CWD, unless there is something of that name.
func (s *Session) listed(name string) (path, shown string, ok bool) {
	path, ok = s.path(name)
	home, tilde := s.atHome(name)
	if !ok || !tilde {
		return path, name, ok
	}
	if literal, ok := s.clean("~"); !ok {
		return path, name, true
	} else if _, err := s.files.Stat(literal, false); !errors.Is(err, unix.ENOENT) {
		return path, name, true
	}
	if shown = strings.TrimSuffix(s.home, "/") + name[1:]; shown == "" {
		shown = "/"
	}
	return home, shown, true
}

// list is LIST: the data connection comes first, as clients know it, and what
// is wrong with the name is told afterwards.
func list(s *Session, arg string) {
	letters, name := listOptions(arg)
	path, shown, ok := s.listed(name)
	if !ok {
		return
	}
	l, err := s.files.List(ipc.List{Path: path, Shown: shown, Form: ipc.FormList, Options: letters})
	if vfs.Broken(err) {
		s.broken("files", err)
		return
	}
	s.transferList("LIST", name, "Opening "+s.mode()+" mode data connection for file list", l, err)
}

// nlst is NLST: what is not there is told before any data connection.
func nlst(s *Session, arg string) {
	letters, name := listOptions(arg)
	path, shown, ok := s.listed(name)
	if !ok {
		return
	}
	l, err := s.files.List(ipc.List{Path: path, Shown: shown, Form: ipc.FormNames, Options: letters})
	switch {
	case errors.Is(err, unix.ENOENT) && strings.ContainsAny(name, "*?[{"):
		s.reply(450, "No files found")
	case err != nil && !errors.Is(err, unix.E2BIG):
		s.refuse(450, name, err)
	default:
		s.transferList("NLST", name, "Opening "+s.mode()+" mode data connection for file list", l, err)
	}
}

// mlsd is MLSD (RFC 3659 §7).
func mlsd(s *Session, arg string) {
	path, ok := s.path(arg)
	if !ok {
		return
	}
	shown := arg
	if shown == "" {
		shown = s.cwd
	}
	l, err := s.files.List(ipc.List{Path: path, Shown: shown, Form: ipc.FormMLSD, Facts: s.facts})
	switch {
	case errors.Is(err, unix.ENOTDIR):
		s.reply(550, "'", shown, "' is not a directory")
	case vfs.Refused(err) == ipc.DeniedRule:
		s.reply(550, "Unable to handle command")
	case err != nil:
		s.refuse(550, shown, err)
	default:
		s.transferList("MLSD", shown, "Opening "+s.mode()+" mode data connection for MLSD", l, nil)
	}
}

// transferList sends a listing, or, where its first batch already failed, tells
// so when the data connection is up.
func (s *Session) transferList(verb, name, opening string, l *vfs.Listing, err error) {
	if l != nil {
		defer endList(l)
	}
	s.begin(verb, name)
	raw, ok := s.connect()
	if !ok {
		return
	}
	s.began(raw, "", 0, 0, false)
	s.reply(150, opening)
	s.flush()
	s.page.SetTransfer(shm.StateListing, -1)
	c, failed := s.protect(raw)
	switch {
	case failed != nil:
		s.finish(c, failed, true)
		return
	case err == nil:
		err = s.sendListing(c, l)
	}
	s.finishList(c, name, err)
}

func (s *Session) sendListing(c conn, l *vfs.Listing) error {
	out := s.outlet(c)
	for {
		b, err := nextLines(l)
		if err == io.EOF {
			return out.end()
		}
		if err != nil {
			return err
		}
		if err := out.write(b); err != nil {
			return err
		}
	}
}

// finishList is finish where the files process may have had a word to say.
func (s *Session) finishList(c conn, name string, err error) {
	if err == nil || vfs.Broken(err) { // as the data connection's errors are, too
		s.finish(c, err, true)
		if errors.Is(err, errFilesGone) {
			s.broken("files", err)
		}
		return
	}
	s.page.EndTransfer(false)
	s.xfer.open = false
	s.ended(err)
	c.shut()
	c.close(false)
	if errors.Is(err, unix.E2BIG) {
		s.multi(226, "Out of memory during globbing of "+name, nil, "Transfer complete")
		return
	}
	s.refuse(450, name, err)
}

// errFilesGone: the files process died in the middle of a listing, or no longer
// answers.
var errFilesGone = errors.New("files process gone")

// nextLines is l.Next, which ends by io.EOF, with the end of the channel told
// from the end of the listing: only after the former there is something left to
// close.
func nextLines(l *vfs.Listing) ([]byte, error) {
	b, err := l.Next()
	if err == io.EOF && l.Close() != nil || err != nil && err != io.EOF && vfs.Broken(err) {
		err = errFilesGone
	}
	return b, err
}

// endList ends a listing in hand; where that fails the next call tells.
func endList(l *vfs.Listing) { _ = l.Close() }
