package logging

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Opened are log files that have just been opened, by path, for [Files.Take].
type Opened struct {
	fds  map[string]int
	kept []string // FIFOs whose reader is away: what is open stays
}

// OpenAll opens every path, or none. Files that have knows already are opened
// anew, so that a file that was moved away is left behind; have may be nil.
func OpenAll(paths []string, have *Files) (*Opened, error) {
	o := &Opened{fds: map[string]int{}}
	for _, p := range paths {
		if _, ok := o.fds[p]; ok {
			continue
		}
		fd, err := open(p)
		if errors.Is(err, unix.ENXIO) && have.Get(p) != nil {
			o.kept = append(o.kept, p)
			continue
		}
		if err != nil {
			o.Close()
			return nil, err
		}
		o.fds[p] = fd
	}
	return o, nil
}

// OpenSome opens the paths that it can, and returns why it could not the others.
func OpenSome(paths []string, have *Files) (o *Opened, errs []error) {
	o = &Opened{fds: map[string]int{}}
	for _, p := range paths {
		one, err := OpenAll([]string{p}, have)
		if err != nil {
			errs = append(errs, err)
			if have.Get(p) != nil {
				o.kept = append(o.kept, p)
			}
			continue
		}
		for p, fd := range one.fds {
			o.fds[p] = fd
		}
		o.kept = append(o.kept, one.kept...)
	}
	return o, errs
}

// Close gives the files up.
func (o *Opened) Close() {
	for _, fd := range o.fds {
		unix.Close(fd)
	}
	o.fds = nil
}

// fileMode is that of a log file that is made.
const fileMode = 0o640

// open opens a log file for appending: a regular file, made if it is not there,
// or a FIFO that somebody reads. A symbolic link, and a directory in which
// everybody may make one, are refused.
func open(path string) (fd int, err error) {
	fail := func(err error) (int, error) { return -1, fmt.Errorf("log file %q: %w", path, err) }
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(fmt.Errorf("its directory: %w", err))
	}
	defer unix.Close(dir)
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return fail(fmt.Errorf("its directory: %w", err))
	}
	if st.Mode&0o002 != 0 {
		return fail(errors.New("everybody may write in its directory"))
	}
	// O_NONBLOCK: neither the open nor a write waits for a FIFO's reader.
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_NOFOLLOW | unix.O_NOCTTY | unix.O_NONBLOCK | unix.O_CLOEXEC
	name := filepath.Base(path)
	fd, err = unix.Openat(dir, name, flags, 0)
	if err == unix.ENOENT {
		fd, err = unix.Openat(dir, name, flags|unix.O_CREAT|unix.O_EXCL, fileMode)
		if err == nil {
			err = unix.Fchmod(fd, fileMode) // whatever the umask is
			if err != nil {
				unix.Close(fd)
			}
		}
	}
	switch {
	case err == unix.ELOOP:
		return fail(errors.New("a symbolic link"))
	case err == unix.ENXIO:
		return fail(fmt.Errorf("nobody reads it: %w", err))
	case err != nil:
		return fail(err)
	}
	if err = unix.Fstat(fd, &st); err == nil {
		if k := st.Mode & unix.S_IFMT; k != unix.S_IFREG && k != unix.S_IFIFO {
			err = errors.New("neither a regular file nor a FIFO")
		}
	}
	if err != nil {
		unix.Close(fd)
		return fail(err)
	}
	return fd, nil
}
