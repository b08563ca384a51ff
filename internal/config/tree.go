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
	i := slices.IndexFunc(n.blocks, func(b *node) bool { return b.name == name && !b.section })
	if i < 0 {
		i = len(n.blocks)
		n.blocks = append(n.blocks, &node{name: name})
	}
	n.blocks[i].put(k, rest, lit)
}

// settings enters the values of c for the keys of a context. keep says which are
// worth it.
func (n *node) settings(c *scope, ctx Context, keep func(k *Key, lit string) bool) {
	const perHost = "max.connections_per_host"
	for _, k := range grammar().keys {
		if k.Later != "" || k.In == own || k.In&ctx == 0 || k.Path == perHost+".message" {
			continue
		}
		lit := k.Type.show(k.at(c))
		if k.Path == perHost { // with a message it is a block
			m := grammar().byKey[perHost+".message"]
			if text := m.Type.show(m.at(c)); keep(m, text) {
				n.put(k, k.Also, lit)
				n.put(m, m.Path, text)
				continue
			}
		}
		if lit != "" && keep(k, lit) {
			n.put(k, k.Path, lit)
		}
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

func (n *node) sub(name, label string, labelled bool) *node {
	b := &node{name: name, label: label, labelled: labelled, section: true}
	n.blocks = append(n.blocks, b)
	return b
}

func (n *node) roots(list []policy.Root, keep func(k *Key, lit string) bool) {
	for i := range list {
		n.sub("root", list[i].Path, true).own("root.", &scope{o: &list[i]}, keep)
	}
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
	base := first.Base
	top.settings(&scope{g: &g, s: &base}, Top, keep)
	for i := range g.Control.Rules {
		top.control().sub("acl", "", false).own("control.acl.", &scope{r: &g.Control.Rules[i]}, keep)
	}
	for i := range p.Listeners {
		top.sub("listener", p.Listeners[i].Label, true).own("listener.", &scope{l: &p.Listeners[i]}, keep)
	}
	for i := range p.Classes {
		top.sub("class", p.Classes[i].Name, true).own("class.", &scope{c: &p.Classes[i]}, keep)
	}
	top.roots(base.Roots, keep)
	top.whens(p, first, first, keep)
	for i := range p.Hosts[1:] {
		h := &p.Hosts[1+i]
		n := top.sub("virtual_host", h.Name, true)
		n.own("virtual_host.", &scope{h: h}, keep)
		n.changes(&base, &h.Base, Host, keep)
		n.whens(p, first, h, keep)
	}
	return top
}

// control returns the control block, which the keys of Global made.
func (n *node) control() *node {
	for _, b := range n.blocks {
		if b.name == "control" {
			return b
		}
	}
	b := &node{name: "control"}
	n.blocks = append(n.blocks, b)
	return b
}

// changes enters what to differs in from from.
func (n *node) changes(from, to *policy.Settings, ctx Context, keep func(*Key, string) bool) {
	a, b := &scope{g: new(policy.Global), s: from}, &scope{g: new(policy.Global), s: to}
	n.settings(b, ctx, func(k *Key, lit string) bool { return lit != k.Type.show(k.at(a)) })
	if !sameRoots(from.Roots, to.Roots) {
		n.roots(to.Roots, keep)
	}
}

func sameRoots(a, b []policy.Root) bool {
	return rootsText(a) == rootsText(b)
}

func rootsText(list []policy.Root) string {
	n := new(node)
	n.roots(list, func(*Key, string) bool { return true })
	var b strings.Builder
	n.write(&b, "")
	return b.String()
}

// whens enters a `when` block for each class with settings of its own in h.
func (n *node) whens(p *policy.Policy, first, h *policy.Host, keep func(*Key, string) bool) {
	seen := map[string]bool{}
	for _, c := range p.Classes {
		if seen[c.Name] {
			continue
		}
		seen[c.Name] = true
		from := h.Base
		if h != first { // what the when block of the top level does to this host
			from = merged(h.Base, &first.Base, first.For(c.Name))
		}
		w := &node{name: "when", section: true}
		w.own("when.", &scope{w: &policy.Selector{Match: "any", Class: []policy.Item{{Name: c.Name}}}}, keep)
		head := len(w.attrs)
		w.changes(&from, h.For(c.Name), When, keep)
		if len(w.attrs) > head || len(w.blocks) > 0 {
			n.blocks = append(n.blocks, w)
		}
	}
}

// merged returns s with the difference of from and to applied.
func merged(s policy.Settings, from, to *policy.Settings) policy.Settings {
	n := new(node)
	n.changes(from, to, When, func(*Key, string) bool { return true })
	c := &scope{g: new(policy.Global), s: &s}
	n.each("", func(path string, a attr) {
		v := mustValue(a.lit)
		a.key.Type.read(&v, a.key.at(c), func(problem) {})
	})
	if !sameRoots(from.Roots, to.Roots) {
		s.Roots = reachable(append(slices.Clone(to.Roots), s.Roots...))
	}
	return s
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
