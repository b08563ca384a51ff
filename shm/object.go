package shm

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Dir is where the objects live unless a test says otherwise.
const Dir = "/dev/shm"

// ErrHeld means that a live process holds the object's lock.
var ErrHeld = errors.New("another instance of sallyport holds it")

// Origin tells how an object came to be.
type Origin uint8

// Origins.
const (
	Created Origin = iota // there was none, or a fresh one was asked for
	Kept                  // an object of this layout was found and goes on
	Rebuilt               // what was found could not be used: a fresh one; see Object.Reason
)

// Object is a mapped shared memory object. The process that has created or
// opened it holds its lock until Close, or its death.
type Object struct {
	Origin Origin
	Reason string // why Rebuilt

	layout  *Layout
	path    string
	fd      int
	mem     []byte
	w       words
	entries int
}

// CreateObject makes a fresh object of n entries, all zero but the header, in
// place of any that is there. Objects of other users, links and the like at its
// name are removed, which only root can do in a sticky directory. Errors:
// ErrHeld, and those of the file system.
func CreateObject(dir, instance string, l *Layout, n int) (*Object, error) {
	return openObject(dir, instance, l, n, false)
}

// OpenObject continues with the object that is there, if its header fits, and
// lets it grow to n entries; otherwise it makes a fresh one. For a daemon that
// re-executes itself.
func OpenObject(dir, instance string, l *Layout, n int) (*Object, error) {
	return openObject(dir, instance, l, n, true)
}

func openObject(dir, instance string, l *Layout, n int, keep bool) (*Object, error) {
	name, err := l.ObjectName(instance)
	if err != nil {
		return nil, err
	}
	o := &Object{layout: l, path: filepath.Join(dir, name), fd: -1}
	if n < 1 || n > l.maxEntries() {
		return nil, o.error(fmt.Errorf("%d entries, 1 to %d are possible", n, l.maxEntries()))
	}
	fresh, err := o.take()
	if err != nil {
		return nil, err
	}
	if !fresh && keep {
		if o.Reason == "" {
			o.Reason = o.keep(n)
		}
		if o.Reason == "" {
			o.Origin = Kept
			return o, nil
		}
	}
	if !fresh {
		if err := o.replace(); err != nil {
			o.Close()
			return nil, err
		}
	}
	if o.Reason != "" {
		o.Origin = Rebuilt
	}
	if err := o.format(n); err != nil {
		_ = o.Remove()
		return nil, err
	}
	return o, nil
}

func (o *Object) error(err error) error { return fmt.Errorf("shared memory %q: %w", o.path, err) }

// format allocates and maps a fresh object and writes its header.
func (o *Object) format(n int) error {
	size := o.layout.size(n)
	if err := o.mapAll(size); err != nil {
		return err
	}
	o.entries = n
	o.w[headVersion].Store(formatVersion)
	o.w[headLayout].Store(o.layout.hash())
	o.w[headSize].Store(uint64(size))
	o.w[headEntries].Store(uint64(n))
	o.w[headCreated].Store(uint64(time.Now().UnixNano()))
	o.w[headWriter].Store(uint64(unix.Getpid()))
	o.w[headMagic].Store(magic)
	return nil
}

// keep maps an existing object and, where it has fewer than n entries, extends
// it. It returns why the object cannot be used.
func (o *Object) keep(n int) (reason string) {
	var st unix.Stat_t
	if err := unix.Fstat(o.fd, &st); err != nil {
		return err.Error()
	}
	if st.Size < pageSize || st.Size > 1<<30 {
		return fmt.Sprintf("%d bytes long", st.Size)
	}
	if err := o.mapAll(st.Size); err != nil {
		return err.Error()
	}
	if reason = o.checkHeader(st.Size); reason != "" || n <= o.entries {
		return reason
	}
	o.unmap()
	size := o.layout.size(n)
	if err := o.mapAll(size); err != nil {
		return err.Error()
	}
	o.w[headMagic].Store(0) // a kill in between leaves no header
	o.w[headSize].Store(uint64(size))
	o.w[headEntries].Store(uint64(n))
	o.w[headMagic].Store(magic)
	o.entries = n
	return ""
}

