// Package userfile reads and edits users and groups files: the AuthUserFile and
// AuthGroupFile of the FTP world, in the forms of passwd(5) and group(5).
//
//	name:hash:uid:gid:gecos:home:shell
//	name:x:gid:member,member
//
// authd reads them (see [Cached]); ftpdctl passwd edits them (see [SetUser] and
// its siblings). A file that others may write, or that lies in a directory that
// others may write, is not believed.
package userfile

import (
	"fmt"
	"strings"
)

// Bounds of a file.
const (
	MaxFile  = 16 << 20 // bytes
	MaxLine  = 8 << 10  // bytes; group lines may be MaxGroupLine
	MaxName  = 256      // bytes of a user or group name
	MaxID    = 1<<32 - 2
	maxGroup = 1 << 20 // bytes of a group line
)

// User is one line of a users file.
type User struct {
	Name  string
	Hash  string // crypt(3) string; "!" before it locks the account
	UID   uint32
	GID   uint32
	Gecos string
	Home  string
	Shell string
	Line  int // where it stands, from 1
}

// Group is one line of a groups file.
type Group struct {
	Name    string
	GID     uint32
	Members []string
	Line    int
}

// Users is a parsed users file. The first line of a name wins.
type Users struct {
	List   []User
	byName map[string]*User
	byUID  map[uint32]*User
}

// Groups is a parsed groups file. Several lines may share name or gid.
type Groups struct {
	List     []Group
	byGID    map[uint32]*Group
	byMember map[string][]*Group
}

// ByName returns the user of that name, or nil. Names are case-sensitive.
func (u *Users) ByName(name string) *User {
	if u == nil {
		return nil
	}
	return u.byName[name]
}

// ByUID returns the first user with that uid, or nil.
func (u *Users) ByUID(uid uint32) *User {
	if u == nil {
		return nil
	}
	return u.byUID[uid]
}

// ByGID returns the first group with that gid, or nil.
func (g *Groups) ByGID(gid uint32) *Group {
	if g == nil {
		return nil
	}
	return g.byGID[gid]
}

// Of returns the groups of a user: the one with gid first (its name is "" where
// the file does not know it), then every other that lists the user, each gid
// once.
func (g *Groups) Of(user string, gid uint32) []Group {
	out := []Group{{GID: gid}}
	if g == nil {
		return out
	}
	if p := g.byGID[gid]; p != nil {
		out[0].Name = p.Name
	}
	seen := map[uint32]bool{gid: true}
	for _, m := range g.byMember[user] {
		if !seen[m.GID] {
			seen[m.GID] = true
			out = append(out, Group{Name: m.Name, GID: m.GID})
		}
	}
	return out
}

// ValidName says why name cannot be that of an account: it must have 1 to 256
// bytes from "!" to "~" without "/" and ":", must not begin with "#", and is
// neither "." nor "..". Such a name is safe in a path template and in a log.
func ValidName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("empty name")
	case len(name) > MaxName:
		return fmt.Errorf("name longer than %d bytes", MaxName)
	case name == "." || name == "..":
		return fmt.Errorf("%q cannot be a name", name)
	case name[0] == '#':
		return fmt.Errorf("a name cannot begin with #")
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' || c == '/' || c == ':' {
			return fmt.Errorf("byte %#02x in a name", c)
		}
	}
	return nil
}

// Warning is a line that was skipped, or that is odd.
type Warning struct {
	File   string
	Line   int // 0: the file as a whole
	Reason string
}

// String returns "file:line: reason".
func (w Warning) String() string {
	if w.Line == 0 {
		return w.File + ": " + w.Reason
	}
	return fmt.Sprintf("%s:%d: %s", w.File, w.Line, w.Reason)
}

func blank(line string) bool {
	return line == "" || line[0] == '#' || strings.TrimSpace(line) == ""
}
