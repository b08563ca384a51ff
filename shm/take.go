package shm

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// take opens and locks the object's file: a new one (fresh), or the one that is
// there. An existing file that cannot be trusted is opened too, with the reason
// in o.Reason, if it is ours; what is not ours is removed.
func (o *Object) take() (fresh bool, err error) {
	for range 16 { // the name may change hands between two steps
		err = o.create()
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, unix.EEXIST) {
			return false, err
		}
		var again bool
		if again, err = o.adopt(); !again {
			return false, err
		}
	}
	return false, o.error(errors.New("its name changes all the time"))
}

// create makes the file, exclusively, and locks it.
func (o *Object) create() error {
	err := retry(func() (err error) {
		o.fd, err = unix.Open(o.path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		return err
	})
	if err != nil {
		return o.error(err)
	}
	if err = unix.Fchmod(o.fd, 0o600); err == nil { // whatever the umask was
		err = o.lock()
	}
	if err != nil {
		o.Close()
		return o.error(err)
	}
	return nil
}

// adopt opens and locks the file that is there. again: it is gone by now, or
// was removed because it was not ours.
func (o *Object) adopt() (again bool, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(o.path, &st); err != nil {
		return err == unix.ENOENT, o.error(err)
	}
	if reason := foreign(&st); reason != "" {
		o.Reason = reason
		if err := unix.Unlink(o.path); err != nil && err != unix.ENOENT {
			return false, o.error(fmt.Errorf("%s, and cannot be removed: %w", reason, err))
		}
		return true, nil
	}
	err = retry(func() (err error) {
		o.fd, err = unix.Open(o.path, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return err == unix.ENOENT, o.error(err)
	}
	again, err = o.verify()
	if again || err != nil {
		o.Close()
	}
	return again, err
}

// verify locks the open file and looks at it again: before that, another
// instance may have replaced it.
func (o *Object) verify() (again bool, err error) {
	if err := o.lock(); err != nil {
		return false, o.error(err)
	}
	var st, named unix.Stat_t
	if err := unix.Fstat(o.fd, &st); err != nil {
		return false, o.error(err)
	}
	if err := unix.Lstat(o.path, &named); err != nil || named.Dev != st.Dev || named.Ino != st.Ino {
		return true, nil
	}
	switch {
	case foreign(&st) != "":
		return true, nil
	case st.Mode&0o7777 != 0o600:
		o.Reason = fmt.Sprintf("its mode is %#o, not 0600", st.Mode&0o7777)
	case st.Nlink != 1:
		o.Reason = fmt.Sprintf("it has %d links", st.Nlink)
	}
	return false, nil
}

// foreign says why a file cannot be one of our objects.
func foreign(st *unix.Stat_t) string {
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return "not a regular file"
	case int(st.Uid) != unix.Geteuid():
		return fmt.Sprintf("owned by uid %d, not %d", st.Uid, unix.Geteuid())
	}
	return ""
}

// replace puts a new file, locked, in the place of the one that is held. The
// old one is not truncated: a process that still maps it would die of it.
func (o *Object) replace() error {
	o.unmap()
	old := o.fd
	defer unix.Close(old)
	o.fd = -1
	if err := unix.Unlink(o.path); err != nil && err != unix.ENOENT {
		return o.error(err)
	}
	return o.create()
}

func (o *Object) lock() error {
	err := retry(func() error { return unix.Flock(o.fd, unix.LOCK_EX|unix.LOCK_NB) })
	if err == unix.EWOULDBLOCK {
		return ErrHeld
	}
	return err
}

// openReadOnly opens an object of ours for reading.
func openReadOnly(path string) (fd int, err error) {
	err = retry(func() (err error) {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil {
		if reason := foreign(&st); reason != "" {
			err = errors.New(reason)
		} else if st.Mode&0o7777 != 0o600 || st.Nlink != 1 {
			err = fmt.Errorf("mode %#o and %d links, 0600 and one belong there", st.Mode&0o7777, st.Nlink)
		}
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
