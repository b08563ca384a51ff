package ftp

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// Digests of files: HASH (draft-bryan-ftp-hash) and the older XCRC, XMD5, XSHA
// and MD5. The files process opens the file, the session computes: bounded by
// digest.max_size, and with its ears open, like a transfer.

// algorithms are those there are, in the order of FEAT, and the verb that stands
// for each there.
var algorithms = []struct {
	name string
	make func() hash.Hash
}{
	{"CRC32", func() hash.Hash { return crc32.NewIEEE() }},
	{"MD5", md5.New},
	{"SHA-1", sha1.New},
	{"SHA-256", sha256.New},
	{"SHA-512", sha512.New},
}

// digestOn tells whether an algorithm is configured.
func digestOn(name string) func(v *policy.Session) bool {
	return func(v *policy.Session) bool { return v.Digest.Engine && slices.Contains(v.Digest.Algorithms, name) }
}

func hashOn(v *policy.Session) bool { return v.Digest.Engine && len(v.Digest.Algorithms) > 0 }

// firstAlgorithm is what HASH computes before OPTS HASH has chosen.
func (s *Session) firstAlgorithm() string {
	d := &s.view.Digest
	if slices.Contains(d.Algorithms, d.Default) || len(d.Algorithms) == 0 {
		return d.Default
	}
	return d.Algorithms[0]
}

// hashFeature is the line of FEAT: the algorithms, a star behind the one in use.
func (s *Session) hashFeature() string {
	var b strings.Builder
	b.WriteString("HASH ")
	for _, a := range algorithms {
		if digestOn(a.name)(&s.view) {
			b.WriteString(a.name)
			if a.name == s.algorithm {
				b.WriteByte('*')
			}
			b.WriteByte(';')
		}
	}
	return b.String()
}

// optsHash shows or chooses what HASH computes.
func (s *Session) optsHash(arg string) {
	name := upper(strings.TrimSpace(arg))
	switch {
	case !hashOn(&s.view):
		s.reply(500, "OPTS HASH not understood")
	case name == "":
		s.reply(200, s.algorithm)
	case !digestOn(name)(&s.view):
		s.reply(501, name, ": Unsupported algorithm")
	default:
		s.algorithm = name
		s.reply(200, name)
	}
}

// hashCommand is HASH, of the whole file or of what REST or RANG said.
func hashCommand(s *Session, arg string) {
	p := s.takeSpan()
	end := int64(-1)
	if p.ranged {
		end = p.last + 1
	}
	sum, size, ok := s.digest("HASH", s.algorithm, arg, p.first, end, hashCode)
	if !ok {
		return
	}
	s.reply(213, s.algorithm, " ", strconv.FormatInt(p.first, 10), "-", strconv.FormatInt(size, 10), " ", hex.EncodeToString(sum), " ", arg)
}

// hashCode is HASH's reply code for an error.
func hashCode(err error) int {
	switch vfs.Refused(err) {
	case ipc.DeniedRule:
		return 552
	case ipc.DeniedNotRegular:
		return 553
	case ipc.DeniedDigest:
		return 556
	case ipc.DeniedRestart:
		return 451
	case ipc.DeniedOffset:
		return 554
	}
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return 552
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ETXTBSY):
		return 450
	}
	return 550
}

// xDigest makes the handler of XCRC and its kin: a path, or a path and the range
// from start up to end.
func xDigest(verb, algorithm string) func(s *Session, arg string) {
	return func(s *Session, arg string) {
		path, start, end, wrong := digestRange(verb, arg)
		if wrong != "" {
			s.reply(501, wrong)
			return
		}
		if sum, _, ok := s.digest(verb, algorithm, path, start, end, always550); ok {
			s.reply(213, upper(hex.EncodeToString(sum)))
		}
	}
}

func always550(error) int { return 550 }

// md5Digest is MD5, which has no range.
func md5Digest(s *Session, arg string) {
	if sum, _, ok := s.digest("MD5", "MD5", arg, 0, -1, always550); ok {
		s.reply(251, arg, " ", upper(hex.EncodeToString(sum)))
	}
}

