package ftp

import (
	"slices"
	"strings"

	"sallyport/internal/policy"
)

// viewChanged takes what is decided once for a view: whoever replaces s.view
// calls it.
func (s *Session) viewChanged() {
	m := &s.view.Log
	for i := range s.table.list {
		c := &s.table.list[i]
		c.logged = m.Classes&c.class != 0 || m.Transfer && c.flags&xferlog != 0 || slices.ContainsFunc(m.Verbs, c.isNamed)
	}
	s.logOther = m.Classes&policy.LogOther != 0
	s.algorithm = s.firstAlgorithm()
}

// isNamed tells whether a log's list of verbs names the row: SITE also by one
// of its forms.
func (c *command) isNamed(name string) bool {
	name = upper(name)
	return name == c.verb || c.verb == "SITE" && (strings.HasPrefix(name, "SITE ") || strings.HasPrefix(name, "SITE_"))
}
