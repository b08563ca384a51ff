package sandbox

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// call is what a filter sees.
type call struct {
	arch uint32
	nr   uint32
	args [6]uint64
}

// run interprets a filter as the kernel does.
func run(t testing.TB, code []unix.SockFilter, c call) verdict {
	t.Helper()
	word := func(off uint32) uint32 {
		switch {
		case off == offNr:
			return c.nr
		case off == offArch:
			return c.arch
		case off >= offArgs && off < offArgs+48 && off%4 == 0:
			v := c.args[(off-offArgs)/8]
			if off%8 == 4 {
				v >>= 32
			}
			return uint32(v)
		}
		t.Fatalf("load from offset %d", off)
		return 0
	}
	var acc uint32
	for pc := 0; pc < len(code); pc++ {
		i := code[pc]
		var hit bool
		switch i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			acc = word(i.K)
			continue
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			acc &= i.K
			continue
		case unix.BPF_RET | unix.BPF_K:
			return verdict(i.K)
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			hit = acc == i.K
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			hit = acc >= i.K
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			hit = acc > i.K
		default:
			t.Fatalf("instruction %d: code %#x", pc, i.Code)
		}
		if hit {
			pc += int(i.Jt)
		} else {
			pc += int(i.Jf)
		}
	}
	t.Fatal("the program runs off its end")
	return 0
}

func mustCompile(t testing.TB, p *profile, m Mode) []unix.SockFilter {
	t.Helper()
	code, err := p.compile(m)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func (v verdict) String() string {
	switch v {
	case allow:
		return "allow"
	case eperm:
		return "EPERM"
	case enosys:
		return "ENOSYS"
	case kill:
		return "kill"
	case logged:
		return "log"
	}
	return fmt.Sprintf("%#x", uint32(v))
}

const testPID = 4711

type verdictCase struct {
	name string
	nr   uintptr
	args []uint64
	want verdict
}

func testVerdicts(t *testing.T, p *profile, cases []verdictCase) {
	t.Helper()
	code := mustCompile(t, p, Enforce)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			in := call{arch: auditArch, nr: uint32(c.nr)}
			copy(in.args[:], c.args)
			if got := run(t, code, in); got != c.want {
				t.Errorf("%s%x = %s, want %s", p.name, c.args, got, c.want)
			}
		})
	}
}

const (
	high = 1 << 32
	junk = 0xffffffff << 32 // what the kernel does not look at in an int
)

