package sandbox

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Conditions below name arguments by their place, 0 to 5, as in the manual page
// of the call.

// runtimeCalls is what the Go runtime needs, whatever the program does.
func runtimeCalls() []uintptr {
	return []uintptr{
		unix.SYS_FUTEX, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY,
		unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EVENTFD2,
		unix.SYS_MUNMAP, unix.SYS_MADVISE, unix.SYS_MINCORE,
		unix.SYS_RT_SIGRETURN, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGACTION, unix.SYS_SIGALTSTACK,
		unix.SYS_GETTID, unix.SYS_GETPID, unix.SYS_RESTART_SYSCALL,
		unix.SYS_GETRANDOM, unix.SYS_CLOCK_GETTIME, unix.SYS_GETTIMEOFDAY,
		unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
	}
}

// Flags of a clone that makes a thread, and flags that a thread never has. Threads
// have their descriptors in common: RLIMIT_NOFILE would count those of each otherwise.
const (
	threadFlags = unix.CLONE_VM | unix.CLONE_SIGHAND | unix.CLONE_THREAD | unix.CLONE_FILES | unix.CLONE_FS
	alienFlags  = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
		unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_VFORK | unix.CLONE_PTRACE | unix.CLONE_UNTRACED |
		unix.CLONE_PARENT | unix.CLONE_PIDFD
)

// runtimeRules is what the Go runtime needs of calls that can do more.
func runtimeRules(pid int) []rule {
	return []rule{
		// Signals to own threads (preemption), not to another process.
		only(unix.SYS_TGKILL, when(equals(0, uint32(pid)))),
		// No memory that is, or becomes, executable, and none that RLIMIT_DATA does
		// not count: shared without a file, or growing downwards.
		only(unix.SYS_MMAP,
			when(lacks(2, unix.PROT_EXEC), lacks(3, unix.MAP_GROWSDOWN|unix.MAP_SHARED)),
			when(lacks(2, unix.PROT_EXEC), lacks(3, unix.MAP_GROWSDOWN|unix.MAP_ANONYMOUS))),
		// What is no longer writable would not count any more, and still be there.
		only(unix.SYS_MPROTECT, when(lacks(2, unix.PROT_EXEC), has(2, unix.PROT_WRITE))),
		// Names of mappings and threads. Not PR_SET_DUMPABLE, PR_SET_PTRACER ...
		only(unix.SYS_PRCTL, when(oneOf(0, unix.PR_SET_VMA, unix.PR_SET_NAME))),
		// Threads, never processes.
		orKill(unix.SYS_CLONE, when(has(0, threadFlags), lacks(0, alienFlags))),
	}
}

// forbidden is what no worker has a reason to try.
func forbidden() []uintptr {
	return append([]uintptr{
		unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_SOCKET, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_PTRACE,
	}, oldFork...)
}

// minFile keeps calls that change an open file, or a socket, away from stdin,
// stdout and stderr: stderr may be a log file that belongs to the administrator, or
// the daemon's own connection to the journal, and stdin is one open file for all
// children of a starter.
const minFile = 3

// ioctls of a socket; the numbers are the same on amd64 and arm64.
const (
	fionread = 0x541b
	fionbio  = 0x5421
)

// fileRules is what may be done to descriptors.
func fileRules(setfl bool) []rule {
	fcntl := [][]cond{
		when(oneOf(1, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL)),
		when(equals(1, unix.F_DUPFD_CLOEXEC), atLeast(0, minFile)),
	}
	if setfl { // O_ASYNC makes the kernel send signals
		fcntl = append(fcntl, when(equals(1, unix.F_SETFL), lacks(2, unix.O_ASYNC), atLeast(0, minFile)))
	}
	return []rule{
		only(unix.SYS_FCNTL, fcntl...),
		only(unix.SYS_LSEEK, when(atLeast(0, minFile))),
		only(unix.SYS_PWRITE64, when(atLeast(0, minFile))),
		only(unix.SYS_FTRUNCATE, when(atLeast(0, minFile))),
		only(unix.SYS_FALLOCATE, when(atLeast(0, minFile))),
	}
}

// messageRules is what may be done to a connected socket. There is no sendmsg: it
// passes descriptors, and who receives, or drops, the last one of a file or socket
// is who closes it, and waits as long as that takes. Whoever reads a channel in
// which none belong would wait for what a hijacked worker has put into it.
func messageRules() []rule {
	return []rule{
		// MSG_FASTOPEN connects, an address names another peer.
		only(unix.SYS_SENDTO, when(null(4), lacks(3, unix.MSG_FASTOPEN))),
	}
}

// passRules is for a worker that passes descriptors.
func passRules() []rule {
	return []rule{only(unix.SYS_SENDMSG, when(lacks(2, unix.MSG_FASTOPEN)))}
}

func messageCalls() []uintptr {
	return []uintptr{unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_CLOSE, unix.SYS_FSTAT, unix.SYS_RECVMSG, unix.SYS_RECVFROM}
}

func waitCalls() []uintptr { return append([]uintptr{unix.SYS_PPOLL}, oldPoll...) }

