package config

import (
	"fmt"
	"hash/fnv"
	"slices"

	"sallyport/internal/policy"
)

// maxAnonymous bounds the anonymous blocks of a host.
const maxAnonymous = 16

// anonymousBlocks are those of a section.
func anonymousBlocks(s *section) []*section {
	var out []*section
	for _, k := range s.kids {
		if k.block.Path == "anonymous" {
			out = append(out, k)
		}
	}
	return out
}

// reachableBlocks drops the block that says that there are none.
func reachableBlocks(in []*section) []*section {
	return slices.DeleteFunc(slices.Clone(in), func(k *section) bool { return k.label == noRoot })
}

// readAnonymous reads the keys of an anonymous block itself. What it says of the
// settings goes into s.
func readAnonymous(k *section, s *policy.Settings, h *policy.Host) *anonymous {
	a := &anonymous{path: k.label}
	k.apply(&scope{a: a, s: s, h: h})
	return a
}

// identities are the ids of the anonymous blocks of a host. An id is what the block
// says of who may log in, as whom and where, as a number, and not its place: around
// a reload master and authd may have different configurations before them, and what
// the one means is never another block to the other.
func (c *compiler) identities(s policy.Settings, h policy.Host, blocks []*section) []uint32 {
	if c.ids == nil {
		c.ids = map[uint32]bool{0: true}
	}
	ids := make([]uint32, len(blocks))
	for i, k := range blocks {
		e, at := s, h
		a := readAnonymous(k, &e, &at)
		f := fnv.New32a()
		fmt.Fprintf(f, "%q %q %q %q %q %v %v %v %v", h.Name, a.path, a.user, a.group, a.aliases, a.only, a.require, a.using, a.userDir)
		for ids[i] = f.Sum32(); c.ids[ids[i]]; ids[i]++ { // the same block twice
		}
		c.ids[ids[i]] = true
	}
	return ids
}

// anonymous enters the anonymous blocks of a host into s, the settings of the
// host for one class, with their own applied last. Their ids are the same for
// every class.
func (c *compiler) anonymous(s *policy.Settings, h *policy.Host, blocks []*section, ids []uint32) {
	s.Anonymous, s.Auth.Anonymous, s.Session.Anonymous = nil, nil, nil
	host := *s
	for i, k := range blocks {
		e := host
		a := readAnonymous(k, &e, h)
		for _, l := range listsIn(Anon) {
			l.join(&scope{s: &e, h: h}, k, false)
		}
		for _, l := range listsIn(Anon) {
			l.settle(&scope{s: &e, h: h})
		}
		c.finish(&e, h)
		id := ids[i]
		s.Anonymous = append(s.Anonymous, policy.Anonymous{ID: id, Path: a.path, User: a.user, UserDir: a.userDir, Settings: e})
		names := slices.Clone(a.aliases)
		if !a.only {
			names = slices.Insert(names, 0, a.user)
		}
		s.Auth.Anonymous = append(s.Auth.Anonymous, policy.AnonymousAuth{
			ID: id, User: a.user, Group: a.group, Names: names, AliasOnly: a.only, RequirePassword: a.require, UsingAlias: a.using,
			Reject: a.reject.pattern, RejectNot: a.reject.not, RequireValidShell: e.Auth.RequireValidShell,
		})
		for _, n := range names {
			if !slices.ContainsFunc(s.Session.Anonymous, func(x policy.AnonymousName) bool { return x.Name == n }) {
				s.Session.Anonymous = append(s.Session.Anonymous, policy.AnonymousName{Name: n, Guest: a.require})
			}
		}
	}
}

// anonymousOf turns an anonymous block of the policy back into its keys.
func anonymousOf(p *policy.Anonymous, a *policy.AnonymousAuth) *anonymous {
	out := &anonymous{
		path: p.Path, user: p.User, group: a.Group, aliases: a.Names, only: a.AliasOnly, require: a.RequirePassword, using: a.UsingAlias,
		reject: rejection{a.Reject, a.RejectNot}, userDir: p.UserDir,
	}
	if !a.AliasOnly {
		out.aliases = a.Names[1:]
	}
	return out
}

// named tells the sessions whose address has hosts by name (HOST in FEAT).
func named(pol *policy.Policy) {
	at := map[string]bool{} // addresses with names; "" for all that no host names
	for i := range pol.Hosts {
		h := &pol.Hosts[i]
		if len(h.Names) == 0 {
			continue
		}
		if len(h.Address) == 0 {
			at[""] = true
		}
		for _, a := range h.Address {
			at[a] = true
		}
	}
	everySetting(pol, func(h *policy.Host, s *policy.Settings) {
		s.Session.Names = len(h.Address) == 0 && at[""] || slices.ContainsFunc(h.Address, func(a string) bool { return at[a] || at[withoutPort(a)] })
	})
}