// workerCases hold for session, hash, files and authd alike.
var workerCases = []verdictCase{
	{"futex", unix.SYS_FUTEX, nil, allow},
	{"read", unix.SYS_READ, nil, allow},
	{"recvmsg", unix.SYS_RECVMSG, nil, allow},
	{"exit", unix.SYS_EXIT_GROUP, nil, allow},
	{"execve", unix.SYS_EXECVE, nil, kill},
	{"execveat", unix.SYS_EXECVEAT, nil, kill},
	{"socket", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, 0}, kill},
	{"socket of the unix family", unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM, 0}, kill},
	{"socket of multipath TCP", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, kill},
	{"connect", unix.SYS_CONNECT, nil, kill},
	{"bind", unix.SYS_BIND, nil, kill},
	{"ptrace", unix.SYS_PTRACE, nil, kill},
	{"listen", unix.SYS_LISTEN, nil, eperm},
	{"accept4", unix.SYS_ACCEPT4, nil, eperm},
	{"socketpair", unix.SYS_SOCKETPAIR, nil, eperm},
	{"fork", unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, kill},
	{"vfork", unix.SYS_CLONE, []uint64{unix.CLONE_VM | unix.CLONE_VFORK | uint64(unix.SIGCHLD)}, kill},
	{"thread as Go makes it", unix.SYS_CLONE, []uint64{0xd0f00}, allow},
	{"thread, junk above the flags", unix.SYS_CLONE, []uint64{junk | 0xd0f00}, allow},
	{"thread in a user namespace", unix.SYS_CLONE, []uint64{0xd0f00 | unix.CLONE_NEWUSER}, kill},
	{"thread with an unsharing of mounts", unix.SYS_CLONE, []uint64{0xd0f00 | unix.CLONE_NEWNS}, kill},
	{"thread with descriptors of its own", unix.SYS_CLONE, []uint64{0xd0f00 &^ unix.CLONE_FILES}, kill},
	{"thread with a umask of its own", unix.SYS_CLONE, []uint64{0xd0f00 &^ unix.CLONE_FS}, kill},
	{"a process that shares memory and handlers", unix.SYS_CLONE, []uint64{0xd0f00 &^ unix.CLONE_THREAD, 0}, kill},
	{"clone3", unix.SYS_CLONE3, nil, enosys},
	{"unshare", unix.SYS_UNSHARE, []uint64{unix.CLONE_NEWUSER}, eperm},
	{"setns", unix.SYS_SETNS, nil, eperm},
	{"kill", unix.SYS_KILL, []uint64{testPID, 9}, eperm},
	{"tkill", unix.SYS_TKILL, []uint64{testPID, 9}, eperm},
	{"tgkill of an own thread", unix.SYS_TGKILL, []uint64{testPID, testPID + 1, 23}, allow},
	{"tgkill of another process", unix.SYS_TGKILL, []uint64{testPID + 1, testPID + 1, 9}, eperm},
	{"tgkill, junk above the pid", unix.SYS_TGKILL, []uint64{junk | testPID, 1, 9}, allow},
	{"rt_sigqueueinfo", unix.SYS_RT_SIGQUEUEINFO, nil, eperm},
	{"rt_tgsigqueueinfo", unix.SYS_RT_TGSIGQUEUEINFO, nil, eperm},
	{"pidfd_send_signal", unix.SYS_PIDFD_SEND_SIGNAL, nil, eperm},
	{"process_vm_writev", unix.SYS_PROCESS_VM_WRITEV, nil, eperm},
	{"mmap", unix.SYS_MMAP, []uint64{0, 4096, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS}, allow},
	{"mmap of a file", unix.SYS_MMAP, []uint64{0, 4096, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED, 5}, allow},
	{"mmap of shared memory", unix.SYS_MMAP, []uint64{0, 4096, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_ANONYMOUS}, eperm},
	{"mmap of a stack", unix.SYS_MMAP, []uint64{0, 4096, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_GROWSDOWN}, eperm},
	{"mmap of a file as a stack", unix.SYS_MMAP, []uint64{0, 4096, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_GROWSDOWN, 5}, eperm},
	{"mmap of a file to execute", unix.SYS_MMAP, []uint64{0, 4096, unix.PROT_EXEC, unix.MAP_SHARED, 5}, eperm},
	{"mmap to execute", unix.SYS_MMAP, []uint64{0, 4096, unix.PROT_READ | unix.PROT_EXEC}, eperm},
	{"mprotect", unix.SYS_MPROTECT, []uint64{4096, 4096, unix.PROT_READ | unix.PROT_WRITE}, allow},
	{"mprotect to read only", unix.SYS_MPROTECT, []uint64{4096, 4096, unix.PROT_READ}, eperm},
	{"mprotect to nothing", unix.SYS_MPROTECT, []uint64{4096, 4096, unix.PROT_NONE}, eperm},
	{"mprotect to write and execute", unix.SYS_MPROTECT, []uint64{4096, 4096, unix.PROT_READ | unix.PROT_WRITE | unix.PROT_EXEC}, eperm},
	{"mprotect to execute", unix.SYS_MPROTECT, []uint64{4096, 4096, unix.PROT_EXEC}, eperm},
	{"pkey_mprotect", unix.SYS_PKEY_MPROTECT, nil, eperm},
	{"name a mapping", unix.SYS_PRCTL, []uint64{unix.PR_SET_VMA}, allow},
	{"dumpable", unix.SYS_PRCTL, []uint64{unix.PR_SET_DUMPABLE, 1}, eperm},
	{"allow a tracer", unix.SYS_PRCTL, []uint64{unix.PR_SET_PTRACER, 1}, eperm},
	{"sendto", unix.SYS_SENDTO, []uint64{3, 1, 1, unix.MSG_NOSIGNAL, 0, 0}, allow},
	{"sendto an address", unix.SYS_SENDTO, []uint64{3, 1, 1, 0, 0x7fff0000, 16}, eperm},
	{"sendto an address above 4 GiB", unix.SYS_SENDTO, []uint64{3, 1, 1, 0, high, 16}, eperm},
	{"sendto that connects", unix.SYS_SENDTO, []uint64{3, 1, 1, unix.MSG_FASTOPEN, 0, 0}, eperm},
	{"send timeout of stderr", unix.SYS_SETSOCKOPT, []uint64{2, unix.SOL_SOCKET, unix.SO_SNDTIMEO}, eperm},
	{"sendmsg that connects", unix.SYS_SENDMSG, []uint64{3, 1, unix.MSG_FASTOPEN | unix.MSG_NOSIGNAL}, eperm},
	{"sendmmsg", unix.SYS_SENDMMSG, nil, eperm},
	{"io_uring_setup", unix.SYS_IO_URING_SETUP, nil, eperm},
	{"memfd_create", unix.SYS_MEMFD_CREATE, nil, eperm},
	{"chroot", unix.SYS_CHROOT, nil, eperm},
	{"chdir", unix.SYS_CHDIR, nil, eperm},
	{"setuid", unix.SYS_SETUID, nil, eperm},
	{"setresuid", unix.SYS_SETRESUID, nil, eperm},
	{"capset", unix.SYS_CAPSET, nil, eperm},
	{"mount", unix.SYS_MOUNT, nil, eperm},
	{"bpf", unix.SYS_BPF, nil, eperm},
	{"keyctl", unix.SYS_KEYCTL, nil, eperm},
	{"open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT, nil, eperm},
	{"linkat", unix.SYS_LINKAT, nil, eperm},
	{"mknodat", unix.SYS_MKNODAT, nil, eperm},
	{"fchownat", unix.SYS_FCHOWNAT, nil, eperm},
	{"fchownat of a descriptor to somebody", unix.SYS_FCHOWNAT, []uint64{7, 1, 1000, 1000, unix.AT_EMPTY_PATH}, eperm},
	{"fchmodat, which follows links", unix.SYS_FCHMODAT, []uint64{7, 1, 0o777}, eperm},
	{"setxattr", unix.SYS_SETXATTR, nil, eperm},
	{"a call of the future", 1000, nil, eperm},
	{"prlimit64", unix.SYS_PRLIMIT64, nil, eperm},
}

