package server

import (
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// setMode changes the permissions of a regular file or directory; a final link
// is followed, within the root.
//
// Set-id bits may stay and go, but a file never gets one here: whoever holds a
// password for files alone must not be able to leave a program that runs as
// the user.
func (s *Server) setMode(r *ipc.SetMode) ipc.PathReply {
	return pathReply(r.Path, func(clean string) error {
		fd, st, err := s.changeable(clean)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		mode := r.Mode
		if r.Symbolic != "" {
			mask := s.rules.Umask
			if isDir(&st) {
				mask = s.rules.DirUmask
			}
			if mode, err = symbolicMode(r.Symbolic, st.Mode, isDir(&st), mask); err != nil {
				return err
			}
		}
		never := uint32(unix.S_ISUID)
		if !isDir(&st) {
			never |= unix.S_ISGID
		}
		switch {
		case mode&^0o7777 != 0:
			return unix.EINVAL
		case mode&never&^st.Mode != 0:
			return unix.EPERM
		}
		err = unix.Fchmodat(fd, "", mode, unix.AT_EMPTY_PATH)
		if err == unix.EOPNOTSUPP { // Linux before 6.6
			return s.chmodOpened(clean, &st, mode)
		}
		return err
	})
}

// changeable opens a regular file or directory for a change of its facts, with
// O_PATH: no right on the file itself is needed, and nothing that happens to its
// name matters any more.
func (s *Server) changeable(clean string) (int, unix.Stat_t, error) {
	fd, st, err := s.tree.handle(clean, true)
	if err == nil && !isRegular(&st) && !isDir(&st) {
		unix.Close(fd)
		return -1, st, unix.EPERM
	}
	return fd, st, err
}

// chmodOpened is for kernels that cannot change the mode by an O_PATH
// descriptor: it needs the right to read or to write the file. The descriptor is
// held against the facts that the decision was made on.
func (s *Server) chmodOpened(clean string, st *unix.Stat_t, mode uint32) error {
	fd, err := s.tree.open(clean, unix.O_RDONLY|transferFlags)
	if err == unix.EACCES && isRegular(st) {
		fd, err = s.tree.open(clean, unix.O_WRONLY|transferFlags)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var now unix.Stat_t
	if err := s.tree.facts(fd, &now); err != nil {
		return err
	}
	if !sameFile(st, &now) || st.Mode != now.Mode {
		return unix.EAGAIN
	}
	return unix.Fchmod(fd, mode)
}

// The bits that "u", "g", "o" and "a" stand for.
const (
	bitsUser  = unix.S_ISUID | unix.S_IRWXU
	bitsGroup = unix.S_ISGID | unix.S_IRWXG
	bitsOther = unix.S_ISVTX | unix.S_IRWXO
	bitsAll   = bitsUser | bitsGroup | bitsOther
)

// symbolicMode applies a mode as chmod(1) has it, such as "u+rwX,g=u,o-w", to
// the bits of old. Without "ugoa" in front the umask's bits stay out of what is
// granted. A directory keeps set-id bits that "=" does not name, as with GNU.
func symbolicMode(text string, old uint32, dir bool, umask uint32) (uint32, error) {
	mode := old & bitsAll
	for clause := range strings.SplitSeq(text, ",") {
		n := strings.IndexAny(clause, "+-=")
		if n < 0 {
			return 0, unix.EINVAL
		}
		who, ok := affected(clause[:n])
		if !ok {
			return 0, unix.EINVAL
		}
		mask := uint32(0)
		if who == 0 {
			who, mask = bitsAll, umask&0o777
		}
		for rest := clause[n:]; rest != ""; {
			op := rest[0]
			end := 1 + len(rest[1:])
			if i := strings.IndexAny(rest[1:], "+-="); i >= 0 {
				end = 1 + i
			}
			bits, ok := permissions(rest[1:end], mode, dir)
			if !ok {
				return 0, unix.EINVAL
			}
			rest = rest[end:]
			granted := bits & who &^ mask
			switch op {
			case '+':
				mode |= granted
			case '-':
				mode &^= granted
			default:
				clear := who
				if dir {
					clear &^= (unix.S_ISUID | unix.S_ISGID) &^ bits
				}
				mode = mode&^clear | granted
			}
		}
	}
	return mode, nil
}

// affected returns the bits of the letters "ugoa"; 0 where there are none.
func affected(who string) (bits uint32, ok bool) {
	for i := range len(who) {
		switch who[i] {
		case 'u':
			bits |= bitsUser
		case 'g':
			bits |= bitsGroup
		case 'o':
			bits |= bitsOther
		case 'a':
			bits |= bitsAll
		default:
			return 0, false
		}
	}
	return bits, true
}

// permissions returns the bits, for everybody, of the letters "rwxXst", or of
// one of "ugo": what that class has in mode.
func permissions(letters string, mode uint32, dir bool) (bits uint32, ok bool) {
	if len(letters) == 1 {
		if i := strings.IndexByte("ogu", letters[0]); i >= 0 {
			return mode >> (3 * i) & 7 * 0o111, true
		}
	}
	for i := range len(letters) {
		switch letters[i] {
		case 'r':
			bits |= 0o444
		case 'w':
			bits |= 0o222
		case 'x':
			bits |= 0o111
		case 'X':
			if dir || mode&0o111 != 0 {
				bits |= 0o111
			}
		case 's':
			bits |= unix.S_ISUID | unix.S_ISGID
		case 't':
			bits |= unix.S_ISVTX
		default:
			return 0, false
		}
	}
	return bits, true
}
