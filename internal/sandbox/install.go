package sandbox

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// install puts the profile's filter on all threads. The calling process needs
// no_new_privs (workers have it from their starter) or CAP_SYS_ADMIN.
func (p *profile) install(m Mode) error {
	if m == Off {
		return nil
	}
	code, err := p.compile(m)
	if err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	const flags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_LOG
	tid, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(code)
	switch {
	case errno != 0:
		return fmt.Errorf("install the seccomp filter: %w", errno)
	case tid != 0:
		return fmt.Errorf("install the seccomp filter: thread %d has a filter of its own", tid)
	}
	return nil
}

// confine is what all workers do: limits, undumpable, landlock if any, filter.
func confine(m Mode, p *profile, l limits, land func() (string, error)) (note string, err error) {
	if _, err := ParseMode(string(m)); err != nil {
		return "", err
	}
	if err := l.set(); err != nil {
		return "", err
	}
	if err := undumpable(); err != nil {
		return "", err
	}
	note = "no landlock"
	if m == Enforce && land != nil {
		if note, err = land(); err != nil {
			return "", err
		}
	}
	if err := p.install(m); err != nil {
		return "", err
	}
	return "sandbox " + string(m) + ", " + note, nil
}

// Session confines a session process: everything but its descriptors. The note
// is for the log.
func Session(m Mode) (note string, err error) {
	return confine(m, sessionProfile(unix.Getpid()), sessionLimits, landlockNothing)
}

// Hash confines a hash worker: one channel and memory.
func Hash(m Mode) (note string, err error) {
	return confine(m, hashProfile(unix.Getpid()), hashLimits, landlockNothing)
}

// Files confines a files process to what lies beneath the directory root, an
// O_PATH descriptor that was opened with the user's own rights. Until then the
// process must not have read a message of its session. It must be a program
// without cgo.
func Files(m Mode, root int) (note string, err error) {
	return confine(m, filesProfile(unix.Getpid()), filesLimits, func() (string, error) { return landlockBeneath(root) })
}

// Authd confines authd: files may be opened for reading, nothing else.
func Authd(m Mode) (note string, err error) {
	return confine(m, authdProfile(unix.Getpid()), authdLimits, nil)
}

// Owner confines owner: directories and files may be made and given away, nothing
// else.
func Owner(m Mode) (note string, err error) {
	return confine(m, ownerProfile(unix.Getpid()), ownerLimits, nil)
}
