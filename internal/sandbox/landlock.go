package sandbox

import (
	"fmt"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// landlockABI returns the kernel's landlock version, 0 where there is none.
func landlockABI() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// minLandlock is the first version that can allow a rename from one directory
// to another; version 1 always refuses it.
const minLandlock = 2

// signalErratum is the correction (ABI 7, and back-ported) without which
// LANDLOCK_SCOPE_SIGNAL stops signals between threads of one process. The Go
// runtime needs those to preempt goroutines.
const signalErratum = 1 << 1

// rights returns what landlock can deny in version abi.
func rights(abi int) unix.LandlockRulesetAttr {
	a := unix.LandlockRulesetAttr{Handled_access_fs: unix.LANDLOCK_ACCESS_FS_REFER<<1 - 1} // bits 0 to 13: version 2
	if abi >= 3 {
		a.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 4 {
		a.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= 5 {
		a.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= 6 {
		a.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
		errata, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_ERRATA)
		if errno == 0 && errata&signalErratum != 0 {
			a.Scoped |= unix.LANDLOCK_SCOPE_SIGNAL
		}
	}
	return a
}

// treeRights is what a files process may do beneath its root: no execution, no
// devices, sockets or pipes.
const treeRights = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR |
	unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
	unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER | unix.LANDLOCK_ACCESS_FS_TRUNCATE

// landlockNothing denies every file, TCP port and foreign process.
func landlockNothing() (string, error) { return landlock(-1) }

// landlockBeneath denies everything but the tree beneath root.
func landlockBeneath(root int) (string, error) { return landlock(root) }

// exception adds what a ruleset allows all the same.
type exception func(set uintptr, attr *unix.LandlockRulesetAttr) error

// landlock restricts all threads. A kernel without it is no error; the note
// says so.
func landlock(root int, but ...exception) (note string, err error) {
	abi := landlockABI()
	if abi < minLandlock {
		return "no landlock (the kernel has version " + strconv.Itoa(abi) + ")", nil
	}
	attr := rights(abi)
	// The size is that of version 6; older kernels take it while what they do
	// not know is zero.
	set, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Offsetof(attr.Quiet_access_fs), 0)
	if errno != 0 {
		return "", fmt.Errorf("landlock: create ruleset: %w", errno)
	}
	defer unix.Close(int(set))
	if root >= 0 {
		// struct landlock_path_beneath_attr is packed: the field of x/sys
		// lies at the same offset, what follows it is not read.
		beneath := unix.LandlockPathBeneathAttr{Allowed_access: treeRights & attr.Handled_access_fs, Parent_fd: int32(root)}
		if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, set, unix.LANDLOCK_RULE_PATH_BENEATH,
			uintptr(unsafe.Pointer(&beneath)), 0, 0, 0); errno != 0 {
			return "", fmt.Errorf("landlock: allow the root: %w", errno)
		}
	}
	for _, add := range but {
		if err := add(set, &attr); err != nil {
			return "", err
		}
	}
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0, 0); errno != 0 {
		return "", fmt.Errorf("landlock: restrict: %w", errno)
	}
	return "landlock " + strconv.Itoa(abi), nil
}