// silentCases hold for all that pass no descriptors.
var silentCases = []verdictCase{
	{"sendmsg, which passes descriptors", unix.SYS_SENDMSG, []uint64{3, 1, unix.MSG_NOSIGNAL}, eperm},
}

// fileCases hold where descriptors of files are held.
var fileCases = []verdictCase{
	{"lseek", unix.SYS_LSEEK, []uint64{7}, allow},
	{"lseek of stderr", unix.SYS_LSEEK, []uint64{2}, eperm},
	{"lseek of stderr, junk above it", unix.SYS_LSEEK, []uint64{junk | 2}, eperm},
	{"ftruncate", unix.SYS_FTRUNCATE, []uint64{3}, allow},
	{"ftruncate of stderr", unix.SYS_FTRUNCATE, []uint64{2}, eperm},
	{"pwrite64 to stderr", unix.SYS_PWRITE64, []uint64{2}, eperm},
	{"fallocate of stdout", unix.SYS_FALLOCATE, []uint64{1}, eperm},
	{"F_GETFD", unix.SYS_FCNTL, []uint64{3, unix.F_GETFD}, allow},
	{"F_GETFL", unix.SYS_FCNTL, []uint64{2, unix.F_GETFL}, allow},
	{"F_DUPFD_CLOEXEC", unix.SYS_FCNTL, []uint64{3, unix.F_DUPFD_CLOEXEC}, allow},
	{"F_DUPFD_CLOEXEC of stderr", unix.SYS_FCNTL, []uint64{2, unix.F_DUPFD_CLOEXEC}, eperm},
	{"F_DUPFD", unix.SYS_FCNTL, []uint64{3, unix.F_DUPFD}, eperm},
	{"dup3", unix.SYS_DUP3, []uint64{2, 9, 0}, eperm},
	{"F_SETFL with O_ASYNC", unix.SYS_FCNTL, []uint64{3, unix.F_SETFL, unix.O_ASYNC}, eperm},
	{"F_SETOWN", unix.SYS_FCNTL, []uint64{3, unix.F_SETOWN, testPID + 1}, eperm},
	{"F_SETSIG", unix.SYS_FCNTL, []uint64{3, unix.F_SETSIG, 9}, eperm},
	{"F_SETLEASE", unix.SYS_FCNTL, []uint64{3, unix.F_SETLEASE, 0}, eperm},
	{"F_NOTIFY", unix.SYS_FCNTL, []uint64{3, unix.F_NOTIFY, 1}, eperm},
	{"a pipe's size", unix.SYS_FCNTL, []uint64{3, unix.F_SETPIPE_SZ, 4096}, eperm},
	{"the pipe that stderr is", unix.SYS_FCNTL, []uint64{2, unix.F_SETPIPE_SZ, 4096}, eperm},
}

