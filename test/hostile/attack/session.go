package attack

import "golang.org/x/sys/unix"

// Session is what a hijacked session tries of its own: it may touch no path, and reach no network but by the
// sockets it was given.
var Session = []Attempt{
	{"openat", "EPERM", OK, func(*Env) error { return opens(unix.SYS_OPENAT, cwd, str("/"), unix.O_RDONLY) }},
	{"openat2", "EPERM", OK, func(*Env) error {
		return opens(unix.SYS_OPENAT2, cwd, str("/"), mem(&unix.OpenHow{Flags: unix.O_PATH}), unix.SizeofOpenHow)
	}},
	{"statx", "EPERM", OK, func(*Env) error {
		return call(unix.SYS_STATX, cwd, str("/"), 0, 0, mem(&unix.Statx_t{}))
	}},
	{"unlinkat", "EPERM", "ENOENT", func(*Env) error { return call(unix.SYS_UNLINKAT, cwd, str("/x"), 0) }},
	{"mkdirat", "EPERM", "", func(*Env) error { return call(unix.SYS_MKDIRAT, cwd, str("/x"), 0o755) }},
	{"renameat2", "EPERM", "", func(*Env) error { return call(unix.SYS_RENAMEAT2, cwd, str("/x"), cwd, str("/y"), 0) }},
	{"symlinkat", "EPERM", "", func(*Env) error { return call(unix.SYS_SYMLINKAT, str("/x"), cwd, str("/y")) }},
	{"linkat", "EPERM", "ENOENT", func(*Env) error { return call(unix.SYS_LINKAT, cwd, str("/x"), cwd, str("/y"), 0) }},
	{"mknodat", "EPERM", "", func(*Env) error { return call(unix.SYS_MKNODAT, cwd, str("/x"), unix.S_IFIFO, 0) }},
	{"fchmodat", "EPERM", "ENOENT", func(*Env) error { return call(unix.SYS_FCHMODAT, cwd, str("/x"), 0o777) }},
	{"fchownat", "EPERM", "ENOENT", func(*Env) error { return call(unix.SYS_FCHOWNAT, cwd, str("/x"), 0, 0, 0) }},
	{"faccessat", "EPERM", OK, func(*Env) error { return call(unix.SYS_FACCESSAT, cwd, str("/"), 0) }},
	{"readlinkat", "EPERM", "ENOENT", func(*Env) error {
		return call(unix.SYS_READLINKAT, cwd, str("/x"), mem(&[8]byte{}), 8)
	}},
	{"truncate", "EPERM", "", func(*Env) error { return call(unix.SYS_TRUNCATE, str("/x"), 0) }},
	{"chdir", "EPERM", OK, func(*Env) error { return call(unix.SYS_CHDIR, str("/")) }},
	{"getdents64", "EPERM", "ENOTDIR", func(e *Env) error {
		return call(unix.SYS_GETDENTS64, uintptr(e.ReadOnly), mem(&[64]byte{}), 64)
	}},
	{"umask", "EPERM", OK, do(unix.SYS_UMASK, 0o77)},

	// The connected client and the socket that is not connected.
	{"connect by sendto", "EPERM", "EINPROGRESS", func(e *Env) error {
		return call(unix.SYS_SENDTO, uintptr(e.Socket), str("x"), 1, unix.MSG_FASTOPEN|unix.MSG_DONTWAIT, mem(sockaddr(e.Port)), 16)
	}},
	{"connect by sendto, without an address", "EPERM", "", func(e *Env) error {
		return call(unix.SYS_SENDTO, uintptr(e.Socket), str("x"), 1, unix.MSG_FASTOPEN|unix.MSG_DONTWAIT, 0, 0)
	}},
	{"sendto an address", "EPERM", "", func(e *Env) error {
		return call(unix.SYS_SENDTO, uintptr(e.Socket), str("x"), 1, unix.MSG_NOSIGNAL, mem(sockaddr(e.Port)), 16)
	}},
	{"connect by sendmsg", "EPERM", "", func(e *Env) error { return sendmsg(e, unix.MSG_FASTOPEN|unix.MSG_DONTWAIT) }},
	{"sendmsg to an address", "EPERM", "", func(e *Env) error { return sendmsg(e, unix.MSG_NOSIGNAL) }},
	{"sendmmsg", "EPERM", "", func(e *Env) error { return call(unix.SYS_SENDMMSG, uintptr(e.Socket), 0, 0, 0) }},
	{"connect by socket option", "EPERM", "", func(e *Env) error {
		return setsockopt(e.Socket, unix.IPPROTO_TCP, unix.TCP_FASTOPEN_CONNECT)
	}},
	{"listen", "EPERM", "", func(e *Env) error { return call(unix.SYS_LISTEN, uintptr(e.Socket), 1) }},
	{"attach a packet filter", "EPERM", "", func(e *Env) error {
		return setsockopt(e.Socket, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER)
	}},
	{"SO_PASSCRED", "EPERM", OK, func(e *Env) error { return setsockopt(e.Channel, unix.SOL_SOCKET, unix.SO_PASSCRED) }},
	{"SO_MARK", "EPERM", "EPERM", func(e *Env) error { return setsockopt(e.Socket, unix.SOL_SOCKET, unix.SO_MARK) }},
	{"pass a descriptor", "EPERM", OK, func(e *Env) error {
		return unix.Sendmsg(e.Channel, []byte("x"), unix.UnixRights(e.ReadOnly), nil, unix.MSG_NOSIGNAL)
	}},

	// The standard streams are not this process's alone.
	{"stdin non-blocking", "EPERM", OK, func(*Env) error { return call(unix.SYS_IOCTL, 0, fionbio, mem(new(int32))) }},
	{"shut stderr", "EPERM", "ENOTSOCK", do(unix.SYS_SHUTDOWN, 2, unix.SHUT_RDWR)},
	{"socket option of stderr", "EPERM", "ENOTSOCK", func(*Env) error { return setsockopt(2, unix.SOL_SOCKET, unix.SO_KEEPALIVE) }},
	{"pipe that stderr is", "EPERM", "EBADF", do(unix.SYS_FCNTL, 2, unix.F_SETPIPE_SZ, 4096)},
	{"push into a terminal", "EPERM", "", do(unix.SYS_IOCTL, 2, unix.TIOCSTI, 0)},

	// Descriptors that were given for less.
	{"write a read-only descriptor", "EBADF", "EBADF", func(e *Env) error {
		return call(unix.SYS_WRITE, uintptr(e.ReadOnly), str("x"), 1)
	}},
	{"pwrite a read-only descriptor", "EBADF", "EBADF", func(e *Env) error {
		return call(unix.SYS_PWRITE64, uintptr(e.ReadOnly), str("x"), 1, 0)
	}},
	{"truncate a read-only descriptor", "EINVAL", "EINVAL", func(e *Env) error {
		return call(unix.SYS_FTRUNCATE, uintptr(e.ReadOnly), 0)
	}},
	{"map a read-only descriptor to write", "EACCES", "EACCES", func(e *Env) error {
		return call(unix.SYS_MMAP, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED, uintptr(e.ReadOnly), 0)
	}},
	{"make a read-only mapping writable", "EACCES", "EACCES", func(e *Env) error {
		p, err := value(unix.SYS_MMAP, 0, 4096, unix.PROT_READ, unix.MAP_SHARED, uintptr(e.ReadOnly), 0)
		if err != nil {
			return err
		}
		return call(unix.SYS_MPROTECT, p, 4096, unix.PROT_READ|unix.PROT_WRITE)
	}},
	{"seal a read-only descriptor", "EPERM", "", func(e *Env) error {
		return call(unix.SYS_FCNTL, uintptr(e.ReadOnly), unix.F_ADD_SEALS, unix.F_SEAL_WRITE)
	}},
	{"take O_APPEND off an upload", "EPERM", OK, func(e *Env) error {
		return call(unix.SYS_FCNTL, uintptr(e.Append), unix.F_SETFL, 0)
	}},
	{"pipe", "EPERM", OK, func(*Env) error {
		var p [2]int32
		if err := call(unix.SYS_PIPE2, mem(&p), 0); err != nil {
			return err
		}
		unix.Close(int(p[0]))
		unix.Close(int(p[1]))
		return nil
	}},
	{"more descriptors than the limit", "EMFILE", "EMFILE", func(e *Env) error {
		var got []uintptr
		defer func() {
			for _, fd := range got {
				unix.Close(int(fd))
			}
		}()
		for range 128 {
			fd, err := value(unix.SYS_FCNTL, uintptr(e.ReadOnly), unix.F_DUPFD_CLOEXEC, 3)
			if err != nil {
				return err
			}
			got = append(got, fd)
		}
		return nil
	}},
}

const fionbio = 0x5421

func setsockopt(fd, level, name int) error {
	one := int32(1)
	return call(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), mem(&one), 4)
}

func sendmsg(e *Env, flags uintptr) error {
	b := byte('x')
	iov := unix.Iovec{Base: &b, Len: 1}
	m := unix.Msghdr{Iov: &iov, Iovlen: 1, Namelen: 16}
	sa := sockaddr(e.Port)
	m.Name = (*byte)(ptr(sa))
	return call(unix.SYS_SENDMSG, uintptr(e.Socket), mem(&m), flags)
}
