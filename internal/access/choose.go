package access

import (
	"path"
	"slices"
	"strings"

	"sallyport/internal/policy"
)

// choices are the compiled selectors of one policy.Settings. An entry whose
// selector cannot be compiled is nil and fits nobody.
type choices struct {
	roots                                   []root
	chdir, store, retrieve, rates, timeouts []*Selector
}

func newChoices(s *policy.Settings) *choices {
	return &choices{
		roots:    newRoots(s),
		chdir:    compileAll(s.Chdir, func(c *policy.Choice) *policy.Selector { return &c.Selector }),
		store:    compileAll(s.StoreSizes, func(z *policy.SizeFor) *policy.Selector { return &z.Selector }),
		retrieve: compileAll(s.RetrieveSizes, func(z *policy.SizeFor) *policy.Selector { return &z.Selector }),
		rates:    compileAll(s.Rates, func(r *policy.RateFor) *policy.Selector { return &r.Selector }),
		timeouts: compileAll(s.TimeoutSession, func(t *policy.TimeoutFor) *policy.Selector { return &t.Selector }),
	}
}

func compileAll[T any](list []T, of func(*T) *policy.Selector) []*Selector {
	out := make([]*Selector, len(list))
	for i := range list {
		if c, err := CompileSelector(of(&list[i])); err == nil {
			out[i] = c
		}
	}
	return out
}

// first returns the index of the first selector that fits, from index from on,
// or -1.
func first(list []*Selector, who Subject, from int) int {
	for i := from; i < len(list); i++ {
		if list[i] != nil && list[i].Fits(who) {
			return i
		}
	}
	return -1
}

// of returns what New compiled of s, or compiles it where s is none of the
// policy's.
func (r *Rules) of(s *policy.Settings) *choices {
	if c := r.choices[s]; c != nil {
		return c
	}
	return newChoices(s)
}

func subject(u *User, class string) Subject {
	return Subject{User: u.Name, Groups: u.Groups, Class: class}
}

// Chdir returns the directory that u of class starts in (default_chdir), clean,
// absolute or relative to the home; "" for none. %u and ~ are expanded; a path
// that cannot be made counts as none.
func (r *Rules) Chdir(s *policy.Settings, u User, class string) string {
	i := first(r.of(s).chdir, subject(&u, class), 0)
	if i < 0 {
		return ""
	}
	p := s.Chdir[i].Path
	if !strings.HasPrefix(p, "/") && p != "~" && !strings.HasPrefix(p, "~/") { // below the home
		p, ok := expand("/"+p, u)
		if !ok {
			return ""
		}
		return strings.TrimPrefix(path.Clean(p), "/")
	}
	p, _ = expand(p, u)
	return p
}

// MaxStore returns how many bytes a file may grow to by an upload of u (0: no
// limit).
func (r *Rules) MaxStore(s *policy.Settings, u User, class string) int64 {
	return sizeOf(s.StoreSizes, r.of(s).store, subject(&u, class))
}

// MaxRetrieve returns how many bytes a file may have that u fetches (0: no
// limit).
func (r *Rules) MaxRetrieve(s *policy.Settings, u User, class string) int64 {
	return sizeOf(s.RetrieveSizes, r.of(s).retrieve, subject(&u, class))
}

func sizeOf(sizes []policy.SizeFor, list []*Selector, who Subject) int64 {
	if i := first(list, who, 0); i >= 0 {
		return sizes[i].Max
	}
	return 0
}

// SessionTimeout returns after how many seconds a session of u ends (0: never).
func (r *Rules) SessionTimeout(s *policy.Settings, u User, class string) uint32 {
	if i := first(r.of(s).timeouts, subject(&u, class), 0); i >= 0 {
		return s.TimeoutSession[i].Seconds
	}
	return 0
}

// Rate returns the transfer rate of one command ("RETR" "STOR" "APPE" "STOU") of
// u, in bytes a second (0: no limit), and the bytes at the start that are not
// slowed.
func (r *Rules) Rate(s *policy.Settings, u User, class, command string) (perSecond, free uint64) {
	list, who := r.of(s).rates, subject(&u, class)
	for i := first(list, who, 0); i >= 0; i = first(list, who, i+1) {
		if f := &s.Rates[i]; slices.Contains(f.Commands, command) {
			return f.PerSecond, f.Free
		}
	}
	return 0, 0
}

// Anonymous returns the anonymous block of s with that id, or nil.
func Anonymous(s *policy.Settings, id uint32) *policy.Anonymous {
	for i := range s.Anonymous {
		if s.Anonymous[i].ID == id && id != 0 {
			return &s.Anonymous[i]
		}
	}
	return nil
}