func TestSessionProfile(t *testing.T) {
	p := sessionProfile(testPID)
	testVerdicts(t, p, workerCases)
	testVerdicts(t, p, silentCases)
	testVerdicts(t, p, fileCases)
	testVerdicts(t, p, []verdictCase{
		{"symlinkat", unix.SYS_SYMLINKAT, nil, eperm},
		{"openat", unix.SYS_OPENAT, nil, eperm},
		{"openat2", unix.SYS_OPENAT2, nil, eperm},
		{"statx", unix.SYS_STATX, nil, eperm},
		{"fstatat", sysFstatat, nil, eperm},
		{"unlinkat", unix.SYS_UNLINKAT, nil, eperm},
		{"getdents64", unix.SYS_GETDENTS64, nil, eperm},
		{"umask", unix.SYS_UMASK, nil, eperm},
		{"sendfile", unix.SYS_SENDFILE, nil, allow},
		{"splice", unix.SYS_SPLICE, []uint64{5, 0, 7}, eperm},
		{"pipe2", unix.SYS_PIPE2, nil, eperm},
		{"copy_file_range", unix.SYS_COPY_FILE_RANGE, []uint64{5, 0, 7}, eperm},
		{"F_SETFL", unix.SYS_FCNTL, []uint64{5, unix.F_SETFL, unix.O_NONBLOCK}, eperm},
		{"FIONBIO", unix.SYS_IOCTL, []uint64{5, fionbio}, allow},
		{"FIONBIO of stdin", unix.SYS_IOCTL, []uint64{0, fionbio}, eperm},
		{"shutdown", unix.SYS_SHUTDOWN, []uint64{5, unix.SHUT_WR}, allow},
		{"shutdown of stderr", unix.SYS_SHUTDOWN, []uint64{2, unix.SHUT_RDWR}, eperm},
		{"SO_SNDBUF of stderr", unix.SYS_SETSOCKOPT, []uint64{2, unix.SOL_SOCKET, unix.SO_SNDBUF}, eperm},
		{"TCP_USER_TIMEOUT of stderr", unix.SYS_SETSOCKOPT, []uint64{2, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT}, eperm},
		{"IP_TOS of stderr", unix.SYS_SETSOCKOPT, []uint64{2, unix.IPPROTO_IP, unix.IP_TOS}, eperm},
		{"FIONREAD", unix.SYS_IOCTL, []uint64{5, fionread}, allow},
		{"FIOASYNC", unix.SYS_IOCTL, []uint64{5, 0x5452}, eperm},
		{"TIOCSTI", unix.SYS_IOCTL, []uint64{2, unix.TIOCSTI}, eperm},
		{"SIOCSPGRP", unix.SYS_IOCTL, []uint64{5, 0x8902}, eperm},
		{"TCP_NODELAY", unix.SYS_SETSOCKOPT, []uint64{5, unix.IPPROTO_TCP, unix.TCP_NODELAY}, allow},
		{"TCP_CORK", unix.SYS_SETSOCKOPT, []uint64{5, unix.IPPROTO_TCP, unix.TCP_CORK}, allow},
		{"TCP_ULP", unix.SYS_SETSOCKOPT, []uint64{5, unix.IPPROTO_TCP, unix.TCP_ULP}, eperm},
		{"TCP_FASTOPEN_CONNECT", unix.SYS_SETSOCKOPT, []uint64{5, unix.IPPROTO_TCP, unix.TCP_FASTOPEN_CONNECT}, eperm},
		{"SO_LINGER", unix.SYS_SETSOCKOPT, []uint64{5, unix.SOL_SOCKET, unix.SO_LINGER}, allow},
		{"SO_ATTACH_FILTER", unix.SYS_SETSOCKOPT, []uint64{5, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER}, eperm},
		{"SO_BINDTODEVICE", unix.SYS_SETSOCKOPT, []uint64{5, unix.SOL_SOCKET, unix.SO_BINDTODEVICE}, eperm},
		{"IP_TOS", unix.SYS_SETSOCKOPT, []uint64{5, unix.IPPROTO_IP, unix.IP_TOS}, allow},
		{"IP_TRANSPARENT", unix.SYS_SETSOCKOPT, []uint64{5, unix.IPPROTO_IP, unix.IP_TRANSPARENT}, eperm},
		{"SO_ERROR", unix.SYS_GETSOCKOPT, []uint64{5, unix.SOL_SOCKET, unix.SO_ERROR}, allow},
		{"SO_PEERPIDFD", unix.SYS_GETSOCKOPT, []uint64{5, unix.SOL_SOCKET, unix.SO_PEERPIDFD}, eperm},
		{"TCP_INFO", unix.SYS_GETSOCKOPT, []uint64{5, unix.IPPROTO_TCP, unix.TCP_INFO}, allow},
	})
}

