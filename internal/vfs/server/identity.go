package server

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// identity is who the process is, for facts that are computed from modes
// instead of asked for entry by entry. Access lists are seen as far as they
// show in the group bits.
type identity struct {
	uid    uint32
	groups []uint32 // the primary one too
}

func ownIdentity() (identity, error) {
	more, err := unix.Getgroups()
	if err != nil {
		return identity{}, fmt.Errorf("groups: %w", err)
	}
	id := identity{uid: uint32(unix.Geteuid()), groups: []uint32{uint32(unix.Getegid())}}
	for _, g := range more {
		id.groups = append(id.groups, uint32(g))
	}
	return id, nil
}

// Rights in the order of a mode's three bits.
const (
	mayExec  uint32 = 1
	mayWrite uint32 = 2
	mayRead  uint32 = 4
)

// may returns the mode bits that apply to this process. It has no capabilities,
// so uid 0 is a user like any other.
func (id *identity) may(st *unix.Stat_t) uint32 {
	switch {
	case st.Uid == id.uid:
		return st.Mode >> 6 & 7
	case slices.Contains(id.groups, st.Gid):
		return st.Mode >> 3 & 7
	}
	return st.Mode & 7
}

// mayUnlinkFrom tells whether an entry of directory dir may be removed or
// renamed, the restricted deletion flag of /tmp considered.
func (id *identity) mayUnlinkFrom(dir, entry *unix.Stat_t) bool {
	if id.may(dir)&(mayWrite|mayExec) != mayWrite|mayExec {
		return false
	}
	return dir.Mode&unix.S_ISVTX == 0 || dir.Uid == id.uid || entry.Uid == id.uid
}

// mayUnlink is mayUnlinkFrom on an open directory, asked of the kernel.
func (s *Server) mayUnlink(dir int, entry *unix.Stat_t) error {
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_ISVTX != 0 && st.Uid != s.ids.uid && entry.Uid != s.ids.uid {
		return unix.EPERM
	}
	return unix.Faccessat2(dir, ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}
