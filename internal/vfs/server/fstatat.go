package server

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// alone tells whether this process has one processor to run Go code on, as
// master starts it.
var alone = runtime.GOMAXPROCS(0) == 1

// lstatEntry is the facts of an entry of the open directory dir, which came
// from a [dirReader]. It is what a listing does most, and therefore goes without
// a copy of the name (a NUL follows it where it lies, see [parseDirents]) and,
// in a process where nothing else could run meanwhile, without telling the
// scheduler.
func lstatEntry(dir int, e *entry, st *unix.Stat_t) error {
	var errno unix.Errno
	if name := unsafe.StringData(e.name); alone {
		_, _, errno = unix.RawSyscall6(sysFstatat, uintptr(dir), uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(st)), unix.AT_SYMLINK_NOFOLLOW, 0, 0)
	} else {
		_, _, errno = unix.Syscall6(sysFstatat, uintptr(dir), uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(st)), unix.AT_SYMLINK_NOFOLLOW, 0, 0)
	}
	if errno != 0 {
		return errno
	}
	return nil
}
