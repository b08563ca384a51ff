package userfile

import (
	"fmt"
	"strconv"
	"strings"

	"sallyport/internal/crypt"
)

// Rules says which lines count.
type Rules struct {
	MinID, MaxID uint32 // uid of users; 0, 0: any
	Root         bool   // uid and gid 0 are welcome; else a warning, and a groups line is skipped
	System       bool   // passwd(5) of the host: an empty shell is /bin/sh, NIS lines are ignored, no warnings about hashes
	Legacy       bool   // md5-crypt is accepted
}

// maxWarnings bounds what one file can say.
const maxWarnings = 50

type parser struct {
	file     string
	warnings []Warning
	more     int
}

func (p *parser) warn(line int, format string, args ...any) {
	if len(p.warnings) >= maxWarnings {
		p.more++
		return
	}
	p.warnings = append(p.warnings, Warning{p.file, line, fmt.Sprintf(format, args...)})
}

func (p *parser) done() []Warning {
	if p.more > 0 {
		p.warnings = append(p.warnings, Warning{p.file, 0, fmt.Sprintf("%d more bad lines", p.more)})
	}
	return p.warnings
}

// lines calls f for each line that is neither blank nor a comment.
func (p *parser) lines(data []byte, max int, f func(n int, line string)) {
	n := 0
	for line := range strings.SplitSeq(string(data), "\n") {
		n++
		line = strings.TrimSuffix(line, "\r")
		switch {
		case blank(line):
		case len(line) > max:
			p.warn(n, "line of %d bytes, at most %d are allowed", len(line), max)
		case strings.IndexByte(line, 0) >= 0:
			p.warn(n, "NUL byte")
		default:
			f(n, line)
		}
	}
}

// ParseUsers reads a users file. A bad line is skipped with a warning.
func ParseUsers(file string, data []byte, r Rules) (*Users, []Warning) {
	p := &parser{file: file}
	var list []User
	seen := make(map[string]int)
	p.lines(data, MaxLine, func(n int, line string) {
		if r.System && (line[0] == '+' || line[0] == '-') {
			return
		}
		u, err := parseUser(line, r)
		if err != nil {
			p.warn(n, "%v", err)
			return
		}
		if first := seen[u.Name]; first > 0 {
			p.warn(n, "user %s again; line %d counts", u.Name, first)
			return
		}
		if (r.MinID != 0 || r.MaxID != 0) && (u.UID < r.MinID || r.MaxID != 0 && u.UID > r.MaxID) {
			p.warn(n, "user %s: uid %d is outside %d-%d", u.Name, u.UID, r.MinID, r.MaxID)
			return
		}
		if !r.System {
			warnUser(p, n, u, r)
		}
		u.Line = n
		seen[u.Name] = n
		list = append(list, u)
	})
	out := &Users{List: list, byName: make(map[string]*User, len(list)), byUID: make(map[uint32]*User, len(list))}
	for i := range list {
		u := &list[i]
		out.byName[u.Name] = u
		if out.byUID[u.UID] == nil {
			out.byUID[u.UID] = u
		}
	}
	return out, p.done()
}

// warnUser names accounts that can never log in.
func warnUser(p *parser, n int, u User, r Rules) {
	if !r.Root && (u.UID == 0 || u.GID == 0) {
		p.warn(n, "user %s: uid or gid 0 cannot log in (root_login is off)", u.Name)
	}
	if !crypt.Locked(u.Hash) {
		if err := crypt.Check(u.Hash, crypt.Options{Legacy: r.Legacy}); err != nil {
			p.warn(n, "user %s: the password can never match: %v", u.Name, err)
		}
	}
}

func parseUser(line string, r Rules) (User, error) {
	f := strings.Split(line, ":")
	if len(f) != 7 {
		return User{}, fmt.Errorf("%d fields, a users line has 7", len(f))
	}
	u := User{Name: f[0], Hash: f[1], Gecos: f[4], Home: f[5], Shell: f[6]}
	if err := ValidName(u.Name); err != nil {
		return u, err
	}
	var err error
	if u.UID, err = parseID("uid", f[2]); err != nil {
		return u, err
	}
	if u.GID, err = parseID("gid", f[3]); err != nil {
		return u, err
	}
	if !r.System && !strings.HasPrefix(u.Home, "/") {
		return u, fmt.Errorf("user %s: the home directory is not absolute", u.Name)
	}
	if u.Shell == "" {
		if !r.System {
			return u, fmt.Errorf("user %s: no shell", u.Name)
		}
		u.Shell = "/bin/sh"
	}
	return u, nil
}

// ParseGroups reads a groups file. A bad line is skipped with a warning.
func ParseGroups(file string, data []byte, r Rules) (*Groups, []Warning) {
	p := &parser{file: file}
	var list []Group
	p.lines(data, maxGroup, func(n int, line string) {
		if r.System && (line[0] == '+' || line[0] == '-') {
			return
		}
		g, err := parseGroup(line)
		switch {
		case err != nil:
			p.warn(n, "%v", err)
		case g.GID == 0 && !r.Root && !r.System:
			p.warn(n, "group %s: gid 0 is skipped (root_login is off)", g.Name)
		default:
			g.Line = n
			list = append(list, g)
		}
	})
	out := &Groups{List: list, byGID: make(map[uint32]*Group, len(list)), byMember: make(map[string][]*Group)}
	for i := range list {
		g := &list[i]
		if out.byGID[g.GID] == nil {
			out.byGID[g.GID] = g
		}
		for _, m := range g.Members {
			out.byMember[m] = append(out.byMember[m], g)
		}
	}
	return out, p.done()
}

func parseGroup(line string) (Group, error) {
	f := strings.Split(line, ":")
	if len(f) != 4 {
		return Group{}, fmt.Errorf("%d fields, a groups line has 4", len(f))
	}
	g := Group{Name: f[0]}
	if err := ValidName(g.Name); err != nil {
		return g, err
	}
	var err error
	if g.GID, err = parseID("gid", f[2]); err != nil {
		return g, err
	}
	for m := range strings.SplitSeq(f[3], ",") {
		if m = strings.TrimSpace(m); m != "" {
			g.Members = append(g.Members, m)
		}
	}
	return g, nil
}

func parseID(what, s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n > MaxID || s[0] == '+' {
		return 0, fmt.Errorf("%s is not a number from 0 to %d", what, uint32(MaxID))
	}
	return uint32(n), nil
}
