package server

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// source yields entries: those of a directory (fd and reader), or paths (fd is
// -1, the names are whole virtual paths).
type source struct {
	fd      int
	dir     string // virtual path of the directory
	st      unix.Stat_t
	reader  *dirReader
	entries []entry
	at      int
	dots    bool // "." and ".." are still to come

	head  string // shown in front of a name
	cut   int    // paths: bytes of the path that head replaces
	only  string // paths: shown instead, for a single object
	shown string // of the directory, for the headers of -R
	depth int
}

func (c *source) close() {
	if c.fd >= 0 {
		unix.Close(c.fd)
		c.fd = -1
	}
	c.entries, c.reader = nil, nil
}

// path is the virtual path of an entry.
func (c *source) path(e *entry) string {
	if c.fd < 0 {
		return e.name
	}
	return join(c.dir, e.name)
}

func (c *source) display(e *entry) string {
	switch {
	case c.only != "":
		return c.only
	case c.fd >= 0:
	case len(e.name) < c.cut: // what stands before the pattern itself: "d/{,a}"
		return strings.TrimSuffix(c.head, "/")
	default:
		return c.head + e.name[c.cut:]
	}
	return c.head + e.name
}

func join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}

// next yields the next entry of the source.
func (l *listing) next() (*entry, bool) {
	c := &l.cur
	if c.dots {
		c.dots = false
		c.entries = append(c.entries[:0], entry{name: ".", typ: unix.DT_DIR}, entry{name: "..", typ: unix.DT_DIR})
		c.at = 0
	}
	for c.at == len(c.entries) {
		if c.reader == nil || c.reader.eof {
			return nil, false
		}
		l.load()
	}
	c.at++
	return &c.entries[c.at-1], true
}

// load reads the next run of a directory and sorts it. An error of the file
// system in the middle ends the directory: what was read stands.
func (l *listing) load() {
	l.ahead.forget()
	c := &l.cur
	c.entries, _ = c.reader.read(c.entries[:0], l.run)
	c.at = 0
	if l.s.hidden.on {
		c.entries = slices.DeleteFunc(c.entries, func(e entry) bool { return l.s.hidden.covers(&e) })
	}
	if l.form != ipc.FormMLSD && !l.o.all && !l.o.almost {
		c.entries = slices.DeleteFunc(c.entries, func(e entry) bool { return e.name[0] == '.' })
	}
	if l.form != ipc.FormMLSD && l.o.order != byNothing {
		l.sort(c.entries)
	}
}

// sort orders entries as ls does in the C locale.
func (l *listing) sort(entries []entry) {
	switch l.o.order {
	case byTime, bySize: // the newest and the largest come first
		var st unix.Stat_t
		for i := range entries {
			switch err := l.lstat(&entries[i], &st); {
			case err != nil:
				entries[i].key = math.MaxInt64
			case l.o.order == bySize:
				entries[i].key = ^st.Size
			default:
				entries[i].key = ^l.o.timeOf(&st)
			}
		}
	default:
		keyByName(entries)
	}
	slices.SortFunc(entries, func(a, b entry) int {
		switch {
		case a.key < b.key:
			return -1
		case a.key > b.key:
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	if l.o.reverse {
		slices.Reverse(entries)
	}
}

// keyByName sets keys that order entries as their names do, as far as that is
// known from eight bytes: those after what all names begin with. Most
// comparisons then need no look at the names.
func keyByName(entries []entry) {
	if len(entries) == 0 {
		return
	}
	first := entries[0].name
	same := len(first)
	for i := range entries {
		n := entries[i].name
		same = min(same, len(n))
		for n[:same] != first[:same] {
			same--
		}
	}
	for i := range entries {
		var b [8]byte
		copy(b[:], entries[i].name[same:])
		entries[i].key = int64(binary.BigEndian.Uint64(b[:]) ^ 1<<63)
	}
}

// lstat gets the facts of an entry itself.
func (l *listing) lstat(e *entry, st *unix.Stat_t) (err error) {
	c := &l.cur
	switch {
	case l.form == ipc.FormMLST:
		*st = l.one
	case c.fd < 0:
		*st, err = l.s.tree.stat(e.name, false)
	case e.name == ".":
		*st = c.st
	case e.name == "..":
		parent := c.dir[:max(1, strings.LastIndexByte(c.dir, '/'))]
		*st, err = l.s.tree.stat(parent, true)
	default:
		err = lstatEntry(c.fd, e, st)
	}
	return err
}

func (o *options) timeOf(st *unix.Stat_t) int64 {
	switch o.time {
	case 'c':
		return st.Ctim.Sec
	case 'u':
		return st.Atim.Sec
	}
	return st.Mtim.Sec
}
