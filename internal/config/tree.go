package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"sallyport/internal/policy"
)

// node is a block of a configuration that is to be shown: the policy turned back
// into the grammar.
type node struct {
	name     string
	path     string // of a section, in the table
	label    string
	labelled bool
	section  bool
	attrs    []attr
	blocks   []*node
}

// attr is a key with its value as HCL.
type attr struct {
	key  *Key
	name string
	lit  string
}

// put enters the value of a key at its path; plain blocks come into being.
func (n *node) put(k *Key, path, lit string) {
	name, rest, nested := strings.Cut(path, ".")
	if !nested {
		n.attrs = append(n.attrs, attr{k, name, lit})
		return
	}
	n.plain(name).put(k, rest, lit)
}

// settings enters the values of c for the keys of a context. keep says which are
// worth it.
func (n *node) settings(c *scope, ctx Context, keep func(k *Key, lit string) bool) {
	t, lits := grammar(), map[*Key]string{}
	for _, k := range t.keys {
		if k.Later != "" || k.In == own || k.In&ctx == 0 {
			continue
		}
		if lit := k.Type.show(k.at(c)); lit != "" && keep(k, lit) {
			lits[k] = lit
		}
	}
	within := func(path string) bool {
		for k := range lits {
			if strings.HasPrefix(k.Path, path+".") {
				return true
			}
		}
		return false
	}
	for _, b := range t.blocks {
		if k := t.byKey[b.Implies]; k != nil && within(b.Path) && lits[k] == "" {
			lits[k] = k.Type.show(k.at(c))
		}
	}
	for _, k := range t.keys {
		if lits[k] == "" {
			continue
		}
		path := k.Path
		if strings.HasPrefix(k.Also, path+".") && within(path) { // a value cannot stand beside a block of its name
			path = k.Also
		}
		n.put(k, path, lits[k])
	}
}

// own enters the keys of a section itself.
func (n *node) own(prefix string, c *scope, keep func(k *Key, lit string) bool) {
	for _, k := range grammar().keys {
		if rest, ok := strings.CutPrefix(k.Path, prefix); ok && k.In == own && k.Later == "" {
			if lit := k.Type.show(k.at(c)); lit != "" && lit != "[]" && keep(k, lit) {
				n.put(k, rest, lit)
			}
		}
	}
}

// sub enters a section; path is where it stands in the table, and the plain
// blocks around it come into being.
func (n *node) sub(path, label string, labelled bool) *node {
	name := path
	for {
		outer, rest, nested := strings.Cut(name, ".")
		if !nested {
			break
		}
		n, name = n.plain(outer), rest
	}
	b := &node{name: name, path: path, label: label, labelled: labelled, section: true}
	n.blocks = append(n.blocks, b)
	return b
}

// plain returns the plain block of that name, which comes into being.
func (n *node) plain(name string) *node {
	i := slices.IndexFunc(n.blocks, func(b *node) bool { return b.name == name && !b.section })
	if i < 0 {
		i = len(n.blocks)
		n.blocks = append(n.blocks, &node{name: name})
	}
	return n.blocks[i]
}

