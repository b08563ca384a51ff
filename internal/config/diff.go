package config

import (
	"cmp"
	"fmt"
	"maps"
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
			out = append(out, e.line("not set", e.told()))
		case was.lit != e.lit:
			out = append(out, e.line(was.told(), e.told()))
		}
	}
	for _, e := range a.list {
		if _, has := b.byName[e.name]; !has {
			out = append(out, e.line(e.told(), "not set"))
		}
	}
	was, is := displayTexts(from), displayTexts(to)
	for _, path := range slices.Sorted(maps.Keys(is)) {
		if text, had := was[path]; had && text != is[path] {
			out = append(out, "display: the text of "+quote(path)+" has changed")
		}
	}
	return out
}

// displayTexts are the display files that the views of sessions hold.
func displayTexts(p *policy.Policy) map[string]string {
	out := map[string]string{}
	everySetting(p, func(_ *policy.Host, s *policy.Settings) {
		d, v := &s.Display, &s.Session.Display
		for path, text := range map[string]string{d.Connect: v.Connect, d.Login: v.Login.Text, d.Chdir: v.Chdir.Text, d.Quit: v.Quit.Text, d.Transfer: v.Transfer.Text} {
			if strings.HasPrefix(path, "/") {
				out[path] = text
			}
		}
	})
	return out
}

// entry is one value of a policy, named for people.
type entry struct {
	name, lit string
	shown     string // instead of lit, where that holds secrets
	note      string
}

func (e entry) told() string { return cmp.Or(e.shown, e.lit) }

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
		case strings.HasPrefix(a.key.Also, a.key.Path+"."): // as a value or as a block
			e.name = where + a.key.Path
		}
		f.add(e)
	})
	joined, shown := map[string][]string{}, map[string][]string{}
	var order []string
	for _, b := range allSections(n) {
		switch b.name {
		case "when":
			f.node(where+"when class "+b.attrs[0].lit+" ", b)
		case "listener", "class", "virtual_host", "anonymous":
			f.node(where+b.name+" "+quote(b.label)+" ", b)
		default: // lists are one value
			if !slices.Contains(order, b.path) {
				order = append(order, b.path)
			}
			joined[b.path] = append(joined[b.path], b.line())
			shown[b.path] = append(shown[b.path], b.masked().line())
		}
	}
	for _, name := range order {
		f.add(entry{name: where + name, lit: strings.Join(joined[name], " "), shown: strings.Join(shown[name], " ")})
	}
}

// line is the section in one line.
func (n *node) line() string {
	var s strings.Builder
	(&node{blocks: []*node{n}}).write(&s, "")
	return strings.Join(strings.Fields(s.String()), " ")
}

// masked is n without its secrets.
func (n *node) masked() *node {
	out := *n
	out.attrs = slices.Clone(n.attrs)
	for i, a := range out.attrs {
		if a.key != nil && a.key.Secret {
			out.attrs[i].lit = "(hidden)"
		}
	}
	return &out
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
