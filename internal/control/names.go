package control

import (
	"os/user"
	"strconv"
)

// SystemNames looks names up in /etc/passwd and /etc/group.
type SystemNames struct{}

// UID returns the id of a user.
func (SystemNames) UID(name string) (uint32, bool) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, false
	}
	return number(u.Uid)
}

// GID returns the id of a group.
func (SystemNames) GID(name string) (uint32, bool) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, false
	}
	return number(g.Gid)
}

func number(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}