// treeOf turns a policy back into the grammar: parsing what it says gives the
// policy again. With all, every key is there, else what is not the default.
func treeOf(p *policy.Policy, all bool) *node {
	keep := func(k *Key, lit string) bool { return all || lit != k.Default }
	top := new(node)
	if len(p.Hosts) == 0 {
		return top
	}
	g := p.Global
	first := &p.Hosts[0]
	b := p.Ban
	base := &scope{g: &g, s: &first.Base, h: first, b: &b}
	top.settings(base, Top, keep)
	for i := range g.Control.Rules {
		top.sub("control.acl", "", false).own("control.acl.", &scope{r: &g.Control.Rules[i]}, keep)
	}
	for i := range b.Rules {
		banRules.put(top, &p.Ban.Rules[i], keep)
	}
	for i := range b.Share {
		banShares.put(top, &p.Ban.Share[i], keep)
	}
	for i := range p.Listeners {
		top.sub("listener", p.Listeners[i].Label, true).own("listener.", &scope{l: &p.Listeners[i]}, keep)
	}
	for i := range p.Classes {
		top.sub("class", p.Classes[i].Name, true).own("class.", &scope{c: &p.Classes[i]}, keep)
	}
	for _, l := range listsIn(Top) {
		l.show(top, []pair{{nil, base}}, false, keep)
	}
	top.anonymous(first, keep)
	top.whens(p, first, nil, keep)
	says := map[string]*node{} // by the when blocks of the top level, for each class
	for _, c := range p.Classes {
		n := new(node)
		n.changes([]pair{{&scope{s: &first.Base}, &scope{s: first.For(c.Name)}}}, When, func(*Key, string) bool { return true })
		says[c.Name] = n
	}
	for i := range p.Hosts[1:] {
		h := &p.Hosts[1+i]
		n := top.sub("virtual_host", h.Name, true)
		n.own("virtual_host.", &scope{h: h}, keep)
		n.changes([]pair{{base, &scope{s: &h.Base, h: h}}}, Host, keep)
		if len(first.Base.Anonymous) > 0 && len(h.Base.Anonymous) == 0 {
			n.sub("anonymous", noRoot, true)
		}
		n.anonymous(h, keep)
		n.whens(p, h, says, keep)
	}
	return top
}

// changes enters what differs in a pair; where several do, their values are the
// same.
func (n *node) changes(pairs []pair, ctx Context, keep func(*Key, string) bool) {
	var differ []pair
	differing := map[*Key]string{}
	for _, p := range pairs {
		if p.from.s == p.to.s {
			continue
		}
		from, to := p.from.filled(), p.to.filled()
		differ = append(differ, pair{from, to})
		for _, k := range grammar().keys {
			if k.Later == "" && k.In != own && k.In&ctx != 0 && differing[k] == "" {
				if lit := k.Type.show(k.at(to)); lit != k.Type.show(k.at(from)) {
					differing[k] = lit
				}
			}
		}
	}
	if len(differ) == 0 {
		return
	}
	n.settings(differ[0].to, ctx, func(k *Key, _ string) bool { return differing[k] != "" })
	for _, l := range listsIn(ctx) {
		l.show(n, differ, ctx == When, keep)
	}
}

// filled is c with all the parts that keys of settings look at.
func (c *scope) filled() *scope {
	out := *c
	if out.g == nil || out.h == nil || out.b == nil {
		empty := newScope()
		if out.g == nil {
			out.g = empty.g
		}
		if out.h == nil {
			out.h = empty.h
		}
		if out.b == nil {
			out.b = empty.b
		}
	}
	return &out
}

// anonymous enters the anonymous blocks of a host: what they change, for any of
// its classes.
func (n *node) anonymous(h *policy.Host, keep func(*Key, string) bool) {
	for i := range h.Base.Anonymous {
		a := anonymousOf(&h.Base.Anonymous[i], &h.Base.Auth.Anonymous[i])
		b := n.sub("anonymous", a.path, true)
		b.own("anonymous.", &scope{a: a}, keep)
		pairs := []pair{{&scope{s: &h.Base, h: h}, &scope{s: &h.Base.Anonymous[i].Settings, h: h}}}
		for j := range h.ByClass {
			s := &h.ByClass[j].Settings
			pairs = append(pairs, pair{&scope{s: s, h: h}, &scope{s: &s.Anonymous[i].Settings, h: h}})
		}
		b.changes(pairs, Anon, keep)
	}
}

