package server

import (
	"bytes"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// Limits of a listing. Its memory is bounded by them and not by the directory:
// names are read, sorted and sent in runs, so that a directory of any size is
// listed; one larger than a run comes out sorted run by run.
const (
	sortedRun   = 16 << 20  // bytes of one sorted run, about 300,000 names
	plainRun    = 128 << 10 // bytes of a run that is not sorted
	window      = 256       // entries whose facts are gathered at a time; the most that one names request may hold
	batchReads  = 16 << 10  // entries looked at for one reply
	batchBytes  = 60 << 10  // of a reply's lines; ipc.ListBatch
	maxDepth    = 32        // of -R, below the directory asked for
	maxSubdirs  = 100_000   // visited by -R; deeper and further ones are left out
	pendingSize = 8 << 20   // bytes of the paths -R has yet to visit
)

// listing is the one in hand.
type listing struct {
	s     *Server
	form  uint8
	o     options
	facts uint32
	now   int64 // seconds, when it began
	run   int   // bytes of names and entries in hand

	dir, one unix.Stat_t // MLST: of the object and of what holds it

	jobs    []job  // directories to come, the next one last
	pending int    // bytes of their paths
	visited int    // directories queued so far
	cur     source // where entries come from
	sub     []job  // found by -R in cur

	dirents []byte // for reading directories

	rows  []row
	memo  factMemo
	ahead *ahead // nil until a directory is large
	at    int    // next of rows
	buf   []byte // of the reply
	carry []byte // a line that did not fit into the last one
}

// job is a directory to list.
type job struct {
	path   string // virtual
	shown  string // for the header
	prefix string // in front of each name, NLST
	depth  int
	header bool
}

func (s *Server) endListing() {
	if s.listing != nil {
		s.listing.ahead.stop()
		s.listing.cur.close()
		if l := s.listing; cap(l.rows) <= spareRows && cap(l.buf) <= spareBytes {
			s.spare = l
		}
		s.listing = nil
	}
}

// A listing is short, and kept for the next one, up to these.
const (
	spareRows  = 4
	spareBytes = 4096
)

// newListing takes over what a short one has left: MLST after MLST need not make
// all of it anew.
func (s *Server) newListing() *listing {
	l := s.spare
	if s.spare = nil; l == nil {
		l = new(listing)
	}
	*l = listing{s: s, cur: source{fd: -1}, rows: l.rows[:0], memo: l.memo, buf: l.buf[:0]}
	return l
}

// list starts a listing and returns its first batch.
func (s *Server) list(r *ipc.List) ipc.ListBatch {
	s.endListing()
	clean, err := vfs.Clean("/", r.Path)
	if err != nil {
		return refuseList(err)
	}
	l := s.newListing()
	l.form, l.o, l.facts, l.now, l.run = r.Form, parseOptions(r.Options, r.Form), r.Facts, time.Now().Unix(), s.sortedRun
	if r.Form == ipc.FormMLSD || l.o.order == byNothing {
		l.run = plainRun
	}
	switch r.Form {
	case ipc.FormMLSD:
		err = l.openDir(job{path: clean})
	case ipc.FormMLST:
		l.dir, l.one, err = s.tree.entry(clean)
		l.single(clean, r.Shown)
	case ipc.FormList, ipc.FormNames:
		err = l.openArgument(clean, r.Shown)
	default:
		err = unix.EINVAL
	}
	if err != nil {
		l.cur.close()
		return refuseList(err)
	}
	s.listing = l
	return s.listNext()
}

func refuseList(err error) ipc.ListBatch {
	errno, denied := verdict(err)
	return ipc.ListBatch{Errno: errno, Denied: denied}
}

// listNext returns the next batch of the listing in hand; none is an empty last
// batch.
func (s *Server) listNext() ipc.ListBatch {
	if s.listing == nil {
		return ipc.ListBatch{}
	}
	b := s.listing.batch()
	if !b.More {
		s.endListing()
	}
	return b
}

// openArgument prepares LIST and NLST: a pattern, a directory or a file.
func (l *listing) openArgument(clean, shown string) error {
	if l.s.rules.UseGlobbing {
		m, err := l.s.glob(clean, shown)
		if err != nil {
			return err
		}
		if m != nil && len(m.entries) > 0 {
			l.useMatches(m)
			return nil
		}
		if m != nil && l.form == ipc.FormList {
			// A pattern that nothing fits is a name, and if that is not there
			// either, an empty list.
			if _, err := l.s.tree.stat(clean, true); err != nil {
				return nil
			}
		}
	}
	st, err := l.s.tree.stat(clean, true)
	if err != nil {
		return err
	}
	if shown == "" {
		shown = "."
	}
	if !isDir(&st) || l.o.self {
		l.single(clean, shown)
		return nil
	}
	j := job{path: clean, shown: shown}
	if l.form == ipc.FormNames && !l.o.one {
		j.prefix = namesPrefix(shown)
	}
	return l.openDir(j)
}

// namesPrefix is what NLST puts in front of the names of a directory that was
// named: a client uses the lines as arguments.
func namesPrefix(shown string) string {
	for len(shown) > 1 && shown[len(shown)-1] == '/' {
		shown = shown[:len(shown)-1]
	}
	switch shown {
	case "", ".":
		return ""
	case "/":
		return "/"
	}
	return shown + "/"
}

// single makes one object the source.
func (l *listing) single(clean, shown string) {
	if shown == "" {
		shown = clean
	}
	l.cur = source{fd: -1, entries: []entry{{name: clean, typ: unix.DT_UNKNOWN}}, only: shown}
}

// openDir makes a directory the source.
func (l *listing) openDir(j job) error {
	fd, st, err := l.s.tree.readDir(j.path, j.header)
	if err != nil {
		return err
	}
	if l.dirents == nil {
		l.dirents = make([]byte, direntBuffer)
	}
	l.cur = source{
		fd: fd, dir: j.path, st: st, head: j.prefix, shown: j.shown, depth: j.depth,
		reader: &dirReader{fd: fd, buf: l.dirents}, dots: l.o.all || l.form == ipc.FormMLSD,
	}
	return nil
}

// batch formats lines until the reply is full or the listing at its end, or until
// enough entries have been looked at: where most of them are left out, a reply may
// be short, even empty.
func (l *listing) batch() ipc.ListBatch {
	l.buf = append(l.buf[:0], l.carry...)
	l.carry = l.carry[:0]
	for left := batchReads; ; {
		if l.at == len(l.rows) {
			if left <= 0 {
				return reply(l.buf, true)
			}
			more := false
			if left, more = l.gather(left); !more {
				return reply(l.buf, false)
			}
			continue
		}
		start := len(l.buf)
		l.buf = l.appendRow(l.buf, &l.rows[l.at])
		l.at++
		if len(l.buf) > batchBytes {
			l.carry = append(l.carry, l.buf[start:]...)
			return reply(l.buf[:start], true)
		}
	}
}

func reply(lines []byte, more bool) ipc.ListBatch {
	return ipc.ListBatch{Lines: lines, Count: uint32(bytes.Count(lines, []byte("\n"))), More: more}
}

// gather fills the window with the next rows, going on to the next directory
// where one is at its end. It looks at left entries at most and returns how many
// of these are left. more is false at the end of the listing.
func (l *listing) gather(left int) (_ int, more bool) {
	l.rows, l.at = l.rows[:0], 0
	for len(l.rows) < window && left > 0 {
		if e, ok := l.next(); ok {
			left--
			if l.describe(e, l.row()) {
				l.rows = l.rows[:len(l.rows)+1]
			}
			continue
		}
		if len(l.rows) > 0 {
			break // their directory is still open for what formatting needs
		}
		if !l.nextJob() {
			return left, false
		}
	}
	l.loadNames()
	l.memo.unix.known, l.memo.perm.known = false, false // of another directory, or names have become known
	l.lookAhead()
	return left, true
}

// row is the place of the next row, which may hold an earlier one.
func (l *listing) row() *row {
	l.rows = slices.Grow(l.rows, 1)
	return &l.rows[:len(l.rows)+1][len(l.rows)]
}

// nextJob opens the next directory of -R; one that cannot be opened has a header
// alone.
func (l *listing) nextJob() bool {
	l.ahead.forget()
	l.cur.close()
	l.cur = source{fd: -1}
	for i := len(l.sub) - 1; i >= 0; i-- {
		l.jobs = append(l.jobs, l.sub[i])
	}
	l.sub = nil
	n := len(l.jobs)
	if n == 0 {
		return false
	}
	j := l.jobs[n-1]
	l.jobs = l.jobs[:n-1]
	l.pending -= len(j.path) + len(j.shown)
	l.rows = append(l.rows, row{header: true, name: j.shown})
	_ = l.openDir(j)
	return true
}

// descend remembers a subdirectory for -R, within the limits.
func (l *listing) descend(j job) {
	size := len(j.path) + len(j.shown)
	if j.depth > maxDepth || l.visited == maxSubdirs || l.pending+size > pendingSize || len(j.path) > vfs.MaxPath || len(j.shown) > vfs.MaxPath {
		return
	}
	l.visited++
	l.pending += size
	l.sub = append(l.sub, j)
}
