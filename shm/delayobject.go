package shm

import (
	"encoding/binary"
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// DelayObject is the DelayTable's object as master has it: it made it and holds
// its lock, but does not keep it mapped. authd may write it and so could
// truncate it, and a mapped reader would die of that.
type DelayObject struct{ o *Object }

// OpenDelayObject goes on with the object that is there, where its header fits,
// or makes a fresh one of n rows. Errors as CreateObject.
func OpenDelayObject(dir, instance string, n int) (*DelayObject, error) {
	o, err := OpenObject(dir, instance, &DelayLayout, n)
	if err != nil {
		return nil, err
	}
	return &DelayObject{o}, nil
}

// Origin tells how the object came to be, and why where it was Rebuilt.
func (d *DelayObject) Origin() (Origin, string) { return d.o.Origin, d.o.Reason }

// Seed writes the key of the decoys and rows into a fresh object, before anybody
// else has it, as far as there is room for them, and gives up the mapping.
func (d *DelayObject) Seed(key [DelayKeySize]byte, rows []DelayRow) {
	if d.o.w != nil {
		d.o.w[headKey0].Store(binary.NativeEndian.Uint64(key[:8]))
		d.o.w[headKey1].Store(binary.NativeEndian.Uint64(key[8:]))
	}
	for i := range rows {
		if i >= d.o.entries || d.o.w == nil {
			break
		}
		r := d.o.entry(i)
		r.begin()
		writeDelay(r, &rows[i].DelayHead)
		for j, n := range rows[i].Ring {
			r[delayRing+j].Store(uint64(n))
		}
		r.end()
	}
	d.o.unmap()
}

// Keep gives up the mapping of an object that goes on.
func (d *DelayObject) Keep() { d.o.unmap() }

// Key returns the key of the decoys.
func (d *DelayObject) Key() (key [DelayKeySize]byte) {
	_, _ = unix.Pread(d.o.fd, key[:], headKey0*wordSize)
	return key
}

// ReadWrite opens the object once more, for the process that writes it. The
// caller owns the descriptor (close-on-exec).
func (d *DelayObject) ReadWrite() (fd int, err error) {
	err = retry(func() (err error) {
		fd, err = unix.Open(d.o.path, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return -1, d.o.error(err)
	}
	var a, b unix.Stat_t
	if err = errors.Join(unix.Fstat(fd, &a), unix.Fstat(d.o.fd, &b)); err == nil && (a.Dev != b.Dev || a.Ino != b.Ino) {
		err = errors.New("its name belongs to another object now")
	}
	if err != nil {
		unix.Close(fd)
		return -1, d.o.error(err)
	}
	return fd, nil
}

// Rows copies the rows that are whole. unknown counts those that were not to be
// had: half-written by a writer that was killed, or nonsense.
func (d *DelayObject) Rows() (rows []DelayRow, unknown int) {
	var raw [delayWords * wordSize]byte
	for i := range d.o.entries {
		at := pageSize + int64(i)*delayWords*wordSize
		free, ok := d.read(at, &raw)
		if free {
			continue
		}
		var buf [delayWords]uint64
		for j := range buf {
			buf[j] = binary.NativeEndian.Uint64(raw[j*wordSize:])
		}
		r := decodeDelay(buf[:])
		switch {
		case ok && r.Key == (DelayKey{}): // given back
		case ok && r.sound():
			rows = append(rows, r)
		default:
			unknown++
		}
	}
	slices.SortFunc(rows, func(a, b DelayRow) int {
		if a.Key.Hi < b.Key.Hi || a.Key.Hi == b.Key.Hi && a.Key.Lo < b.Key.Lo {
			return -1
		}
		return 1
	})
	return rows, unknown
}

// read copies an entry between two equal, even sequence numbers, a bounded
// number of times.
func (d *DelayObject) read(at int64, raw *[delayWords * wordSize]byte) (free, ok bool) {
	seq := func() (uint64, bool) {
		var b [wordSize]byte
		n, err := unix.Pread(d.o.fd, b[:], at)
		return binary.NativeEndian.Uint64(b[:]), err == nil && n == len(b)
	}
	for range 64 {
		before, there := seq()
		if !there {
			return true, false // cut off: authd has truncated it
		}
		if before == 0 {
			return true, false
		}
		n, err := unix.Pread(d.o.fd, raw[:], at)
		if err != nil || n != len(raw) {
			return true, false
		}
		if after, there := seq(); there && before&1 == 0 && after == before && binary.NativeEndian.Uint64(raw[:]) == before {
			return false, true
		}
	}
	return false, false
}

// Path returns the object's name in the file system.
func (d *DelayObject) Path() string { return d.o.path }

// Entries returns how many rows there is room for.
func (d *DelayObject) Entries() int { return d.o.entries }

// Close gives up the lock. The content stays.
func (d *DelayObject) Close() { d.o.Close() }

// Remove removes the object.
func (d *DelayObject) Remove() error { return d.o.Remove() }
