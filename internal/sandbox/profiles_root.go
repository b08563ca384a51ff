package sandbox

import (
	"slices"

	"golang.org/x/sys/unix"
)

// writeFlags are the open flags of which none is read-only.
const writeFlags = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC

// authdProfile: reads password files, serves channels. It opens files for
// reading only, and no socket of any kind.
func authdProfile(pid int) *profile {
	return &profile{
		name: "authd",
		rules: slices.Concat(runtimeRules(pid), messageRules(), timeoutRules(), fileRules(true), []rule{
			only(unix.SYS_OPENAT, when(lacks(2, writeFlags))),
		}),
		plain: map[verdict][]uintptr{
			allow: slices.Concat(runtimeCalls(), messageCalls(), waitCalls(), []uintptr{
				sysFstatat, unix.SYS_STATX, unix.SYS_READLINKAT, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2,
				unix.SYS_GETDENTS64, unix.SYS_FSTATFS, unix.SYS_PREAD64, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_FADVISE64,
				unix.SYS_FLOCK, unix.SYS_GETCWD, unix.SYS_UNAME,
				unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID, unix.SYS_GETGROUPS, unix.SYS_GETPPID,
			}),
			kill:   forbidden(),
			enosys: {unix.SYS_CLONE3},
		},
		rest: eperm,
	}
}

// ownerProfile: makes and gives away directories and files. What it opens is
// walked component by component, which no filter can see; it reads no byte of a
// client but the path of an account's home.
func ownerProfile(pid int) *profile {
	return &profile{
		name: "owner",
		rules: slices.Concat(runtimeRules(pid), messageRules(), timeoutRules(), []rule{
			only(unix.SYS_FCHOWNAT, when(equals(4, unix.AT_SYMLINK_NOFOLLOW))),
		}),
		plain: map[verdict][]uintptr{
			allow: slices.Concat(runtimeCalls(), messageCalls(), waitCalls(), []uintptr{
				unix.SYS_OPENAT, sysFstatat, unix.SYS_READLINKAT, unix.SYS_GETDENTS64,
				unix.SYS_MKDIRAT, unix.SYS_SYMLINKAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT2,
				unix.SYS_FCHMOD, unix.SYS_FCHOWN, unix.SYS_UMASK, unix.SYS_GETEUID,
			}),
			kill:   forbidden(),
			enosys: {unix.SYS_CLONE3},
		},
		rest: eperm,
	}
}

// namespaceFlags in a clone would make the child root of something.
const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// masterProfile denies what neither master nor any child ever needs, PAM
// modules included. unshare is left for what a starter does: a working
// directory of its own.
func masterProfile() *profile {
	return &profile{
		name: "master",
		rules: []rule{
			only(unix.SYS_CLONE, when(lacks(0, namespaceFlags))),
			only(unix.SYS_UNSHARE, when(equals(0, unix.CLONE_FS))),
		},
		plain: map[verdict][]uintptr{
			eperm: slices.Concat(oldDeny, []uintptr{
				unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_KCMP, unix.SYS_PIDFD_GETFD,
				unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
				unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_LOOKUP_DCOOKIE,
				unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
				unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT,
				unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
				unix.SYS_SETNS, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_FANOTIFY_INIT,
				unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
				unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_REBOOT, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_NFSSERVCTL,
				unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX,
				unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_SYSLOG, unix.SYS_VHANGUP, unix.SYS_PERSONALITY,
				unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES, unix.SYS_REMAP_FILE_PAGES,
			}),
			enosys: {unix.SYS_CLONE3}, // its flags lie in memory, out of the filter's sight
		},
		rest: allow,
	}
}