func TestHashProfile(t *testing.T) {
	p := hashProfile(testPID)
	testVerdicts(t, p, workerCases)
	testVerdicts(t, p, silentCases)
	testVerdicts(t, p, []verdictCase{
		{"symlinkat", unix.SYS_SYMLINKAT, nil, eperm},
		{"openat", unix.SYS_OPENAT, nil, eperm},
		{"fcntl", unix.SYS_FCNTL, []uint64{3, unix.F_GETFL}, eperm},
		{"sendfile", unix.SYS_SENDFILE, nil, eperm},
		{"receive timeout", unix.SYS_SETSOCKOPT, []uint64{3, unix.SOL_SOCKET, unix.SO_RCVTIMEO}, allow},
	})
}

func TestFilesProfile(t *testing.T) {
	const minusOne = 1<<32 - 1 // as an argument of type uid_t
	p := filesProfile(testPID)
	testVerdicts(t, p, workerCases)
	testVerdicts(t, p, fileCases)
	testVerdicts(t, p, []verdictCase{
		{"sendmsg", unix.SYS_SENDMSG, []uint64{3, 1, unix.MSG_NOSIGNAL}, allow},
		{"openat", unix.SYS_OPENAT, nil, eperm},
		{"openat2", unix.SYS_OPENAT2, nil, allow},
		{"fstatat", sysFstatat, nil, allow},
		{"unlinkat", unix.SYS_UNLINKAT, nil, allow},
		{"renameat2", unix.SYS_RENAMEAT2, nil, allow},
		{"umask", unix.SYS_UMASK, nil, allow},
		{"truncate", unix.SYS_TRUNCATE, nil, eperm},
		{"fchdir", unix.SYS_FCHDIR, nil, eperm},
		{"sendfile", unix.SYS_SENDFILE, nil, eperm},
		{"ioctl", unix.SYS_IOCTL, []uint64{5, fionread}, eperm},
		{"shutdown", unix.SYS_SHUTDOWN, nil, eperm},
		{"F_SETFL", unix.SYS_FCNTL, []uint64{5, unix.F_SETFL, 0}, allow},
		{"symlinkat", unix.SYS_SYMLINKAT, nil, allow},
		{"fchownat: the group of a descriptor", unix.SYS_FCHOWNAT, []uint64{7, 1, minusOne, 1000, unix.AT_EMPTY_PATH}, allow},
		{"fchownat: the group by a name", unix.SYS_FCHOWNAT, []uint64{7, 1, minusOne, 1000, 0}, eperm},
		{"fchmodat2 of a descriptor", unix.SYS_FCHMODAT2, []uint64{7, 1, 0o644, unix.AT_EMPTY_PATH}, allow},
		{"fchmodat2 by a name", unix.SYS_FCHMODAT2, []uint64{7, 1, 0o644, 0}, eperm},
		{"utimensat that follows a link", unix.SYS_UTIMENSAT, []uint64{7, 1, 1, 0}, eperm},
		{"utimensat of a link itself", unix.SYS_UTIMENSAT, []uint64{7, 1, 1, unix.AT_SYMLINK_NOFOLLOW}, allow},
		{"F_SETFL of stderr", unix.SYS_FCNTL, []uint64{2, unix.F_SETFL, 0}, eperm},
		{"copy_file_range to stdout", unix.SYS_COPY_FILE_RANGE, []uint64{5, 0, 1}, eperm},
		{"TCP_NODELAY", unix.SYS_SETSOCKOPT, []uint64{5, unix.IPPROTO_TCP, unix.TCP_NODELAY}, eperm},
	})
}

