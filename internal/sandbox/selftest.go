package sandbox

import (
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Finding is what the self-test found out about one thing the kernel must, or
// should, be able to do.
type Finding struct {
	Name   string // "landlock"
	OK     bool
	Need   bool   // without it the service must not start in mode "enforce"
	Detail string // version, or error
	Means  string // what its absence means, in words for an administrator
}

// String is one line for the log and for ftpdctl status.
func (f Finding) String() string {
	if f.OK {
		return strings.TrimSpace(f.Name + ": ok " + f.Detail)
	}
	return fmt.Sprintf("%s: missing (%s): %s", f.Name, f.Detail, f.Means)
}

// Report is the result of SelfTest.
type Report struct {
	Kernel   string // release, as uname -r
	Findings []Finding
}

// Missing returns one line for each thing that is missing.
func (r Report) Missing() []string {
	var lines []string
	for _, f := range r.Findings {
		if !f.OK {
			lines = append(lines, f.String())
		}
	}
	return lines
}

// Err is an error that names what the service cannot do without, or nil. In
// modes Log and Off nothing of the sandbox is necessary.
func (r Report) Err(m Mode) error {
	for _, f := range r.Findings {
		if !f.OK && f.Need && m == Enforce {
			return fmt.Errorf("kernel %s: %s", r.Kernel, f)
		}
	}
	return nil
}

// SelfTest probes, without changing anything of the process, what the sandbox
// and the ways of working rest upon. Master calls it at start.
func SelfTest() Report {
	r := Report{Kernel: kernelRelease()}
	add := func(name string, need bool, means string, probe func() (string, error)) {
		f := Finding{Name: name, Need: need, Means: means}
		detail, err := probe()
		f.OK, f.Detail = err == nil, detail
		if err != nil {
			f.Detail = err.Error()
		}
		r.Findings = append(r.Findings, f)
	}
	add("seccomp", true, "workers cannot be confined to their system calls; use another kernel, or sandbox = \"off\"", probeSeccomp)
	add("seccomp thread synchronisation", true, "a filter would not reach all threads of a worker", probeTSYNC)
	add("no_new_privs", true, "a worker could gain rights by executing a program", func() (string, error) {
		_, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
		return "", err
	})
	add("landlock", false, "files processes are held in their root by openat2 and the user's identity alone, without a second wall", probeLandlock)
	add("openat2", true, "paths cannot be resolved within a root; Linux 5.6 is needed", probeOpenat2)
	add("close_range", true, "leaked descriptors cannot be closed; Linux 5.9 is needed", func() (string, error) {
		return "", unix.CloseRange(^uint(0)>>33, ^uint(0)>>33, 0)
	})
	add("pidfd", true, "children cannot be watched and signalled safely; Linux 5.4 is needed", probePidfd)
	add("memfd seals", true, "views of the configuration cannot be shared read-only", probeSeals)
	add("bounding set", unix.Geteuid() == 0, "children of root would keep capabilities; grant CAP_SETPCAP", probeBounding)
	return r
}

func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

func probeSeccomp() (string, error) {
	for _, v := range []verdict{kill, eperm &^ 0xffff, logged} {
		action := uint32(v)
		_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
		if errno != 0 {
			return "", fmt.Errorf("action %#x: %w", action, errno)
		}
	}
	return "", nil
}

// probeTSYNC asks for a filter at address 0: EFAULT says that the flags are
// known, and nothing is installed.
func probeTSYNC() (string, error) {
	const flags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_LOG
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, 0)
	if errno != unix.EFAULT {
		return "", fmt.Errorf("flags %#x: %w", flags, errno)
	}
	return "", nil
}

func probeLandlock() (string, error) {
	switch abi := landlockABI(); {
	case abi == 0:
		return "", fmt.Errorf("not in the kernel, or not in its list of security modules (lsm=)")
	case abi < minLandlock:
		return "", fmt.Errorf("version %d cannot rename between directories, %d is needed", abi, minLandlock)
	default:
		return fmt.Sprintf("version %d", abi), nil
	}
}

func probeOpenat2() (string, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return "", err
	}
	return "", unix.Close(fd)
}

func probePidfd() (string, error) {
	fd, err := unix.PidfdOpen(unix.Getpid(), 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return "", unix.PidfdSendSignal(fd, 0, nil, 0)
}

func probeSeals() (string, error) {
	fd, err := unix.MemfdCreate("sallyport-probe", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	return "", err
}

func probeBounding() (string, error) {
	eff, _, _, err := ThreadCaps()
	switch {
	case err != nil:
		return "", err
	case unix.Geteuid() != 0:
		return "not needed, rootless", nil
	case eff&Caps(unix.CAP_SETPCAP) == 0 && BoundingSet() != 0:
		return "", fmt.Errorf("root without CAP_SETPCAP")
	}
	return "", nil
}