// sessionProfile: a connected client, channels, open files. No path, no new
// socket, no process.
func sessionProfile(pid int) *profile {
	return &profile{
		name: "session",
		rules: slices.Concat(runtimeRules(pid), messageRules(),
			// No F_SETFL: it would take O_APPEND off an upload that may only
			// append. Sockets are switched by ioctl FIONBIO.
			fileRules(false), []rule{
				only(unix.SYS_IOCTL, when(oneOf(1, fionread, unix.SIOCATMARK, fionbio), atLeast(0, minFile))),
				only(unix.SYS_SHUTDOWN, when(atLeast(0, minFile))),
				// SO_LINGER resets a data connection. Master, which may be the last to
				// close the client's, takes it off there.
				only(unix.SYS_SETSOCKOPT,
					when(atLeast(0, minFile), equals(1, unix.SOL_SOCKET), oneOf(2, unix.SO_LINGER, unix.SO_KEEPALIVE, unix.SO_OOBINLINE,
						unix.SO_RCVTIMEO, unix.SO_SNDTIMEO, unix.SO_SNDBUF, unix.SO_RCVBUF)),
					when(atLeast(0, minFile), equals(1, unix.IPPROTO_TCP), oneOf(2, unix.TCP_NODELAY, unix.TCP_CORK, unix.TCP_KEEPIDLE,
						unix.TCP_KEEPINTVL, unix.TCP_KEEPCNT, unix.TCP_QUICKACK, unix.TCP_USER_TIMEOUT, unix.TCP_NOTSENT_LOWAT)),
					when(atLeast(0, minFile), equals(1, unix.IPPROTO_IP), equals(2, unix.IP_TOS)),
					when(atLeast(0, minFile), equals(1, unix.IPPROTO_IPV6), equals(2, unix.IPV6_TCLASS))),
				// SO_PROTOCOL is asked for where an address of a socket is read.
				only(unix.SYS_GETSOCKOPT,
					when(equals(1, unix.SOL_SOCKET), oneOf(2, unix.SO_ERROR, unix.SO_TYPE, unix.SO_DOMAIN, unix.SO_PROTOCOL, unix.SO_LINGER,
						unix.SO_SNDBUF, unix.SO_RCVBUF, unix.SO_RCVTIMEO, unix.SO_SNDTIMEO)),
					when(equals(1, unix.IPPROTO_TCP), oneOf(2, unix.TCP_NODELAY, unix.TCP_CORK, unix.TCP_INFO))),
			}),
		plain: map[verdict][]uintptr{
			allow: slices.Concat(runtimeCalls(), messageCalls(), waitCalls(), []uintptr{
				unix.SYS_PREAD64, unix.SYS_SENDFILE, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_FADVISE64,
				unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME,
			}),
			kill:   forbidden(),
			enosys: {unix.SYS_CLONE3},
		},
		rest: eperm,
	}
}

// hashProfile: one channel and memory.
func hashProfile(pid int) *profile {
	return &profile{
		name:  "hash",
		rules: slices.Concat(runtimeRules(pid), messageRules(), timeoutRules()),
		plain: map[verdict][]uintptr{
			allow:  slices.Concat(runtimeCalls(), messageCalls(), waitCalls()),
			kill:   forbidden(),
			enosys: {unix.SYS_CLONE3},
		},
		rest: eperm,
	}
}

// timeoutRules lets a process bound its blocking calls on a channel.
func timeoutRules() []rule {
	return []rule{
		only(unix.SYS_SETSOCKOPT, when(atLeast(0, minFile), equals(1, unix.SOL_SOCKET), oneOf(2, unix.SO_RCVTIMEO, unix.SO_SNDTIMEO))),
	}
}

// filesProfile: the tree of one user. Paths only by openat2, which resolves
// beneath the root, and by *at calls; what they may reach is landlock's and the
// user's identity's to say. Landlock has no word on modes, groups and times:
// they are changed by descriptor (AT_EMPTY_PATH), or without following a link;
// no call that follows one is allowed, and no change of the owner. No hard links,
// device nodes or extended attributes.
func filesProfile(pid int) *profile {
	return &profile{
		name: "files",
		rules: slices.Concat(runtimeRules(pid), messageRules(), passRules(), timeoutRules(), fileRules(true), []rule{
			only(unix.SYS_COPY_FILE_RANGE, when(atLeast(2, minFile))),
			only(unix.SYS_FCHMODAT2, when(equals(3, unix.AT_EMPTY_PATH))),
			only(unix.SYS_FCHOWNAT, when(equals(2, ^uint32(0)), equals(4, unix.AT_EMPTY_PATH))),
			only(unix.SYS_UTIMENSAT, when(oneOf(3, unix.AT_EMPTY_PATH, unix.AT_SYMLINK_NOFOLLOW))),
		}),
		plain: map[verdict][]uintptr{
			allow: slices.Concat(runtimeCalls(), messageCalls(), waitCalls(), []uintptr{
				unix.SYS_OPENAT2, sysFstatat, unix.SYS_STATX, unix.SYS_READLINKAT, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2,
				unix.SYS_GETDENTS64, unix.SYS_FSTATFS,
				unix.SYS_UNLINKAT, unix.SYS_MKDIRAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_SYMLINKAT,
				unix.SYS_FCHMOD, unix.SYS_UMASK,
				unix.SYS_PREAD64, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_FADVISE64, unix.SYS_FLOCK,
				unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID, unix.SYS_GETGROUPS,
			}),
			kill:   forbidden(),
			enosys: {unix.SYS_CLONE3},
		},
		rest: eperm,
	}
}
