package attack

import "golang.org/x/sys/unix"

// Arch is what only this architecture has.
var Arch = []Attempt{
	{"open", "EPERM", OK, func(*Env) error { return opens(unix.SYS_OPEN, str("/"), 0) }},
	{"old fork", SIGSYS, "", doFork(unix.SYS_FORK)},
	{"vfork", SIGSYS, "", doFork(unix.SYS_VFORK)},
	{"the x32 ABI", SIGSYS, "", do(0x40000000 | unix.SYS_GETPID)},
	{"ioperm", "EPERM", "", do(unix.SYS_IOPERM, 0, 1, 1)},
}
