package attack

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func ptr[T any](v *T) unsafe.Pointer {
	kept = append(kept, v)
	return unsafe.Pointer(v)
}

// Files is what a hijacked files process tries of its own: to leave the root, by any way but the one openat2 that
// the program uses. The root holds: file, abs (a link to Outside/secret), up (a
// link to ../outside/secret), dir.
var Files = []Attempt{
	{"read a file of the root", OK, OK, func(e *Env) error { return open2(e.Root, "file", unix.O_RDONLY, 0) }},
	{"rename between directories of the root", OK, OK, func(e *Env) error {
		if err := rename(e.Root, "file", e.Root, "dir/file"); err != nil {
			return err
		}
		return rename(e.Root, "dir/file", e.Root, "file")
	}},
	{"create a file in the root", OK, OK, func(e *Env) error {
		if err := open2(e.Root, "new", unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0); err != nil {
			return err
		}
		return call(unix.SYS_UNLINKAT, uintptr(e.Root), str("new"), 0)
	}},

	{"openat", "EPERM", OK, func(e *Env) error { return opens(unix.SYS_OPENAT, uintptr(e.Root), str("file"), 0) }},
	{"read by an absolute path", "EACCES", OK, func(e *Env) error { return open2(e.Root, e.Outside+"/secret", unix.O_RDONLY, 0) }},
	{"read through ..", "EACCES", OK, func(e *Env) error { return open2(e.Root, "../outside/secret", unix.O_RDONLY, 0) }},
	{"read through an absolute link", "EACCES", OK, func(e *Env) error { return open2(e.Root, "abs", unix.O_RDONLY, 0) }},
	{"read through a link with ..", "EACCES", OK, func(e *Env) error { return open2(e.Root, "up", unix.O_RDONLY, 0) }},
	{"list a directory outside", "EACCES", OK, func(e *Env) error { return open2(e.Root, e.Outside, unix.O_RDONLY|unix.O_DIRECTORY, 0) }},
	{"append to a file outside", "EACCES", OK, func(e *Env) error {
		return open2(e.Root, e.Outside+"/writable", unix.O_WRONLY|unix.O_APPEND, 0)
	}},
	{"truncate a file outside", "EACCES", OK, func(e *Env) error {
		return open2(e.Root, e.Outside+"/writable", unix.O_WRONLY|unix.O_TRUNC, 0)
	}},
	{"create outside", "EACCES", OK, func(e *Env) error {
		return open2(e.Root, e.Outside+"/new", unix.O_WRONLY|unix.O_CREAT, 0)
	}},
	{"mkdir outside", "EACCES", OK, func(e *Env) error { return call(unix.SYS_MKDIRAT, cwd, str(e.Outside+"/newdir"), 0o700) }},
	{"delete outside", "EACCES", OK, func(e *Env) error { return call(unix.SYS_UNLINKAT, cwd, str(e.Outside+"/victim"), 0) }},
	{"rename out of the root", "EACCES", OK, func(e *Env) error {
		if err := rename(e.Root, "file", int(cwd32), e.Outside+"/file"); err != nil {
			return err
		}
		return rename(int(cwd32), e.Outside+"/file", e.Root, "file")
	}},
	{"rename into the root", "EACCES", OK, func(e *Env) error {
		if err := rename(int(cwd32), e.Outside+"/secret", e.Root, "stolen"); err != nil {
			return err
		}
		return rename(e.Root, "stolen", int(cwd32), e.Outside+"/secret")
	}},
	{"in the root, .. stays", "ENOENT", "ENOENT", func(e *Env) error {
		return open2(e.Root, "../outside/secret", unix.O_RDONLY, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
	}},
	{"in the root, an absolute link stays", "ENOENT", "ENOENT", func(e *Env) error {
		return open2(e.Root, "abs", unix.O_RDONLY, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
	}},
	{"/proc/self/status", "EACCES", "", func(e *Env) error { return open2(e.Root, "/proc/self/status", unix.O_RDONLY, 0) }},
	{"a sibling's memory", "EACCES", "", func(e *Env) error {
		return open2(e.Root, "/proc/"+itoa(e.Sibling)+"/mem", unix.O_RDWR, 0)
	}},
	{"a magic link to the root directory", "EACCES", "", func(e *Env) error {
		return open2(e.Root, "/proc/self/root/etc/passwd", unix.O_RDONLY, 0)
	}},
	{"hard link into the root", "EPERM", "", func(e *Env) error {
		return call(unix.SYS_LINKAT, cwd, str("/etc/shadow"), uintptr(e.Root), str("shadow"), 0)
	}},
	{"hard link of an open file", "EPERM", "", func(e *Env) error {
		return call(unix.SYS_LINKAT, cwd, str("/proc/self/fd/2"), uintptr(e.Root), str("log"), unix.AT_SYMLINK_FOLLOW)
	}},
	{"symbolic link", OK, OK, func(e *Env) error {
		if err := call(unix.SYS_SYMLINKAT, str("/etc"), uintptr(e.Root), str("link")); err != nil {
			return err
		}
		return call(unix.SYS_UNLINKAT, uintptr(e.Root), str("link"), 0)
	}},
	{"symbolic link outside", "EACCES", "", func(e *Env) error {
		return call(unix.SYS_SYMLINKAT, str("/etc"), cwd, str(e.Outside+"/link"))
	}},
	{"named pipe", "EPERM", OK, func(e *Env) error { return call(unix.SYS_MKNODAT, uintptr(e.Root), str("pipe"), unix.S_IFIFO|0o600, 0) }},
	{"chown", "EPERM", OK, func(e *Env) error {
		return call(unix.SYS_FCHOWNAT, uintptr(e.Root), str("file"), ^uintptr(0), ^uintptr(0), 0)
	}},
	{"give a descriptor's file away", "EPERM", "", func(e *Env) error {
		return call(unix.SYS_FCHOWNAT, uintptr(e.ReadOnly), str(""), 12345, 12345, unix.AT_EMPTY_PATH)
	}},
	{"change a mode through a link", "EPERM", "", func(e *Env) error {
		return call(unix.SYS_FCHMODAT, uintptr(e.Root), str("up"), 0o777)
	}},
	{"change a mode through a link, newer call", "EPERM", "", func(e *Env) error {
		return call(unix.SYS_FCHMODAT2, uintptr(e.Root), str("up"), 0o777, 0)
	}},
	{"change times through a link", "EPERM", "", func(e *Env) error {
		return call(unix.SYS_UTIMENSAT, uintptr(e.Root), str("up"), 0, 0)
	}},
	{"setxattr", "EPERM", "", func(e *Env) error { return call(unix.SYS_SETXATTR, str("/x"), str("user.x"), 0, 0, 0) }},
	{"truncate by path", "EPERM", OK, func(e *Env) error { return call(unix.SYS_TRUNCATE, str(e.Outside+"/writable"), 0) }},
	{"chdir", "EPERM", OK, func(*Env) error { return call(unix.SYS_CHDIR, str("/")) }},
	{"fchdir", "EPERM", OK, func(e *Env) error { return call(unix.SYS_FCHDIR, uintptr(e.Root)) }},
	{"open_by_handle_at", "EPERM", "", do(unix.SYS_OPEN_BY_HANDLE_AT, cwd, 0, 0)},
	{"lease", "EPERM", "", func(e *Env) error { return call(unix.SYS_FCNTL, uintptr(e.ReadOnly), unix.F_SETLEASE, unix.F_RDLCK) }},
	{"sendfile", "EPERM", "", func(e *Env) error { return call(unix.SYS_SENDFILE, uintptr(e.Channel), uintptr(e.ReadOnly), 0, 1) }},
}

const cwd32 = int32(unix.AT_FDCWD)

func open2(dir int, path string, flags, resolve uint64) error {
	how := &unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: resolve}
	if flags&unix.O_CREAT != 0 {
		how.Mode = 0o600
	}
	return opens(unix.SYS_OPENAT2, uintptr(dir), str(path), mem(how), unix.SizeofOpenHow)
}

func rename(from int, name string, to int, target string) error {
	return call(unix.SYS_RENAMEAT2, uintptr(from), str(name), uintptr(to), str(target), 0)
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}
