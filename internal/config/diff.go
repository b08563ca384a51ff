package config

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/policy"
)

// Diff says, a line each, what a reload from one policy to the other changes,
// and which of the changes wait for a restart. It is empty where nothing does.
func Diff(from, to *policy.Policy) []string {
	a, b := flatten(from), flatten(to)
	var out []string
	for _, e := range b.list {
		switch was, had := a.byName[e.name]; {
		case !had:
			out = append(out, e.line("not set", e.lit))
		case was.lit != e.lit:
			out = append(out, e.line(was.lit, e.lit))
		}
	}
	for _, e := range a.list {
		if _, has := b.byName[e.name]; !has {
			out = append(out, e.line(e.lit, "not set"))
		}
	}
	return out
}

// entry is one value of a policy, named for people.
type entry struct {
	name, lit string
	note      string
}

func (e entry) line(from, to string) string {
	return fmt.Sprintf("%s: %s -> %s%s", e.name, from, to, e.note)
}

type flat struct {
	list   []entry
	byName map[string]entry
}

func (f *flat) add(e entry) {
	if _, twice := f.byName[e.name]; twice { // classes may share a name
		e.name += " (again)"
	}
	f.byName[e.name] = e
	f.list = append(f.list, e)
}

func flatten(p *policy.Policy) *flat {
	f := &flat{byName: map[string]entry{}}
	f.node("", treeOf(p, true))
	return f
}

// node enters the values of n; where is the way to it.
func (f *flat) node(where string, n *node) {
	n.each("", func(path string, a attr) {
		if n.name == "when" && strings.HasPrefix(a.key.Path, "when.") {
			return // the selector names the block already
		}
		e := entry{name: where + path, lit: a.lit}
		switch {
		case a.key.Restart:
			e.note = " (needs a restart)"
		case a.key.Path == "listener.address":
			e.note = " (a socket that systemd handed over stays as its unit says)"
		case a.key.Path == "max.connections_per_host":
			e.name = where + a.key.Path
		}
		f.add(e)
	})
	lists := map[string][]string{}
	var order []string
	for _, b := range allSections(n) {
		switch b.name {
		case "root", "acl":
			var s strings.Builder
			(&node{blocks: []*node{b}}).write(&s, "")
			if !slices.Contains(order, b.name) {
				order = append(order, b.name)
			}
			lists[b.name] = append(lists[b.name], strings.Join(strings.Fields(s.String()), " "))
		case "when":
			f.node(where+"when class "+b.attrs[0].lit+" ", b)
		default:
			f.node(where+b.name+" "+quote(b.label)+" ", b)
		}
	}
	for _, name := range order {
		f.add(entry{name: where + name, lit: strings.Join(lists[name], " ")})
	}
}

// allSections are the sections of n, those in its plain blocks included.
func allSections(n *node) []*node {
	var out []*node
	for _, b := range n.blocks {
		if b.section {
			out = append(out, b)
		} else {
			out = append(out, allSections(b)...)
		}
	}
	return out
}
