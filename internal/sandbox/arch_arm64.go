package sandbox

import "golang.org/x/sys/unix"

const (
	auditArch  = unix.AUDIT_ARCH_AARCH64
	x32Bit     = 0
	sysFstatat = unix.SYS_FSTATAT
)

// Calls that amd64 has kept from older times.
var (
	oldFork []uintptr
	oldPoll []uintptr
	oldDeny []uintptr
)