func TestAuthdProfile(t *testing.T) {
	p := authdProfile(testPID)
	testVerdicts(t, p, workerCases)
	testVerdicts(t, p, silentCases)
	testVerdicts(t, p, fileCases)
	testVerdicts(t, p, []verdictCase{
		{"symlinkat", unix.SYS_SYMLINKAT, nil, eperm},
		{"openat to read", unix.SYS_OPENAT, []uint64{0, 0, unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOFOLLOW}, allow},
		{"openat to write", unix.SYS_OPENAT, []uint64{0, 0, unix.O_WRONLY}, eperm},
		{"openat to read and write", unix.SYS_OPENAT, []uint64{0, 0, unix.O_RDWR}, eperm},
		{"openat to create", unix.SYS_OPENAT, []uint64{0, 0, unix.O_CREAT}, eperm},
		{"openat to truncate", unix.SYS_OPENAT, []uint64{0, 0, unix.O_TRUNC}, eperm},
		{"openat of an unnamed file", unix.SYS_OPENAT, []uint64{0, 0, unix.O_TMPFILE | unix.O_RDWR}, eperm},
		{"openat2, whose flags are out of sight", unix.SYS_OPENAT2, nil, eperm},
		{"unlinkat", unix.SYS_UNLINKAT, nil, eperm},
	})
}

