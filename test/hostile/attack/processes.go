package attack

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Everyone is what any worker tries: on other processes, on identity, on the sandbox itself.
// They hold for session and files alike.
var Everyone = []Attempt{
	// New processes and programs.
	{"execve", SIGSYS, "", func(*Env) error { return call(unix.SYS_EXECVE, str("/bin/true"), 0, 0) }},
	{"execveat", SIGSYS, "", func(*Env) error { return call(unix.SYS_EXECVEAT, cwd, str("/bin/true"), 0, 0, 0) }},
	{"fork", SIGSYS, "", doFork(unix.SYS_CLONE, uintptr(unix.SIGCHLD))},
	{"clone into a user namespace", SIGSYS, "", doFork(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD))},
	{"thread in a network namespace", SIGSYS, "", doFork(unix.SYS_CLONE, 0x50f00|unix.CLONE_NEWNET)},
	{"clone3", "ENOSYS", "", func(*Env) error {
		return forks(unix.SYS_CLONE3, mem(&[8]uint64{4: uint64(unix.SIGCHLD)}), 64)
	}},
	{"unshare a user namespace", "EPERM", "", do(unix.SYS_UNSHARE, unix.CLONE_NEWUSER)},
	{"setns", "EPERM", "EBADF", do(unix.SYS_SETNS, ^uintptr(0))},

	// Other processes.
	{"ptrace a sibling", SIGSYS, "", func(e *Env) error { return call(unix.SYS_PTRACE, unix.PTRACE_ATTACH, uintptr(e.Sibling)) }},
	{"ptrace by the parent", SIGSYS, "", do(unix.SYS_PTRACE, unix.PTRACE_TRACEME)},
	{"process_vm_writev", "EPERM", "", func(e *Env) error { return vm(unix.SYS_PROCESS_VM_WRITEV, e.Sibling) }},
	{"process_vm_readv", "EPERM", "", func(e *Env) error { return vm(unix.SYS_PROCESS_VM_READV, e.Sibling) }},
	{"kill a sibling", "EPERM", OK, func(e *Env) error { return call(unix.SYS_KILL, uintptr(e.Sibling), 0) }},
	{"kill master", "EPERM", "", func(e *Env) error { return call(unix.SYS_KILL, uintptr(e.Master), 0) }},
	{"kill all", "EPERM", OK, func(e *Env) error { return call(unix.SYS_KILL, ^uintptr(0), 0) }},
	{"tkill a sibling", "EPERM", OK, func(e *Env) error { return call(unix.SYS_TKILL, uintptr(e.Sibling), 0) }},
	{"tgkill a sibling", "EPERM", OK, func(e *Env) error {
		return call(unix.SYS_TGKILL, uintptr(e.Sibling), uintptr(e.Sibling), 0)
	}},
	{"rt_sigqueueinfo", "EPERM", OK, func(e *Env) error {
		return call(unix.SYS_RT_SIGQUEUEINFO, uintptr(e.Sibling), 0, mem(&[32]int32{2: -1}))
	}},
	{"rt_tgsigqueueinfo", "EPERM", OK, func(e *Env) error {
		return call(unix.SYS_RT_TGSIGQUEUEINFO, uintptr(e.Sibling), uintptr(e.Sibling), 0, mem(&[32]int32{2: -1}))
	}},
	{"pidfd_open", "EPERM", OK, func(e *Env) error { return opens(unix.SYS_PIDFD_OPEN, uintptr(e.Sibling), 0) }},
	{"pidfd_send_signal", "EPERM", "EBADF", do(unix.SYS_PIDFD_SEND_SIGNAL, ^uintptr(0), 0, 0, 0)},
	{"pidfd_getfd", "EPERM", "EBADF", do(unix.SYS_PIDFD_GETFD, ^uintptr(0), 0, 0)},
	{"F_SETOWN a sibling", "EPERM", OK, func(e *Env) error {
		return call(unix.SYS_FCNTL, uintptr(e.Channel), unix.F_SETOWN, uintptr(e.Sibling))
	}},
	{"F_SETOWN_EX a sibling", "EPERM", OK, func(e *Env) error {
		return call(unix.SYS_FCNTL, uintptr(e.Channel), unix.F_SETOWN_EX, mem(&[2]int32{1, int32(e.Sibling)}))
	}},
	{"F_SETSIG", "EPERM", OK, func(e *Env) error { return call(unix.SYS_FCNTL, uintptr(e.Channel), unix.F_SETSIG, 9) }},
	{"F_SETFL O_ASYNC", "EPERM", OK, func(e *Env) error {
		return call(unix.SYS_FCNTL, uintptr(e.Channel), unix.F_SETFL, unix.O_ASYNC)
	}},
	{"FIOASYNC", "EPERM", OK, func(e *Env) error {
		return call(unix.SYS_IOCTL, uintptr(e.Channel), 0x5452, mem(new(int32)))
	}},
	{"SIOCSPGRP", "EPERM", OK, func(e *Env) error {
		own := int32(unix.Getpid())
		return call(unix.SYS_IOCTL, uintptr(e.Channel), 0x8902, mem(&own))
	}},
	{"sched_setaffinity of a sibling", "EPERM", OK, func(e *Env) error {
		return call(unix.SYS_SCHED_SETAFFINITY, uintptr(e.Sibling), 8, mem(&[1]uint64{^uint64(0)}))
	}},
	{"setpriority of a sibling", "EPERM", OK, func(e *Env) error {
		return call(unix.SYS_SETPRIORITY, 0, uintptr(e.Sibling), 19)
	}},
	{"prlimit64 of a sibling", "EPERM", "", func(e *Env) error {
		return call(unix.SYS_PRLIMIT64, uintptr(e.Sibling), unix.RLIMIT_NOFILE, mem(&[2]uint64{}), 0)
	}},

	// Identity and privileges.
	{"setuid", "EPERM", "", do(unix.SYS_SETUID, 0)},
	{"setresuid to itself", "EPERM", OK, do(unix.SYS_SETRESUID, ^uintptr(0), ^uintptr(0), ^uintptr(0))},
	{"setgroups", "EPERM", "", do(unix.SYS_SETGROUPS, 0, 0)},
	{"capset", "EPERM", "", do(unix.SYS_CAPSET, 0, 0)},
	{"dumpable again", "EPERM", OK, do(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1)},
	{"PR_SET_PDEATHSIG", "EPERM", OK, do(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, 0)},
	{"PR_SET_SECCOMP", "EPERM", "", do(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, 2, 0)},
	{"seccomp", "EPERM", "EFAULT", do(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, 0)},
	{"personality", "EPERM", OK, do(unix.SYS_PERSONALITY, 1<<32-1)},
	{"raise a limit", "EPERM", OK, func(*Env) error {
		return call(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE, 0, mem(&[2]uint64{}))
	}},
	{"setsid", "EPERM", "EPERM", do(unix.SYS_SETSID)},
	{"chroot", "EPERM", "", func(*Env) error { return call(unix.SYS_CHROOT, str("/")) }},
	{"mount", "EPERM", "", do(unix.SYS_MOUNT, 0, 0, 0, 0, 0)},

	// Memory and the kernel's dark corners.
	{"map executable memory", "EPERM", OK, func(*Env) error {
		return call(unix.SYS_MMAP, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON, ^uintptr(0), 0)
	}},
	{"make memory executable", "EPERM", OK, func(*Env) error {
		p, err := value(unix.SYS_MMAP, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON, ^uintptr(0), 0)
		if err != nil {
			return err
		}
		return call(unix.SYS_MPROTECT, p, 4096, unix.PROT_READ|unix.PROT_EXEC)
	}},
	{"pkey_mprotect", "EPERM", "", do(unix.SYS_PKEY_MPROTECT, 0, 4096, unix.PROT_READ, ^uintptr(0))},
	{"memory that no limit counts, shared", "EPERM", OK, func(*Env) error {
		return call(unix.SYS_MMAP, 0, 512<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON, ^uintptr(0), 0)
	}},
	{"memory that no limit counts, growing", "EPERM", OK, func(*Env) error {
		return call(unix.SYS_MMAP, 0, 512<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_GROWSDOWN, ^uintptr(0), 0)
	}},
	{"memory that no limit counts, read-only", "EPERM", OK, func(*Env) error {
		p, err := value(unix.SYS_MMAP, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON, ^uintptr(0), 0)
		if err != nil {
			return err
		}
		return call(unix.SYS_MPROTECT, p, 4096, unix.PROT_READ)
	}},
	{"more memory than the limit", "ENOMEM", "ENOMEM", func(*Env) error {
		return call(unix.SYS_MMAP, 0, 512<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE, ^uintptr(0), 0)
	}},
	{"memfd_create", "EPERM", OK, func(*Env) error { return opens(unix.SYS_MEMFD_CREATE, str("x"), 0) }},
	{"shmget", "EPERM", "", do(unix.SYS_SHMGET, 0, 4096, 0o600)},
	{"io_uring_setup", "EPERM", "", func(*Env) error { return opens(unix.SYS_IO_URING_SETUP, 4, mem(&[30]uint32{})) }},
	{"bpf", "EPERM", "", do(unix.SYS_BPF, 0, 0, 0)},
	{"perf_event_open", "EPERM", "", do(unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, 0, 0)},
	{"userfaultfd", "EPERM", "", doOpen(unix.SYS_USERFAULTFD, 1)},
	{"keyctl", "EPERM", "", do(unix.SYS_KEYCTL, 0, ^uintptr(1), 0)},
	{"inotify_init1", "EPERM", OK, doOpen(unix.SYS_INOTIFY_INIT1, 0)},
	{"timerfd_create", "EPERM", OK, doOpen(unix.SYS_TIMERFD_CREATE, 1, 0)},

	// New sockets.
	{"socket", SIGSYS, "", doOpen(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0)},
	{"socket of the unix family", SIGSYS, "", doOpen(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0)},
	{"socket of multipath TCP", SIGSYS, "", doOpen(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP)},
	{"socket of netlink", SIGSYS, "", doOpen(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, 0)},
	{"socketpair", "EPERM", OK, func(*Env) error {
		return call(unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM, 0, mem(&[2]int32{}))
	}},
	{"connect", SIGSYS, "", func(e *Env) error {
		return call(unix.SYS_CONNECT, uintptr(e.Channel), mem(sockaddr(e.Port)), 16)
	}},
	{"bind", SIGSYS, "", func(e *Env) error { return call(unix.SYS_BIND, uintptr(e.Channel), mem(sockaddr(0)), 16) }},
	{"accept4", "EPERM", "EINVAL", func(e *Env) error { return call(unix.SYS_ACCEPT4, uintptr(e.Channel), 0, 0, 0) }},

	// What stderr stands for: a log file of the administrator.
	{"truncate stderr", "EPERM", OK, do(unix.SYS_FTRUNCATE, 2, 0)},
	{"seek in stderr", "EPERM", OK, do(unix.SYS_LSEEK, 2, 0, 0)},
	{"write into stderr", "EPERM", OK, func(*Env) error { return call(unix.SYS_PWRITE64, 2, str("x"), 1, 0) }},
	{"read stderr", "EBADF", "EBADF", func(*Env) error { return call(unix.SYS_PREAD64, 2, mem(&[8]byte{}), 8, 0) }},
	{"take O_APPEND off stderr", "EPERM", OK, do(unix.SYS_FCNTL, 2, unix.F_SETFL, 0)},
	{"duplicate stderr", "EPERM", OK, doOpen(unix.SYS_FCNTL, 2, unix.F_DUPFD_CLOEXEC, 20)},
	{"dup stderr", "EPERM", OK, doOpen(unix.SYS_DUP, 2)},
	{"dup3 stderr", "EPERM", OK, doOpen(unix.SYS_DUP3, 2, 90, 0)},
}

func vm(nr uintptr, pid int) error {
	var b [8]byte
	local := unix.Iovec{Base: &b[0], Len: 8}
	remote := unix.RemoteIovec{Base: uintptr(unsafe.Pointer(&b[0])), Len: 8}
	return call(nr, uintptr(pid), mem(&local), 1, mem(&remote), 1, 0)
}
