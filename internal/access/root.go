package access

import (
	"path"
	"strings"

	"sallyport/internal/policy"
)

// User is who logged in, as authd reports.
type User struct {
	Name   string
	Home   string   // absolute
	Groups []string // names of the primary and the supplementary groups
}

type root struct {
	path     string
	selector *Selector
}

// newRoots compiles the root list of s; nil if an entry cannot be.
func newRoots(s *policy.Settings) []root {
	var out []root
	for i := range s.Roots {
		sel, err := CompileSelector(&s.Roots[i].Selector)
		if err != nil {
			return nil
		}
		out = append(out, root{s.Roots[i].Path, sel})
	}
	return out
}

// RootFor returns the directory that u of class is confined to ("/": not at
// all), by the settings s of this policy. It is false where no root fits or the
// path cannot be made: the login is then to be refused. The path is clean and
// absolute, but nobody has looked whether it exists.
func (r *Rules) RootFor(s *policy.Settings, u User, class string) (string, bool) {
	list, who := r.of(s).roots, subject(&u, class)
	for i := range list {
		if list[i].selector.Fits(who) {
			return expand(list[i].path, u)
		}
	}
	return "", false
}

// expand replaces a leading ~ by the home directory and %u by the user name. A
// name that is no single component of a path cannot stand for %u.
func expand(p string, u User) (string, bool) {
	if strings.Contains(p, "%u") {
		if u.Name == "" || u.Name == "." || u.Name == ".." || strings.ContainsAny(u.Name, "/\x00") {
			return "", false
		}
		p = strings.ReplaceAll(p, "%u", u.Name)
	}
	if p == "~" || strings.HasPrefix(p, "~/") {
		if !strings.HasPrefix(u.Home, "/") || strings.ContainsRune(u.Home, 0) {
			return "", false
		}
		p = u.Home + p[1:]
	}
	if !strings.HasPrefix(p, "/") {
		return "", false
	}
	return path.Clean(p), true
}