func TestOwnerProfile(t *testing.T) {
	p := ownerProfile(testPID)
	testVerdicts(t, p, silentCases)
	testVerdicts(t, p, []verdictCase{
		{"socket", unix.SYS_SOCKET, nil, kill},
		{"connect", unix.SYS_CONNECT, nil, kill},
		{"execve", unix.SYS_EXECVE, nil, kill},
		{"fork", unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, kill},
		{"ptrace", unix.SYS_PTRACE, nil, kill},
		{"openat", unix.SYS_OPENAT, nil, allow},
		{"mkdirat", unix.SYS_MKDIRAT, nil, allow},
		{"fchown", unix.SYS_FCHOWN, nil, allow},
		{"fchownat of a link itself", unix.SYS_FCHOWNAT, []uint64{7, 1, 5, 5, unix.AT_SYMLINK_NOFOLLOW}, allow},
		{"fchownat that follows a link", unix.SYS_FCHOWNAT, []uint64{7, 1, 5, 5, 0}, eperm},
		{"fchmodat", unix.SYS_FCHMODAT, nil, eperm},
		{"mknodat", unix.SYS_MKNODAT, nil, eperm},
		{"linkat", unix.SYS_LINKAT, nil, eperm},
		{"setuid", unix.SYS_SETUID, nil, eperm},
		{"chroot", unix.SYS_CHROOT, nil, eperm},
		{"mount", unix.SYS_MOUNT, nil, eperm},
		{"fcntl", unix.SYS_FCNTL, []uint64{3, unix.F_GETFL}, eperm},
		{"setxattr", unix.SYS_SETXATTR, nil, eperm},
		{"a call of the future", 1000, nil, eperm},
	})
}

func TestMasterProfile(t *testing.T) {
	testVerdicts(t, masterProfile(), []verdictCase{
		{"socket", unix.SYS_SOCKET, nil, allow},
		{"execve", unix.SYS_EXECVE, nil, allow},
		{"fork and exec", unix.SYS_CLONE, []uint64{unix.CLONE_VM | unix.CLONE_VFORK | unix.CLONE_PIDFD | uint64(unix.SIGCHLD)}, allow},
		{"clone into a user namespace", unix.SYS_CLONE, []uint64{unix.CLONE_NEWUSER | uint64(unix.SIGCHLD)}, eperm},
		{"a starter's working directory", unix.SYS_UNSHARE, []uint64{unix.CLONE_FS}, allow},
		{"unshare mounts", unix.SYS_UNSHARE, []uint64{unix.CLONE_NEWNS}, eperm},
		{"clone3", unix.SYS_CLONE3, nil, enosys},
		{"ptrace", unix.SYS_PTRACE, nil, eperm},
		{"process_vm_readv", unix.SYS_PROCESS_VM_READV, nil, eperm},
		{"finit_module", unix.SYS_FINIT_MODULE, nil, eperm},
		{"bpf", unix.SYS_BPF, nil, eperm},
		{"mount", unix.SYS_MOUNT, nil, eperm},
		{"fsopen", unix.SYS_FSOPEN, nil, eperm},
		{"pivot_root", unix.SYS_PIVOT_ROOT, nil, eperm},
		{"setns", unix.SYS_SETNS, nil, eperm},
		{"keyctl", unix.SYS_KEYCTL, nil, eperm},
		{"io_uring_setup", unix.SYS_IO_URING_SETUP, nil, eperm},
		{"open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT, nil, eperm},
		{"seccomp", unix.SYS_SECCOMP, nil, allow},
		{"landlock_restrict_self", unix.SYS_LANDLOCK_RESTRICT_SELF, nil, allow},
		{"chroot", unix.SYS_CHROOT, nil, allow},
		{"setuid", unix.SYS_SETUID, nil, allow},
	})
}

func allProfiles() []*profile {
	return []*profile{sessionProfile(testPID), hashProfile(testPID), filesProfile(testPID), authdProfile(testPID), ownerProfile(testPID), masterProfile()}
}

// TestOtherABIsAreKilled: numbers of another architecture mean other calls.
func TestOtherABIsAreKilled(t *testing.T) {
	for _, p := range allProfiles() {
		code := mustCompile(t, p, Enforce)
		for _, arch := range []uint32{unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_ARM, 0} {
			if got := run(t, code, call{arch: arch, nr: unix.SYS_READ}); got != kill {
				t.Errorf("%s: read of architecture %#x: %s", p.name, arch, got)
			}
		}
		if x32Bit != 0 {
			if got := run(t, code, call{arch: auditArch, nr: x32Bit | unix.SYS_READ}); got != kill {
				t.Errorf("%s: read of x32: %s", p.name, got)
			}
		}
	}
}

// TestLogModeRefusesNothing and differs from enforcing nowhere else.
func TestLogModeRefusesNothing(t *testing.T) {
	for _, p := range allProfiles() {
		strict, soft := mustCompile(t, p, Enforce), mustCompile(t, p, Log)
		rapid.Check(t, func(r *rapid.T) {
			c := call{arch: auditArch, nr: rapid.Uint32Range(0, 500).Draw(r, "nr")}
			for i := range c.args {
				c.args[i] = rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 64)).Draw(r, "arg")
			}
			want := logged
			if run(t, strict, c) == allow {
				want = allow
			}
			if got := run(t, soft, c); got != want {
				r.Fatalf("%s: %+v: %s, want %s", p.name, c, got, want)
			}
		})
	}
}

