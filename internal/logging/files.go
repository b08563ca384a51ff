package logging

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Files are the open log files, one a path however many hosts name it. Take and
// Get are the owner's; the lines of a file may come from any goroutine.
type Files struct {
	log  *slog.Logger
	open map[string]*File
	lost atomic.Uint64
}

// NewFiles has none yet. What is lost is reported to log.
func NewFiles(log *slog.Logger) *Files { return &Files{log: log, open: map[string]*File{}} }

// Take puts what was opened in the place of what is open. Lines that were
// queued before go where they would have gone; files that are not among the
// opened ones are closed.
func (fs *Files) Take(o *Opened) {
	for path, f := range fs.open {
		if _, ok := o.fds[path]; !ok && !slices.Contains(o.kept, path) {
			f.close()
			delete(fs.open, path)
		}
	}
	for path, fd := range o.fds {
		if f := fs.open[path]; f != nil {
			f.reopen(fd)
			continue
		}
		fs.open[path] = newFile(fs, path, fd)
	}
	o.fds = nil
}

// Get returns the file of a path, nil where it is not open.
func (fs *Files) Get(path string) *File {
	if fs == nil {
		return nil
	}
	return fs.open[path]
}

// Dropped counts the lines lost so far.
func (fs *Files) Dropped() uint64 { return fs.lost.Load() }

// Flush waits until what is queued is written, at most for d in all.
func (fs *Files) Flush(d time.Duration) bool {
	end := time.NewTimer(d)
	defer end.Stop()
	for _, f := range fs.open {
		select {
		case <-f.idle():
		case <-end.C:
			return false
		}
	}
	return true
}

// Close flushes for at most d and closes the files.
func (fs *Files) Close(d time.Duration) {
	fs.Flush(d)
	for _, f := range fs.open {
		f.close()
	}
	fs.open = map[string]*File{}
}

// File is one log file. Its lines are queued in bounded memory and written by a
// goroutine of its own, one write a line: a full disk, a slow one and a FIFO
// whose reader has stopped hold nobody up. What is lost is counted, and told
// once a second.
type File struct {
	fs   *Files
	path string

	mu      sync.Mutex
	queued  []byte // lines, each with its line feed
	ends    []int  // of each line in queued
	next    int    // descriptor to go on with, -1: none
	at      int    // lines of queued that still belong to the present one
	closed  bool
	waiting []chan struct{} // who waits for the queue to be written
	wake    chan struct{}

	out  output
	lost atomic.Uint64 // since the last report
	why  atomic.Pointer[string]
	told atomic.Bool // a report is on its way
}

func newFile(fs *Files, path string, fd int) *File {
	f := &File{fs: fs, path: path, next: -1, wake: make(chan struct{}, 1)}
	f.out.take(fd)
	go f.run()
	return f
}

// Line queues one line, given without its line feed, or counts its loss.
func (f *File) Line(line []byte) {
	f.mu.Lock()
	if f.closed || len(f.queued)+len(line) >= maxQueued {
		f.mu.Unlock()
		f.lose("the file does not keep up")
		return
	}
	f.queued = append(append(f.queued, line...), '\n')
	f.ends = append(f.ends, len(f.queued))
	f.mu.Unlock()
	f.rouse()
}

func (f *File) rouse() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *File) reopen(fd int) {
	f.mu.Lock()
	if f.next >= 0 {
		unix.Close(f.next)
	} else {
		f.at = len(f.ends)
	}
	f.next = fd
	f.mu.Unlock()
	f.rouse()
}

func (f *File) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.rouse()
}

// idle returns a channel that is closed once what is queued now is written.
func (f *File) idle() <-chan struct{} {
	c := make(chan struct{})
	f.mu.Lock()
	f.waiting = append(f.waiting, c)
	f.mu.Unlock()
	f.rouse()
	return c
}

// batch is what run takes from the queue at a time.
type batch struct {
	lines   []byte
	ends    []int
	next    int
	at      int
	waiting []chan struct{}
}

// run writes until close.
func (f *File) run() {
	var b batch
	for range f.wake {
		closed := f.takeBatch(&b)
		from := 0
		for i, end := range b.ends {
			if b.next >= 0 && i == b.at {
				f.out.take(b.next)
				b.next = -1
			}
			if err := f.out.line(b.lines[from:end]); err != nil {
				f.lose(err.Error())
			}
			from = end
		}
		if b.next >= 0 {
			f.out.take(b.next)
		}
		for _, c := range b.waiting {
			close(c)
		}
		if closed {
			f.out.close()
			return
		}
	}
}

// takeBatch swaps the queue for what was written last.
func (f *File) takeBatch(b *batch) (closed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	lines, ends := b.lines[:0], b.ends[:0]
	if cap(lines) > 1<<16 { // a burst is over
		lines, ends = nil, nil
	}
	*b = batch{lines: f.queued, ends: f.ends, next: f.next, at: f.at, waiting: f.waiting}
	f.queued, f.ends, f.next, f.at, f.waiting = lines, ends, -1, 0, nil
	return f.closed
}

// lose counts a lost line; the first one of a second leads to a report.
func (f *File) lose(why string) {
	f.lost.Add(1)
	f.fs.lost.Add(1)
	f.why.Store(&why)
	if !f.told.Swap(true) {
		time.AfterFunc(time.Second, f.report)
	}
}

func (f *File) report() {
	f.told.Store(false)
	n := f.lost.Swap(0)
	if n == 0 {
		return
	}
	f.fs.log.LogAttrs(context.Background(), LevelCrit, "lines of a log file were lost", Kind(RecordsDropped),
		slog.String("file", f.path), slog.Uint64("count", n), slog.String("reason", *f.why.Load()))
}

// output is the descriptor that lines are written to. It is run's alone.
type output struct {
	fd   int
	fifo bool
	torn bool   // the last line is in the file in part: the next begins a new one
	rest []byte // of a line that a FIFO took in part
	buf  []byte
}

func (o *output) take(fd int) {
	o.close()
	var st unix.Stat_t
	*o = output{fd: fd, buf: o.buf, fifo: unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO}
}

func (o *output) close() {
	if o.fd > 0 {
		unix.Close(o.fd)
		o.fd = 0
	}
}

// line writes one line, whole or not at all as far as that is the file's to
// allow.
func (o *output) line(l []byte) error {
	if len(o.rest) > 0 {
		n, err := write(o.fd, o.rest)
		if o.rest = o.rest[n:]; err != nil {
			return err
		}
		if len(o.rest) > 0 {
			return unix.EAGAIN
		}
	}
	if o.torn {
		o.buf = append(append(o.buf[:0], '\n'), l...)
		l = o.buf
	}
	n, err := write(o.fd, l)
	switch {
	case err != nil:
		return err
	case n == len(l):
		o.torn = false
	case o.fifo:
		o.rest = append(o.rest[:0], l[n:]...)
	default: // the disk is full: the next write says so
		o.torn = true
		return unix.ENOSPC
	}
	return nil
}

func write(fd int, b []byte) (n int, err error) {
	for {
		n, err = unix.Write(fd, b)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// Paths lists the files that logs name, each once, in order.
func Paths(logs []string) []string {
	var l []string
	for _, p := range logs {
		if p != "" && !strings.HasPrefix(p, "syslog:") {
			l = append(l, p)
		}
	}
	slices.Sort(l)
	return slices.Compact(l)
}
