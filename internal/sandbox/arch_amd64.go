package sandbox

import "golang.org/x/sys/unix"

const (
	auditArch  = unix.AUDIT_ARCH_X86_64
	x32Bit     = 0x40000000 // set in the numbers of the x32 ABI, which is refused
	sysFstatat = unix.SYS_NEWFSTATAT
)

// Calls that arm64 never had.
var (
	oldFork = []uintptr{unix.SYS_FORK, unix.SYS_VFORK}
	oldPoll = []uintptr{unix.SYS_POLL}
	oldDeny = []uintptr{unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_USELIB, unix.SYS_USTAT, unix.SYS_SYSFS, unix.SYS__SYSCTL, unix.SYS_CREATE_MODULE}
)