// whens enters a `when` block for each class with settings of its own in h; top
// is what those of the top level do to every class of another host.
func (n *node) whens(p *policy.Policy, h *policy.Host, top map[string]*node, keep func(*Key, string) bool) {
	seen := map[string]bool{}
	for _, c := range p.Classes {
		if seen[c.Name] {
			continue
		}
		seen[c.Name] = true
		from := h.Base
		if n := top[c.Name]; n != nil {
			from = merged(h.Base, n)
		}
		w := &node{name: "when", path: "when", section: true}
		w.own("when.", &scope{w: &policy.Selector{Match: "any", Class: []policy.Item{{Name: c.Name}}}}, keep)
		head := len(w.attrs)
		w.changes([]pair{{&scope{s: &from}, &scope{s: h.For(c.Name)}}}, When, keep)
		if len(w.attrs) > head || len(w.blocks) > 0 {
			n.blocks = append(n.blocks, w)
		}
	}
}

// merged returns s with a `when` block applied.
func merged(s policy.Settings, n *node) policy.Settings {
	c := (&scope{s: &s}).filled()
	n.each("", func(path string, a attr) {
		v := mustValue(a.lit)
		a.key.Type.read(&v, a.key.at(c), func(problem) {})
	})
	w := &section{ctx: When}
	for _, b := range allSections(n) {
		w.kids = append(w.kids, b.asSection())
	}
	if v := n.value("timeout.session"); v != nil {
		w.sets = append(w.sets, setting{grammar().byKey["timeout.session"], *v})
	}
	for _, l := range listsIn(When) {
		l.join(c, w, true)
		l.settle(c)
	}
	return s
}

// asSection turns the node of a section with keys of its own alone into what the
// parser would make of it.
func (n *node) asSection() *section {
	s := &section{block: grammar().byBlock[n.path], ctx: own, label: n.label}
	for _, a := range n.attrs {
		s.sets = append(s.sets, setting{a.key, mustValue(a.lit)})
	}
	return s
}

// value returns the value that a key has in n, nil where it has none.
func (n *node) value(path string) (v *value) {
	n.each("", func(p string, a attr) {
		if p == path {
			x := mustValue(a.lit)
			v = &x
		}
	})
	return v
}

// each calls f for the keys of n and its plain blocks.
func (n *node) each(prefix string, f func(path string, a attr)) {
	for _, a := range n.attrs {
		f(prefix+a.name, a)
	}
	for _, b := range n.blocks {
		if !b.section {
			b.each(prefix+b.name+".", f)
		}
	}
}

// write prints n as HCL, two spaces a level, the "=" of a body aligned.
func (n *node) write(w *strings.Builder, indent string) {
	width := 0
	for _, a := range n.attrs {
		width = max(width, len(a.name))
	}
	for _, a := range n.attrs {
		fmt.Fprintf(w, "%s%-*s = %s\n", indent, width, a.name, a.lit)
	}
	for _, b := range n.blocks {
		w.WriteString(indent + b.name)
		if b.labelled {
			w.WriteString(" " + quote(b.label))
		}
		if len(b.attrs)+len(b.blocks) == 0 {
			w.WriteString(" {}\n")
			continue
		}
		w.WriteString(" {\n")
		b.write(w, indent+"  ")
		w.WriteString(indent + "}\n")
	}
}

// MarshalJSON shows keys as values, plain blocks as objects, sections as lists
// of objects with their label.
func (n *node) MarshalJSON() ([]byte, error) {
	m := map[string]any{}
	for _, a := range n.attrs {
		v := mustValue(a.lit)
		m[a.name] = plainValue(&v)
	}
	for _, b := range n.blocks {
		if !b.section {
			m[b.name] = b
			continue
		}
		list, _ := m[b.name].([]any)
		entry := map[string]any{"settings": &node{attrs: b.attrs, blocks: b.blocks}}
		if b.labelled {
			entry["label"] = b.label
		}
		m[b.name] = append(list, entry)
	}
	return json.Marshal(m)
}

func plainValue(v *value) any {
	if v.list {
		out := []any{}
		for i := range v.items {
			out = append(out, plainValue(&v.items[i]))
		}
		return out
	}
	switch v.v.Type() {
	case cty.Bool:
		return v.v.True()
	case cty.Number:
		n, _ := v.number()
		return n
	}
	return v.v.AsString()
}
