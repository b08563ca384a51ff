package control

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxGroups bounds the groups of a peer; the kernel's own limit (NGROUPS_MAX).
const maxGroups = 65536

// Peer is who the kernel says is at the other end, as of its connect(2).
type Peer struct {
	PID    int
	UID    uint32
	GID    uint32
	Groups []uint32 // supplementary
}

// in tells whether the peer is a member of the group.
func (p *Peer) in(gid uint32) bool { return p.GID == gid || slices.Contains(p.Groups, gid) }

// user is the peer's system user, for records of who has asked.
func (p *Peer) user() string {
	id := strconv.FormatUint(uint64(p.UID), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}

// peerOf asks the kernel about the peer of a connected socket.
func peerOf(fd int) (Peer, error) {
	u, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Peer{}, fmt.Errorf("credentials of the peer: %w", err)
	}
	p := Peer{PID: int(u.Pid), UID: u.Uid, GID: u.Gid}
	buf := make([]byte, 4*64)
	for {
		n := uint32(len(buf))
		_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&n)), 0)
		if e == unix.ERANGE && n > uint32(len(buf)) && n <= 4*maxGroups {
			buf = make([]byte, n)
			continue
		}
		if e != 0 {
			return Peer{}, fmt.Errorf("groups of the peer: %w", e)
		}
		if n > uint32(len(buf)) || n%4 != 0 {
			return Peer{}, errors.New("groups of the peer: not a list")
		}
		for b := buf[:n]; len(b) > 0; b = b[4:] {
			p.Groups = append(p.Groups, binary.NativeEndian.Uint32(b))
		}
		return p, nil
	}
}

// childOf tells whether pid is a child of parent. The children of a daemon are
// its workers, and one that runs as a user of the control group (files does, for
// such a user) has no business at the control socket either.
func childOf(pid, parent int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, ok := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ") // pid (name) S ppid
	f := strings.Fields(rest)
	return ok && len(f) > 1 && f[1] == strconv.Itoa(parent)
}
