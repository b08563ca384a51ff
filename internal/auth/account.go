package auth

import (
	"time"

	"sallyport/internal/crypt"
	"sallyport/internal/policy"
	"sallyport/internal/userfile"
)

// Account is who a user is, as the source says that knows him.
type Account struct {
	User       string
	UID, GID   uint32
	Groups     []uint32 // supplementary, without GID
	GroupNames []string // of GID and Groups, those that have one
	Home       string
	Shell      string
	Source     string // "file" "unix" "pam"

	hash    string
	refusal string // why a right password is refused: expired, disabled
}

// MaxGroups bounds an account's groups, as LoginReport does.
const MaxGroups = 1000

// answer is what a source says of a name.
type answer uint8

const (
	absent answer = iota
	found
	out // it cannot be asked
)

// accounts is a source with hashes of its own: file or unix.
type accounts interface {
	lookup(name string, now time.Time) (*Account, answer)
	hashes() []string // every hash a password can match, by class
	kinds() []string  // one of each class
	refresh()         // looks whether the files have changed
	userName(uid uint32) string
	groupName(gid uint32) string
	groupID(name string) (uint32, bool)
}

func newAccount(u *userfile.User, g *userfile.Groups, source string) *Account {
	a := &Account{User: u.Name, UID: u.UID, GID: u.GID, Home: u.Home, Shell: u.Shell, Source: source, hash: u.Hash}
	for i, m := range g.Of(u.Name, u.GID) {
		if i > 0 {
			a.Groups = append(a.Groups, m.GID)
		}
		if m.Name != "" {
			a.GroupNames = append(a.GroupNames, m.Name)
		}
	}
	return a
}

// fileSource is AuthUserFile and AuthGroupFile.
type fileSource struct {
	store  *store
	users  *userfile.Cached[*userfile.Users]
	groups *userfile.Cached[*userfile.Groups] // nil: none

	list   []string // hashes of generation seen
	kind   []string // one of each class
	seen   uint64
	legacy bool
}

func newFileSource(s *store, h *policy.AuthHost) *fileSource {
	if h.Users == "" {
		return nil
	}
	f := &fileSource{store: s, legacy: h.LegacyHashes}
	f.users = s.usersFile(usersKey{h.Users, userfile.Rules{
		MinID: h.FileRule.MinID, MaxID: h.FileRule.MaxID, Root: h.RootLogin, Legacy: h.LegacyHashes,
	}, h.FileRule.Insecure})
	if h.Groups != "" {
		f.groups = s.groupsFile(groupsKey{h.Groups, h.RootLogin})
	}
	return f
}

// groupList returns the groups; a groups file that was never readable makes the
// source unusable, since rules may deny by group.
func (f *fileSource) groupList() (*userfile.Groups, bool) {
	if f.groups == nil {
		return nil, true
	}
	return get(f.store, f.groups)
}

func (f *fileSource) lookup(name string, _ time.Time) (*Account, answer) {
	users, ok := get(f.store, f.users)
	groups, gok := f.groupList()
	if !ok || !gok {
		return nil, out
	}
	u := users.ByName(name)
	if u == nil {
		return nil, absent
	}
	return newAccount(u, groups, "file"), found
}

func (f *fileSource) hashes() []string {
	users, _ := get(f.store, f.users)
	if g := f.users.Generation(); g != f.seen {
		f.seen, f.list = g, nil
		for i := range users.List {
			f.list = appendHash(f.list, users.List[i].Hash, f.legacy)
		}
		f.kind = byClass(f.list)
	}
	return f.list
}

func (f *fileSource) kinds() []string { f.hashes(); return f.kind }

func (f *fileSource) refresh() {
	get(f.store, f.users)
	f.groupList()
}

func (f *fileSource) userName(uid uint32) string { return userName(f.users, uid) }

func (f *fileSource) groupName(gid uint32) string {
	if f.groups == nil {
		return ""
	}
	return groupName(f.groups, gid)
}

func (f *fileSource) groupID(name string) (uint32, bool) {
	if f.groups == nil {
		return 0, false
	}
	return groupID(f.groups, name)
}

// unixSource is passwd, group and shadow, without NSS.
type unixSource struct {
	store  *store
	sys    *system
	legacy bool

	list []string // hashes of generations seen
	kind []string // one of each class
	seen [2]uint64
}

func (s *unixSource) lookup(name string, now time.Time) (*Account, answer) {
	users, ok := get(s.store, s.sys.passwd)
	groups, gok := get(s.store, s.sys.group)
	if !ok || !gok {
		return nil, out
	}
	u := users.ByName(name)
	if u == nil {
		return nil, absent
	}
	a := newAccount(u, groups, "unix")
	shadow, sok := get(s.store, s.sys.shadow)
	e, has := shadow[name]
	switch {
	case has:
		a.hash, a.refusal = e.hash, e.refusal(now)
	case !sok && a.hash == "x":
		return a, out
	}
	return a, found
}

func (s *unixSource) hashes() []string {
	users, _ := get(s.store, s.sys.passwd)
	shadow, _ := get(s.store, s.sys.shadow)
	if users == nil {
		return nil
	}
	if g := [2]uint64{s.sys.passwd.Generation(), s.sys.shadow.Generation()}; g != s.seen {
		s.seen, s.list = g, nil
		for i := range users.List {
			u := &users.List[i]
			h := u.Hash
			if e, ok := shadow[u.Name]; ok {
				h = e.hash
			}
			s.list = appendHash(s.list, h, s.legacy)
		}
		s.kind = byClass(s.list)
	}
	return s.list
}

func (s *unixSource) kinds() []string             { s.hashes(); return s.kind }
func (s *unixSource) refresh()                    { s.sys.refresh(s.store) }
func (s *unixSource) userName(uid uint32) string  { return userName(s.sys.passwd, uid) }
func (s *unixSource) groupName(gid uint32) string { return groupName(s.sys.group, gid) }

func (s *unixSource) groupID(name string) (uint32, bool) { return groupID(s.sys.group, name) }

func (sys *system) refresh(s *store) {
	get(s, sys.passwd)
	get(s, sys.group)
}

func userName(c *userfile.Cached[*userfile.Users], uid uint32) string {
	if u := c.Last().ByUID(uid); u != nil {
		return u.Name
	}
	return ""
}

func groupName(c *userfile.Cached[*userfile.Groups], gid uint32) string {
	if g := c.Last().ByGID(gid); g != nil {
		return g.Name
	}
	return ""
}

// groupID goes through the list: few ask for a gid, and rarely.
func groupID(c *userfile.Cached[*userfile.Groups], name string) (uint32, bool) {
	g := c.Last()
	if g == nil {
		return 0, false
	}
	for i := range g.List {
		if g.List[i].Name == name {
			return g.List[i].GID, true
		}
	}
	return 0, false
}

func appendHash(list []string, hash string, legacy bool) []string {
	if crypt.Check(hash, crypt.Options{Legacy: legacy}) != nil {
		return list
	}
	return append(list, hash)
}