// checkHeader says what is wrong with the header of an object of size bytes.
func (o *Object) checkHeader(size int64) (reason string) {
	n := o.w[headEntries].Load()
	switch {
	case o.w[headMagic].Load() != magic:
		return "no header"
	case o.w[headVersion].Load() != formatVersion:
		return fmt.Sprintf("format version %d, this daemon writes %d", o.w[headVersion].Load(), formatVersion)
	case o.w[headLayout].Load() != o.layout.hash():
		return "another layout"
	case o.w[headSize].Load() != uint64(size):
		return fmt.Sprintf("%d bytes long, its header says %d", size, o.w[headSize].Load())
	case n < 1 || n > uint64(o.layout.maxEntries()) || o.layout.size(int(n)) != size:
		return fmt.Sprintf("%d entries in %d bytes", n, size)
	}
	o.entries = int(n)
	return ""
}

// mapAll allocates size bytes, not only sizes them, and maps them.
func (o *Object) mapAll(size int64) error {
	if err := retry(func() error { return unix.Fallocate(o.fd, 0, 0, size) }); err != nil {
		return o.error(fmt.Errorf("allocate %d bytes: %w", size, err))
	}
	mem, err := unix.Mmap(o.fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return o.error(fmt.Errorf("map: %w", err))
	}
	o.mem, o.w = mem, wordsOf(mem)
	return nil
}

// mapReadOnly maps an object that another process writes and checks its header.
func (o *Object) mapReadOnly(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return o.error(err)
	}
	if st.Size < pageSize || st.Size > 1<<30 {
		return o.error(fmt.Errorf("%d bytes long", st.Size))
	}
	mem, err := unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return o.error(fmt.Errorf("map: %w", err))
	}
	o.mem, o.w = mem, wordsOf(mem)
	if reason := o.checkHeader(st.Size); reason != "" {
		o.unmap()
		return o.error(errors.New(reason))
	}
	return nil
}

func (o *Object) unmap() {
	if o.mem != nil {
		_ = unix.Munmap(o.mem)
		o.mem, o.w = nil, nil
	}
}

// entry returns the words of entry i.
func (o *Object) entry(i int) record { return entryOf(o.w, o.layout, i) }

func entryOf(w words, l *Layout, i int) record {
	at := pageSize/wordSize + i*l.Words
	return record(w[at : at+l.Words])
}

// Entries returns how many entries the object has.
func (o *Object) Entries() int { return o.entries }

// Path returns the object's name in the file system.
func (o *Object) Path() string { return o.path }

// ReadOnly opens the object once more, for reading only, for a process that
// may not write. The caller owns the descriptor (close-on-exec).
func (o *Object) ReadOnly() (fd int, err error) {
	fd, err = openReadOnly(o.path)
	if err != nil {
		return -1, o.error(err)
	}
	var a, b unix.Stat_t
	if err = errors.Join(unix.Fstat(fd, &a), unix.Fstat(o.fd, &b)); err == nil && (a.Dev != b.Dev || a.Ino != b.Ino) {
		err = errors.New("its name belongs to another object now")
	}
	if err != nil {
		unix.Close(fd)
		return -1, o.error(err)
	}
	return fd, nil
}

// Close unmaps the object and gives up its lock. The content stays.
func (o *Object) Close() {
	o.unmap()
	if o.fd >= 0 {
		unix.Close(o.fd)
		o.fd = -1
	}
}

// Remove removes the object's name, while its lock is held, and closes it.
func (o *Object) Remove() error {
	err := unix.Unlink(o.path)
	o.Close()
	if err != nil && err != unix.ENOENT {
		return o.error(err)
	}
	return nil
}

// retry repeats a system call that a signal has interrupted.
func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}
