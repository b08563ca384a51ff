package sandbox

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Spec says what to start and as whom.
type Spec struct {
	// Dir is the libexec directory, opened by master once (O_PATH is enough).
	// The program is executed relative to it.
	Dir int
	// Name is the program's file in Dir; no slash. It becomes argv[0].
	Name string
	// Mode becomes argv[1]; Identity gives argv[2], "root" or "rootless";
	// Args are the role's own arguments and follow.
	Mode Mode
	Args []string
	// Env is the whole environment, see WorkerEnv. The identity that the child
	// has to find itself with is added to it, see IdentityEnv.
	Env []string
	// Files become the child's descriptors 3, 4, 5 ... in this order. They stay
	// the caller's.
	Files []int
	// Stderr becomes the child's stdout and stderr; 0 means master's own
	// stderr. Files and terminals are opened anew for appending, so that a
	// child can neither read them nor change what others see of them. Stdin is
	// /dev/null.
	Stderr int

	// Identity says that the child takes UID, GID and Groups (exactly these
	// supplementary groups; none where empty). Without it the child runs under
	// the identity master has: rootless.
	Identity bool
	UID, GID uint32
	Groups   []uint32
	// RootLogin allows a worker uid or gid 0 (without any capability), for a
	// host that lets root log in. Otherwise that is refused.
	RootLogin bool
	// Chroot is the absolute path of an empty directory that root owns, or "".
	// Without Identity it is ignored.
	Chroot string
}

// IdentityEnv is the environment variable that tells a child which identity it
// was meant to get: "uid:gid:group,group". The child compares, see
// internal/worker.
const IdentityEnv = "SALLYPORT_IDENTITY"

// IdentityString is the value of IdentityEnv.
func IdentityString(uid, gid uint32, groups []uint32) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:%d:", uid, gid)
	for i, g := range groups {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(uint64(g), 10))
	}
	return b.String()
}

// WorkerEnv is the environment of a Go child: one processor, a soft memory
// limit of limit MiB (0: none), and no look at the cgroup files, for which a
// worker has no rights and which would cost it two descriptors.
func WorkerEnv(limit int) []string {
	env := []string{"GOMAXPROCS=1", "GODEBUG=containermaxprocs=0,updatemaxprocs=0,multipathtcp=0"}
	if limit > 0 {
		env = append(env, "GOMEMLIMIT="+strconv.Itoa(limit)+"MiB")
	}
	return env
}

func (sp *Spec) check() error {
	switch {
	case sp.Name == "" || strings.ContainsAny(sp.Name, "/\x00") || sp.Name == "." || sp.Name == "..":
		return fmt.Errorf("%q is no name of a program", sp.Name)
	case sp.Mode != Enforce && sp.Mode != Log && sp.Mode != Off:
		return fmt.Errorf("sandbox mode %q is unknown", sp.Mode)
	case sp.Identity && sp.Chroot != "" && sp.Chroot[0] != '/':
		return fmt.Errorf("chroot %q is not absolute", sp.Chroot)
	case sp.UID == ^uint32(0) || sp.GID == ^uint32(0):
		return errors.New("identity -1 means no change and is refused")
	}
	return nil
}

// start is the body of Start, on the starter's thread. The thread has a working directory of
// its own: the child inherits it, and a relative argv[0] is resolved against it
// even after chroot, which is how a program is executed that the chroot does
// not hold. The child's first act is chdir("/"), see internal/worker.
func (s *Starter) start(sp Spec) (Child, error) {
	fail := func(err error) (Child, error) { return Child{}, fmt.Errorf("start %s: %w", sp.Name, err) }
	if err := sp.check(); err != nil {
		return fail(err)
	}
	if s.kind.bounding == 0 && sp.Identity && !sp.RootLogin && (sp.UID == 0 || sp.GID == 0) {
		return fail(errors.New("a worker does not get uid or gid 0"))
	}
	if err := unix.Fchdir(sp.Dir); err != nil {
		return fail(fmt.Errorf("enter the libexec directory: %w", err))
	}
	out, err := openLog(sp.Stderr)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(out)

	files := []uintptr{uintptr(s.null), uintptr(out), uintptr(out)}
	for _, fd := range sp.Files {
		files = append(files, uintptr(fd))
	}
	where, groups := "rootless", sp.Groups
	pidfd := -1
	attr := &syscall.ProcAttr{Files: files, Sys: &syscall.SysProcAttr{
		Setsid: true, // no controlling terminal, no signals from its keys
		PidFD:  &pidfd,
	}}
	attr.Env = append(attr.Env, sp.Env...)
	if sp.Identity {
		where = "root"
		attr.Sys.Chroot = sp.Chroot
		attr.Sys.Credential = &syscall.Credential{Uid: sp.UID, Gid: sp.GID, Groups: groups}
		attr.Env = append(attr.Env, IdentityEnv+"="+IdentityString(sp.UID, sp.GID, groups))
	} else {
		own, err := ownIdentity()
		if err != nil {
			return fail(err)
		}
		attr.Env = append(attr.Env, IdentityEnv+"="+own)
	}
	argv := append([]string{sp.Name, string(sp.Mode), where}, sp.Args...)
	pid, err := syscall.ForkExec("./"+sp.Name, argv, attr)
	if err != nil {
		return fail(err)
	}
	if pidfd < 0 { // only a kernel before 5.2
		if pidfd, err = unix.PidfdOpen(pid, 0); err != nil {
			_ = unix.Kill(pid, unix.SIGKILL)
			_, _ = unix.Wait4(pid, nil, 0, nil)
			return fail(fmt.Errorf("pidfd_open: %w", err))
		}
	}
	unix.CloseOnExec(pidfd)
	return Child{PID: pid, PIDFD: pidfd}, nil
}

func ownIdentity() (string, error) {
	list, err := unix.Getgroups()
	if err != nil {
		return "", fmt.Errorf("getgroups: %w", err)
	}
	groups := make([]uint32, len(list))
	for i, g := range list {
		groups[i] = uint32(g)
	}
	return IdentityString(uint32(unix.Getuid()), uint32(unix.Getgid()), groups), nil
}

// openLog returns a descriptor of the caller's to write the same log as fd:
// opened anew where that is possible (files, terminals, pipes), a duplicate
// otherwise (sockets, which systemd has shut for reading).
func openLog(fd int) (int, error) {
	if fd == 0 {
		fd = 2
	}
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_NOCTTY | unix.O_CLOEXEC
	// O_NONBLOCK only for the open: a pipe that nobody reads would hold it.
	if n, err := unix.Open("/proc/self/fd/"+strconv.Itoa(fd), flags|unix.O_NONBLOCK, 0); err == nil {
		_, err = unix.FcntlInt(uintptr(n), unix.F_SETFL, unix.O_APPEND)
		if err == nil {
			return n, nil
		}
		unix.Close(n)
	}
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return -1, fmt.Errorf("duplicate stderr: %w", err)
	}
	return n, nil
}
