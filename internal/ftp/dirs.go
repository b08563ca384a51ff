package ftp

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// refuse answers an error of the files process about what the client named, or
// ends the session where the process is gone.
func (s *Session) refuse(code int, name string, err error) {
	if vfs.Broken(err) {
		s.broken("files", err)
		return
	}
	if name == "" { // a command without an argument means the working directory
		name = s.cwd
	}
	s.reply(code, name, ": ", vfs.Text(err))
}

// path resolves what the client typed; where that cannot be a path the reply
// is given and ok false.
func (s *Session) path(arg string) (path string, ok bool) {
	path, err := vfs.Clean(s.cwd, arg)
	if err != nil {
		s.refuse(550, arg, err)
		return "", false
	}
	s.touched(path)
	return path, true
}

// clean is path without a word.
func (s *Session) clean(name string) (path string, ok bool) {
	path, err := vfs.Clean(s.cwd, name)
	return path, err == nil
}

// atHome is the path of "~" and of what begins with "~/".
func (s *Session) atHome(name string) (path string, ok bool) {
	if name != "~" && !strings.HasPrefix(name, "~/") {
		return "", false
	}
	path, err := vfs.Clean("/", s.home+name[1:])
	return path, err == nil
}

func pwd(s *Session, _ string) {
	s.reply(257, `"`, quoted(s.cwd), `" is the current directory`)
}

func cwd(s *Session, arg string)  { s.changeDir("CWD", arg) }
func xcwd(s *Session, arg string) { s.changeDir("XCWD", arg) }
func cdup(s *Session, _ string)   { s.changeDir("CDUP", "..") }
func xcup(s *Session, _ string)   { s.changeDir("XCUP", "..") }

func (s *Session) changeDir(verb, arg string) {
	path, ok := s.path(arg)
	if !ok {
		return
	}
	dir, err := s.files.ChangeDir(path)
	if errors.Is(err, unix.ENOENT) {
		if path, ok := s.atHome(arg); ok {
			dir, err = s.files.ChangeDir(path)
			if err != nil {
				s.refuse(550, arg, err)
				return
			}
			s.enterDir(verb, dir)
			return
		}
	}
	if err != nil {
		s.refuse(550, arg, err)
		return
	}
	s.enterDir(verb, dir)
}

func (s *Session) enterDir(verb, dir string) {
	s.cwd = dir
	s.page.SetDir(dir)
	s.showDir()
	s.reply(250, verb, " command successful")
}

func mkd(s *Session, arg string) {
	path, ok := s.path(arg)
	if !ok {
		return
	}
	if err := s.files.Mkdir(path); err != nil {
		s.refuse(550, arg, err)
		return
	}
	s.reply(257, `"`, quoted(path), `" - Directory successfully created`)
}

func rmd(s *Session, arg string)  { s.change("RMD", arg, s.rmdir) }
func xrmd(s *Session, arg string) { s.change("XRMD", arg, s.rmdir) }
func dele(s *Session, arg string) { s.change("DELE", arg, s.remove) }

func (s *Session) rmdir(path string) error { return s.files.Rmdir(path) }

// remove removes a file; the transfer log shows how long it was.
func (s *Session) remove(path string) error {
	var size int64
	if s.wantsTransfers() {
		if info, err := s.files.Stat(path, false); err == nil {
			size = info.Size
		}
	}
	err := s.files.Remove(path)
	if err == nil && s.rec.on {
		s.moves("d", size)
	}
	return err
}

// change runs an operation on one path whose success has nothing to tell.
func (s *Session) change(verb, arg string, op func(path string) error) {
	path, ok := s.path(arg)
	if !ok {
		return
	}
	if err := op(path); err != nil {
		s.refuse(550, arg, err)
		return
	}
	s.reply(250, verb, " command successful")
}

// rnfr remembers what to rename. From here on only RNTO and a few harmless
// commands are taken; see inRename.
func rnfr(s *Session, arg string) {
	path, ok := s.path(arg)
	if !ok {
		return
	}
	if _, err := s.files.Stat(path, false); err != nil {
		s.refuse(550, arg, err)
		return
	}
	s.source = path
	s.reply(350, "File or directory exists, ready for destination name")
}

func rnto(s *Session, arg string) {
	if s.source == "" {
		s.reply(503, "Bad sequence of commands")
		return
	}
	from := s.source
	s.source = ""
	s.rec.from = from
	path, ok := s.path(arg)
	if !ok {
		return
	}
	err := s.files.Rename(from, path)
	switch {
	case err == nil:
		s.reply(250, "Rename successful")
	case vfs.Refused(err) == ipc.DeniedOverwrite:
		s.reply(550, arg, ": Rename permission denied")
	case errors.Is(err, unix.ENOSPC):
		s.reply(550, "Rename ", arg, ": ", vfs.Text(err))
	default:
		s.refuse(550, arg, err)
	}
}