// TestOnlyListedCallsPass: whatever the arguments, a call that no profile names
// is refused.
func TestOnlyListedCallsPass(t *testing.T) {
	for _, p := range allProfiles()[:5] {
		named := make(map[uint32]bool)
		for _, r := range p.rules {
			named[uint32(r.nr)] = true
		}
		for _, nr := range p.plain[allow] {
			named[uint32(nr)] = true
		}
		code := mustCompile(t, p, Enforce)
		for nr := range uint32(1024) {
			if got := run(t, code, call{arch: auditArch, nr: nr}); got == allow && !named[nr] {
				t.Errorf("%s allows call %d", p.name, nr)
			}
		}
	}
}

func TestCompileRefusesCallsNamedTwice(t *testing.T) {
	p := &profile{name: "twice", plain: map[verdict][]uintptr{allow: {unix.SYS_READ}, kill: {unix.SYS_READ}}}
	if _, err := p.compile(Enforce); err == nil {
		t.Error("no error")
	}
}

// TestConditionsAgreeWithArithmetic compares compiled conditions with what they
// say, for any argument.
func TestConditionsAgreeWithArithmetic(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		v := rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(0, 4)).Draw(r, "value")
		x := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 4), rapid.Just(uint64(v)), rapid.Just(uint64(v)|high)).Draw(r, "argument")
		arg := uint8(rapid.IntRange(0, 5).Draw(r, "which"))
		for name, c := range map[string]struct {
			cond cond
			want bool
		}{
			"equals":  {equals(arg, v), uint32(x) == v},
			"has":     {has(arg, v), uint32(x)&v == v},
			"lacks":   {lacks(arg, v), uint32(x)&v == 0},
			"atLeast": {atLeast(arg, v), uint32(x) >= v},
			"atMost":  {atMost(arg, v), x <= uint64(v)},
			"oneOf":   {oneOf(arg, 1, v, 3), uint32(x) == 1 || uint32(x) == v || uint32(x) == 3},
		} {
			p := &profile{rules: []rule{only(7, when(c.cond), when(equals((arg+1)%6, 99)))}, rest: kill}
			in := call{arch: auditArch, nr: 7}
			in.args[arg] = x
			if got := run(t, mustCompile(t, p, Enforce), in) == allow; got != c.want {
				r.Fatalf("%s(%#x) of %#x: %v", name, v, x, got)
			}
			in.args[(arg+1)%6] = 99
			if run(t, mustCompile(t, p, Enforce), in) != allow {
				r.Fatalf("%s: the second clause is not reached", name)
			}
		}
	})
}
