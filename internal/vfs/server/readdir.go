package server

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// dirReader reads the entries of a directory in runs of bounded memory.
type dirReader struct {
	fd  int
	buf []byte // for getdents64, direntBuffer bytes; the caller's
	eof bool
}

// direntBuffer is the buffer of one getdents64 call, in bytes.
const direntBuffer = 32 << 10

// entry is one name of a directory. typ is unix.DT_UNKNOWN where the file
// system does not say. key is what is sorted by before the name.
type entry struct {
	name string
	key  int64
	typ  uint8
}

// entryCost is what an entry costs in memory besides its name.
const entryCost = 32

// read appends entries until about budget bytes of memory are used or the
// directory ends; "." and ".." are left out.
func (d *dirReader) read(entries []entry, budget int) ([]entry, error) {
	for budget > 0 && !d.eof {
		n, err := unix.ReadDirent(d.fd, d.buf)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			d.eof = true
			return entries, err
		}
		before := len(entries)
		var size int
		entries, size = parseDirents(entries, d.buf[:n])
		budget -= size + entryCost*(len(entries)-before)
	}
	return entries, nil
}

// Places in struct linux_dirent64.
const (
	direntReclen = 16
	direntType   = 18
	direntName   = 19
)

// nextDirent returns the name and the type of the first record of b and what
// follows it; the name is empty where there is none that counts.
func nextDirent(b []byte) (name []byte, typ uint8, rest []byte) {
	n := int(binary.NativeEndian.Uint16(b[direntReclen:]))
	if n <= direntName || n > len(b) {
		return nil, 0, nil
	}
	name, typ, rest = b[direntName:n], b[direntType], b[n:]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	if string(name) == "." || string(name) == ".." {
		name = nil
	}
	return name, typ, rest
}

// parseDirents appends what one getdents64 call returned, and tells how many
// bytes its names take. They share one string, in which a NUL follows each: see
// [lstatEntry].
func parseDirents(entries []entry, b []byte) ([]entry, int) {
	size, count := 0, 0
	for rest := b; len(rest) > direntName; {
		var name []byte
		name, _, rest = nextDirent(rest)
		size, count = size+len(name)+1, count+1
	}
	if n := len(entries); n+count > cap(entries) { // append would go in small steps and leave much garbage
		entries = slices.Grow(entries, max(count, n))
	}
	var names strings.Builder
	names.Grow(size) // once: what String returned before stays where it is
	for rest := b; len(rest) > direntName; {
		var name []byte
		var typ uint8
		name, typ, rest = nextDirent(rest)
		if len(name) == 0 {
			continue
		}
		from := names.Len()
		names.Write(name)
		entries = append(entries, entry{name: names.String()[from:], typ: typ})
		names.WriteByte(0)
	}
	return entries, size
}
