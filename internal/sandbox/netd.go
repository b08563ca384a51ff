package sandbox

import (
	"fmt"
	"path/filepath"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// portDNS is the TCP port that netd may always call; others are those of its
// stores. It holds where the kernel's landlock knows of ports (version 4). UDP
// it does not know.
const portDNS = 53

// rulePort is LANDLOCK_RULE_NET_PORT, which x/sys does not have.
const rulePort = 2

var netdLimits = limits{data: 512 << 20, files: 128}

// netdProfile: calls others over IPv4 and IPv6, reads what the resolver needs.
// No address of its own, nothing to listen on, no local socket, no file to
// write.
func netdProfile(pid int) *profile {
	const flags = unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	return &profile{
		name: "netd",
		rules: slices.Concat(runtimeRules(pid), messageRules(), []rule{
			only(unix.SYS_SOCKET, when(
				oneOf(0, unix.AF_INET, unix.AF_INET6), // the kernel takes an int: the low words count
				oneOf(1, unix.SOCK_DGRAM|flags, unix.SOCK_STREAM|flags),
				equals(2, 0))), // no Multipath TCP: landlock would not see it
			only(unix.SYS_OPENAT, when(lacks(2, writeFlags))),
			only(unix.SYS_FCNTL,
				when(oneOf(1, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL)),
				when(equals(1, unix.F_SETFL), lacks(2, unix.O_ASYNC), atLeast(0, minFile))),
			only(unix.SYS_SETSOCKOPT,
				when(atLeast(0, minFile), equals(1, unix.SOL_SOCKET), oneOf(2, unix.SO_BROADCAST, unix.SO_KEEPALIVE, unix.SO_RCVTIMEO, unix.SO_SNDTIMEO)),
				when(atLeast(0, minFile), equals(1, unix.IPPROTO_TCP), oneOf(2, unix.TCP_NODELAY, unix.TCP_KEEPIDLE, unix.TCP_KEEPINTVL, unix.TCP_KEEPCNT)),
				when(atLeast(0, minFile), equals(1, unix.IPPROTO_IPV6), equals(2, unix.IPV6_V6ONLY))),
			only(unix.SYS_GETSOCKOPT, when(equals(1, unix.SOL_SOCKET), oneOf(2, unix.SO_ERROR, unix.SO_TYPE, unix.SO_DOMAIN))),
		}),
		plain: map[verdict][]uintptr{
			allow: slices.Concat(runtimeCalls(), messageCalls(), waitCalls(), []uintptr{
				unix.SYS_CONNECT, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME,
				sysFstatat, unix.SYS_STATX, unix.SYS_PREAD64, unix.SYS_LSEEK,
			}),
			kill:   append([]uintptr{unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE}, oldFork...),
			enosys: {unix.SYS_CLONE3},
		},
		rest: eperm, // bind and listen with it: the resolver may try, and does without
	}
}

// Netd confines netd: sockets that call, by TCP only name servers and the ports
// of its stores, and the files that the resolver reads.
func Netd(m Mode, ports ...uint16) (note string, err error) {
	return confine(m, netdProfile(unix.Getpid()), netdLimits, func() (string, error) {
		may := []exception{readBeneath(resolverDirs()), connectTCP(portDNS)}
		for _, p := range ports {
			may = append(may, connectTCP(uint64(p)))
		}
		return landlock(-1, may...)
	})
}

// resolverDirs are the directories in which resolv.conf and its kin lie: /etc,
// and where a symbolic link leads. Directories, since whoever configures the
// network replaces the files.
func resolverDirs() []string {
	dirs := []string{"/etc"}
	for _, name := range []string{"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"} {
		if p, err := filepath.EvalSymlinks(name); err == nil && !slices.Contains(dirs, filepath.Dir(p)) {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	return dirs
}

// readBeneath lets files beneath the directories be read.
func readBeneath(dirs []string) exception {
	return func(set uintptr, attr *unix.LandlockRulesetAttr) error {
		for _, dir := range dirs {
			fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("landlock: open %s: %w", dir, err)
			}
			beneath := unix.LandlockPathBeneathAttr{Allowed_access: unix.LANDLOCK_ACCESS_FS_READ_FILE & attr.Handled_access_fs, Parent_fd: int32(fd)}
			_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, set, unix.LANDLOCK_RULE_PATH_BENEATH,
				uintptr(unsafe.Pointer(&beneath)), 0, 0, 0)
			unix.Close(fd)
			if errno != 0 {
				return fmt.Errorf("landlock: allow %s: %w", dir, errno)
			}
		}
		return nil
	}
}

// connectTCP lets a port be called, where the kernel can tell them apart.
func connectTCP(port uint64) exception {
	return func(set uintptr, attr *unix.LandlockRulesetAttr) error {
		if attr.Handled_access_net == 0 {
			return nil
		}
		rule := struct{ access, port uint64 }{unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, port} // landlock_net_port_attr
		if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, set, rulePort, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
			return fmt.Errorf("landlock: allow port %d: %w", port, errno)
		}
		return nil
	}
}
