package access

import (
	"regexp"

	"sallyport/internal/policy"
)

// Subject is whom a selector is asked about.
type Subject struct {
	User   string   // "" before the login
	Groups []string // names of the primary and the supplementary groups
	Class  string   // "" for none
}

// Selector is a compiled policy.Selector.
type Selector struct {
	all              bool // match "all"
	items            []item
	plain            int
	user, group, cls int // ends of their items in items
}

type item struct {
	not  bool
	name string
	re   *regexp.Regexp
}

// CompileSelector makes a selector ready. Its error is that of a regular
// expression of match "regex".
func CompileSelector(s *policy.Selector) (*Selector, error) {
	c := &Selector{all: s.Match == "all"}
	for _, list := range [][]policy.Item{s.User, s.Group, s.Class} {
		for _, i := range list {
			x := item{not: i.Not, name: i.Name}
			if s.Match == "regex" {
				re, err := regexp.Compile(i.Name)
				if err != nil {
					return nil, err
				}
				x.re = re
			}
			if !i.Not {
				c.plain++
			}
			c.items = append(c.items, x)
		}
	}
	c.user = len(s.User)
	c.group = c.user + len(s.Group)
	c.cls = len(c.items)
	return c, nil
}

// Fits says whether the selector picks who. One without items picks everybody.
// With match "any" and "regex" one plain item must fit, with "all" every plain
// item; no item with "!" may fit in either.
func (c *Selector) Fits(who Subject) bool {
	if len(c.items) == 0 {
		return true
	}
	fit := 0
	for i := range c.items {
		x := &c.items[i]
		ok := false
		switch {
		case i < c.user:
			ok = x.fits(who.User)
		case i < c.group:
			for _, g := range who.Groups {
				ok = ok || x.fits(g)
			}
		default:
			ok = x.fits(who.Class)
		}
		switch {
		case ok && x.not:
			return false
		case ok:
			fit++
		}
	}
	if c.all {
		return fit == c.plain
	}
	return fit > 0
}

// fits compares one name; nobody and no class ("") fit nothing.
func (x *item) fits(name string) bool {
	switch {
	case name == "":
		return false
	case x.re != nil:
		return x.re.MatchString(name)
	}
	return x.name == "*" || x.name == name
}
