package control

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/policy"
)

// Lookup resolves the names of an ACL; ok is false for a name nobody has.
type Lookup interface {
	UID(name string) (id uint32, ok bool)
	GID(name string) (id uint32, ok bool)
}

// ACL decides who may do what. Root and the owner of the daemon (the user of a
// rootless one) may do everything: they can end the daemon anyway. Worker users
// may do nothing, even if a rule lists them.
type ACL struct {
	owner   uint32
	workers []uint32
	gid     uint32 // of Control.Group
	grouped bool
	rules   []rule
}

type rule struct {
	actions []string
	uids    []uint32
	gids    []uint32
}

// NewACL compiles the `control` block. owner is the daemon's own uid; workers
// are the names of the users that its workers run as. A rule that names an
// unknown action is an error. Names of users and groups that do not exist,
// Control.Group among them, are left out, each with a warning: fewer may, never
// more.
func NewACL(c policy.Control, owner uint32, workers []string, names Lookup) (*ACL, []string, error) {
	a := &ACL{owner: owner}
	var warnings []string
	for _, w := range workers {
		if id, ok := names.UID(w); ok && id != owner {
			a.workers = append(a.workers, id)
		}
	}
	if c.Group != "" {
		if a.gid, a.grouped = names.GID(c.Group); !a.grouped {
			warnings = append(warnings, fmt.Sprintf("control: group %s does not exist: the socket is the owner's alone", quote(c.Group)))
		}
	}
	for _, r := range c.Rules {
		var out rule
		for _, n := range r.Actions {
			if n != "all" && !slices.ContainsFunc(Actions(), func(a string) bool { return named(n, a) }) {
				return nil, nil, fmt.Errorf("control: unknown action %s", quote(n))
			}
			out.actions = append(out.actions, n)
		}
		for _, n := range r.Users {
			if id, ok := names.UID(n); ok {
				out.uids = append(out.uids, id)
			} else {
				warnings = append(warnings, fmt.Sprintf("control: user %s does not exist and is left out", quote(n)))
			}
		}
		for _, n := range r.Groups {
			if id, ok := names.GID(n); ok {
				out.gids = append(out.gids, id)
			} else {
				warnings = append(warnings, fmt.Sprintf("control: group %s does not exist and is left out", quote(n)))
			}
		}
		a.rules = append(a.rules, out)
	}
	return a, warnings, nil
}

// Allows tells whether the peer may do action. The first rule that names the
// action (or "all") decides; without one, members of Control.Group may.
func (a *ACL) Allows(p *Peer, action string) bool {
	if a.owns(p) {
		return true
	}
	if slices.Contains(a.workers, p.UID) {
		return false
	}
	for _, r := range a.rules {
		if slices.ContainsFunc(r.actions, func(n string) bool { return n == "all" || named(n, action) }) {
			return slices.Contains(r.uids, p.UID) || slices.ContainsFunc(r.gids, p.in)
		}
	}
	return a.grouped && p.in(a.gid)
}

// named tells whether a rule's word means an action: its name, or that of its
// family ("delay" for "delay_info").
func named(word, action string) bool {
	family, _, _ := strings.Cut(action, "_")
	return word == action || word == family
}

// owns tells whether the peer is root, or the user that the daemon runs as.
func (a *ACL) owns(p *Peer) bool { return p.UID == 0 || p.UID == a.owner }

// worker tells whether the peer runs as a worker's user.
func (a *ACL) worker(p *Peer) bool { return !a.owns(p) && slices.Contains(a.workers, p.UID) }
