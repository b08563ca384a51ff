package sandbox

import (
	"fmt"
	"math/bits"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Master puts the deny list on all threads of master, the starters' included,
// and so on everything they start. Call it after the starters were made.
//
// Without CAP_SYS_ADMIN it sets no_new_privs on all of master, as the kernel
// demands; PAM modules then cannot run set-user-id programs. After the
// re-execution of an upgrade the filter is still there, and allows all that a
// new master does: Master then does nothing.
func Master(m Mode) error {
	if _, err := ParseMode(string(m)); err != nil || m == Off {
		return err
	}
	if m == Enforce && masterFiltered() {
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	eff, _, _, err := ThreadCaps()
	if err != nil {
		return err
	}
	if eff&Caps(unix.CAP_SYS_ADMIN) == 0 { // TSYNC carries it to all threads
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("set no_new_privs: %w", err)
		}
	}
	return masterProfile().install(m)
}

// masterFiltered tells whether the deny list is in force, by calls that only it
// answers with EPERM: their arguments are wrong in a way that the kernel would
// name otherwise.
func masterFiltered() bool {
	bad := ^uintptr(0)
	for _, c := range []struct{ nr, arg uintptr }{
		{unix.SYS_SETNS, bad},             // EBADF
		{unix.SYS_IO_URING_ENTER, bad},    // EBADF
		{unix.SYS_PERSONALITY, 1<<32 - 1}, // asks, and succeeds
		{unix.SYS_PROCESS_VM_READV, bad},  // ESRCH or EINVAL
		{unix.SYS_PIDFD_GETFD, bad},       // EBADF
	} {
		if _, _, errno := unix.Syscall(c.nr, c.arg, 0, 0); errno != unix.EPERM {
			return false
		}
	}
	return true
}

// masterKeeps is what master and the children it may start as root need:
// identities and roots for workers, signals, ports below 1024, its own files
// and directories, and the whole of what ForPam and ForAuthd hand on.
var masterKeeps = Caps(unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SETPCAP, unix.CAP_SYS_CHROOT, unix.CAP_KILL,
	unix.CAP_NET_BIND_SERVICE, unix.CAP_CHOWN, unix.CAP_FOWNER, unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH) |
	ForPam.Bounding() | ForAuthd.Bounding()

// TrimMaster takes everything master does not need out of the capability sets of
// all its threads: no module loading, no tracing, no raw sockets, no mounts, no
// devices. Call it after Master. Rootless it does nothing. It must be a program
// without cgo.
func TrimMaster() error {
	eff, prm, _, err := ThreadCaps()
	if err != nil {
		return err
	}
	if eff&Caps(unix.CAP_SETPCAP) == 0 && unix.Geteuid() != 0 {
		return nil
	}
	for left := BoundingSet() &^ masterKeeps; left != 0; left &= left - 1 {
		c := bits.TrailingZeros64(uint64(left))
		if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uintptr(c), 0); errno != 0 {
			return fmt.Errorf("drop capability %d from master's bounding set: %w", c, errno)
		}
	}
	keep := prm & masterKeeps
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	d := [2]unix.CapUserData{
		{Effective: uint32(keep), Permitted: uint32(keep)},
		{Effective: uint32(keep >> 32), Permitted: uint32(keep >> 32)},
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&h)), uintptr(unsafe.Pointer(&d)), 0)
	if errno != 0 {
		return fmt.Errorf("trim master's capabilities: %w", errno)
	}
	return nil
}