// digestRange splits "path [start end]"; end is -1 for the whole file. A path
// may hold blanks: two numbers behind it are a range, and one behind a single
// word is a mistake.
func digestRange(verb, arg string) (path string, start, end int64, wrong string) {
	w := strings.Fields(arg)
	n := len(w)
	if n >= 3 && isInteger(w[n-1]) && isInteger(w[n-2]) {
		start, ok := number(w[n-2])
		if !ok {
			return "", 0, 0, verb + " requires a start greater than or equal to 0"
		}
		end, ok := number(w[n-1])
		if !ok || end == 0 {
			return "", 0, 0, verb + " requires an end greater than 0"
		}
		if end <= start {
			return "", 0, 0, fmt.Sprintf("%s requires end (%d) greater than start (%d)", verb, end, start)
		}
		return cutLast(cutLast(arg)), start, end, ""
	}
	if n == 2 && isInteger(w[1]) {
		return "", 0, 0, "Invalid number of parameters"
	}
	return arg, 0, -1, ""
}

// isInteger tells whether a word is digits, perhaps behind a sign.
func isInteger(w string) bool {
	w = strings.TrimPrefix(w, "-")
	return w != "" && strings.Trim(w, "0123456789") == ""
}

// cutLast takes the last word off, and the one blank before it.
func cutLast(arg string) string {
	arg = strings.TrimRight(arg, " ")
	return arg[:max(strings.LastIndexByte(arg, ' '), 0)]
}

// digest computes a sum over a file's bytes from start up to end, -1: to its
// end, which it returns. Where it cannot, it has answered.
func (s *Session) digest(verb, algorithm, arg string, start, end int64, code func(error) int) (sum []byte, upTo int64, ok bool) {
	path, ok := s.path(arg)
	if !ok {
		return nil, 0, false
	}
	f, err := s.files.OpenDigest(path, start)
	if err != nil {
		if vfs.Refused(err) == ipc.DeniedOffset && verb != "HASH" {
			s.reply(501, verb, ": end exceeds file size")
			return nil, 0, false
		}
		err = s.plainReason(path, err)
		s.refuse(code(err), arg, err)
		return nil, 0, false
	}
	defer unix.Close(f.FD)
	if end < 0 {
		end = f.Size
	}
	switch most := s.view.Digest.Max; {
	case end > f.Size && verb == "HASH":
		s.reply(554, arg, ": ", textBadRange)
		return nil, 0, false
	case end > f.Size:
		s.reply(501, verb, ": end exceeds file size")
		return nil, 0, false
	case most > 0 && end-start > most:
		tooLong := &vfs.Error{Op: "digest", Path: path, Denied: ipc.DeniedDigest}
		s.refuse(code(tooLong), arg, tooLong)
		return nil, 0, false
	}
	h := newHash(algorithm)
	if h == nil {
		s.reply(501, algorithm, ": Unsupported algorithm")
		return nil, 0, false
	}
	s.beginAlone(verb, arg)
	err = s.hashFile(h, f.FD, start, end)
	var bad *fileError
	switch {
	case s.endAlone(err):
		return nil, 0, false
	case errors.As(err, &bad):
		s.reply(451, arg, ": ", vfs.ErrnoText(bad.errno))
		return nil, 0, false
	}
	return h.Sum(nil), end, true
}

// plainReason tells directories, FIFOs and sockets from what digests refuse
// otherwise: devices and what is too long.
func (s *Session) plainReason(path string, err error) error {
	if vfs.Refused(err) != ipc.DeniedDigest {
		return err
	}
	info, e := s.files.Stat(path, true)
	if e != nil {
		return err
	}
	switch info.Mode & unix.S_IFMT {
	case unix.S_IFDIR, unix.S_IFIFO, unix.S_IFSOCK:
		return &vfs.Error{Op: "digest", Path: path, Denied: ipc.DeniedNotRegular}
	}
	return err
}

func newHash(name string) hash.Hash {
	for _, a := range algorithms {
		if a.name == name {
			return a.make()
		}
	}
	return nil
}

// hashFile feeds a file to h. It looks at the control line as often as an
// upload does.
func (s *Session) hashFile(h hash.Hash, file int, off, end int64) error {
	b := s.buffer()
	for look := 0; off < end; {
		n, err := unix.Pread(file, b[:min(int64(len(b)), end-off)], off)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fileFailed(err)
		case n == 0: // it has become shorter
			return fileFailed(unix.EIO)
		}
		h.Write(b[:n])
		off += int64(n)
		s.xfer.done += int64(n)
		if look += n; look >= lookEvery {
			look = 0
			s.page.Touch()
			if err := s.step(-1, 0, false); err != nil {
				return err
			}
		}
	}
	return nil
}
