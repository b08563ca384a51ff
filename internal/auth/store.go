// Package auth decides logins: which source knows the user, which hash or PAM
// stack has to say yes, and which rules refuse a right password all the same.
//
// It does no work that takes long. An [Attempt] is a small machine that names
// the next step (a hash to compute, a PAM stack to ask) and is told the result;
// authd runs the steps in other processes. docs/AUTH.md states the order and
// the texts.
package auth

import (
	"path/filepath"
	"strings"

	"sallyport/internal/userfile"
)

// store keeps the parsed files of one configuration; hosts that name the same
// file with the same rules share it.
type store struct {
	say    func(string) // what the administrator should hear
	users  map[usersKey]*userfile.Cached[*userfile.Users]
	groups map[groupsKey]*userfile.Cached[*userfile.Groups]
	system map[string]*system
}

type usersKey struct {
	path     string
	rules    userfile.Rules
	insecure bool
}

type groupsKey struct {
	path string
	root bool
}

func newStore(say func(string)) *store {
	return &store{
		say: say, users: make(map[usersKey]*userfile.Cached[*userfile.Users]),
		groups: make(map[groupsKey]*userfile.Cached[*userfile.Groups]),
		system: make(map[string]*system),
	}
}

func get[T any](s *store, c *userfile.Cached[T]) (T, bool) {
	v, ok, report := c.Get()
	for _, r := range report {
		s.say(r)
	}
	return v, ok
}

func (s *store) usersFile(k usersKey) *userfile.Cached[*userfile.Users] {
	c := s.users[k]
	if c == nil {
		c = &userfile.Cached[*userfile.Users]{
			Path: k.path, Checks: userfile.Checks{Private: true, Insecure: k.insecure},
			Parse: func(f string, b []byte) (*userfile.Users, []userfile.Warning) {
				return userfile.ParseUsers(f, b, k.rules)
			},
			Empty: func(u *userfile.Users) bool { return len(u.List) == 0 },
		}
		s.users[k] = c
	}
	return c
}

func (s *store) groupsFile(k groupsKey) *userfile.Cached[*userfile.Groups] {
	c := s.groups[k]
	if c == nil {
		// who reads the groups learns no secret; who writes them gains rights
		c = &userfile.Cached[*userfile.Groups]{
			Path: k.path, Checks: userfile.Checks{Private: true, Insecure: true},
			Parse: func(f string, b []byte) (*userfile.Groups, []userfile.Warning) {
				return userfile.ParseGroups(f, b, userfile.Rules{Root: k.root})
			},
			Empty: func(g *userfile.Groups) bool { return len(g.List) == 0 },
		}
		s.groups[k] = c
	}
	return c
}

// system is the host's own account files, below one directory.
type system struct {
	passwd   *userfile.Cached[*userfile.Users]
	group    *userfile.Cached[*userfile.Groups]
	shadow   *userfile.Cached[map[string]shadowEntry]
	shells   *userfile.Cached[map[string]bool]
	ftpusers *userfile.Cached[map[string]bool]
}

func (s *store) systemFiles(dir string) *system {
	if sys := s.system[dir]; sys != nil {
		return sys
	}
	sys := &system{
		passwd: &userfile.Cached[*userfile.Users]{
			Path: filepath.Join(dir, "passwd"),
			Parse: func(f string, b []byte) (*userfile.Users, []userfile.Warning) {
				return userfile.ParseUsers(f, b, userfile.Rules{Root: true, System: true})
			},
		},
		group: &userfile.Cached[*userfile.Groups]{
			Path: filepath.Join(dir, "group"),
			Parse: func(f string, b []byte) (*userfile.Groups, []userfile.Warning) {
				return userfile.ParseGroups(f, b, userfile.Rules{Root: true, System: true})
			},
		},
		shadow: &userfile.Cached[map[string]shadowEntry]{Path: filepath.Join(dir, "shadow"), Parse: parseShadow},
		shells: &userfile.Cached[map[string]bool]{
			Path: filepath.Join(dir, "shells"), Checks: userfile.Checks{Optional: true}, Parse: parseList,
		},
		ftpusers: &userfile.Cached[map[string]bool]{
			Path: filepath.Join(dir, "ftpusers"), Checks: userfile.Checks{Optional: true}, Parse: parseList,
		},
	}
	s.system[dir] = sys
	return sys
}

// parseList reads /etc/shells and /etc/ftpusers: one item a line, "#" begins a
// comment. A missing file is nil, an empty one is not.
func parseList(_ string, data []byte) (map[string]bool, []userfile.Warning) {
	if data == nil {
		return nil, nil
	}
	list := make(map[string]bool)
	for line := range strings.SplitSeq(string(data), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" && len(line) <= userfile.MaxLine {
			list[line] = true
		}
	}
	return list, nil
}
