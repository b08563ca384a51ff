package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"sallyport/internal/access"
)

// section is a part of the file with settings of its own: the top level, or a
// block that may repeat. Plain blocks (max, auth ...) are flattened into it.
type section struct {
	block *Block // nil: the top level
	ctx   Context
	label string
	rng   hcl.Range // of the block's name, for messages
	lrng  hcl.Range // of its label
	sets  []setting
	kids  []*section
	bad   bool            // something in it is wrong or not built yet
	odd   bool            // it has a name that nobody knows
	seen  map[*Key]string // where a key was set
	who   *access.Selector
}

// setting is a value that was read without fault.
type setting struct {
	key *Key
	val value
}

// apply writes the section's values into c, skipping what c has no place for.
func (s *section) apply(c *scope) {
	for i := range s.sets {
		k := s.sets[i].key
		k.Type.read(&s.sets[i].val, k.at(c), func(problem) {})
	}
}

// set returns the value of a key, if the section sets it.
func (s *section) set(path string) *value {
	for i := range s.sets {
		if s.sets[i].key.Path == path {
			return &s.sets[i].val
		}
	}
	return nil
}

// prefixes are the places in the table where the names of a body may be: those
// of the section's own, and those of a context's settings.
func (s *section) prefixes(inner string) []string {
	switch {
	case s.block == nil:
		return []string{inner}
	case s.block.Settings == 0:
		return []string{s.block.Path + "." + inner}
	case inner == "":
		return []string{s.block.Path + ".", ""}
	}
	return []string{inner}
}

// find looks name up. It is allowed in the section if its context has it.
func (p *parser) find(s *section, inner, name string) (k *Key, b *Block, allowed bool) {
	for _, pre := range s.prefixes(inner) {
		k, b = p.t.byKey[pre+name], p.t.byBlock[pre+name]
		ctx := s.ctx
		if s.block != nil && strings.HasPrefix(pre, s.block.Path+".") {
			ctx = own
		}
		if k != nil || b != nil {
			return k, b, k != nil && k.In&ctx != 0 || b != nil && b.In&ctx != 0
		}
	}
	return nil, nil, false
}

// body reads the attributes and blocks of one body into s. inner is the path of
// the plain blocks it lies in, with a dot at the end.
func (p *parser) body(b *hclsyntax.Body, inner string, s *section) {
	attrs := make([]*hclsyntax.Attribute, 0, len(b.Attributes))
	for _, a := range b.Attributes {
		attrs = append(attrs, a)
	}
	slices.SortFunc(attrs, func(a, b *hclsyntax.Attribute) int {
		return cmp.Compare(a.NameRange.Start.Byte, b.NameRange.Start.Byte)
	})
	for _, a := range attrs {
		p.attribute(a, inner, s)
	}
	for _, blk := range b.Blocks {
		p.block(blk, inner, s)
	}
}

func (p *parser) attribute(a *hclsyntax.Attribute, inner string, s *section) {
	k, b, allowed := p.find(s, inner, a.Name)
	path := inner + a.Name
	if s.block != nil {
		path = s.block.name() + "." + path
	}
	fail := func(d Diagnostic) {
		s.bad = true
		d.Key = path
		p.add(a.NameRange, d)
	}
	switch {
	case k == nil && b == nil:
		s.odd = true
		fail(Diagnostic{Problem: "unknown name", Suggest: p.t.suggest(s.prefixes(inner), a.Name, s.ctx)})
		return
	case k == nil && b.Later != "" || k != nil && k.Later != "":
		p.later(a.NameRange, path, feature(k, b))
		s.bad = true
		return
	case k == nil:
		fail(Diagnostic{Problem: "is a block, not a value", Right: "write " + b.written()})
		return
	case !allowed:
		fail(Diagnostic{Problem: "does not belong here", Right: "it stands in: " + k.In.String()})
		return
	}
	if s.seen == nil {
		s.seen = map[*Key]string{}
	}
	if at := s.seen[k]; at != "" {
		fail(Diagnostic{Problem: "is set twice", Right: "the first time " + at})
		return
	}
	s.seen[k] = fmt.Sprintf("on line %d", a.NameRange.Start.Line)
	if v, ok := p.value(a, k, path, s); ok {
		s.sets = append(s.sets, setting{k, v})
	}
}

// value reads a key's value and reports what is wrong with it.
func (p *parser) value(a *hclsyntax.Attribute, k *Key, path string, s *section) (value, bool) {
	v, what := literal(a.Expr, p.src)
	ok := true
	report := func(pr problem) {
		at := &v
		if pr.at != nil {
			at = pr.at
		}
		d := Diagnostic{Key: path, Value: at.src, Problem: at.src + " " + pr.what, Right: cmp.Or(pr.right, "right is "+k.Type.Form), Suggest: pr.near}
		switch {
		case pr.warn:
			d.Severity = Warning
		case pr.later != "":
			d.Problem, d.NotBuilt = "not built yet: "+pr.later+" ("+pr.what+")", true
			d.Right = cmp.Or(pr.right, "now: "+k.Type.Form)
		}
		if len(d.Value) > 60 && !pr.warn && pr.later == "" || pr.hide {
			d.Problem = "the value " + pr.what
		}
		if pr.hide {
			d.Value = ""
		}
		ok = ok && pr.warn
		p.add(at.rng, d)
	}
	if what != "" {
		report(problem{what: what})
	} else {
		k.Type.read(&v, k.at(newScope()), report)
	}
	s.bad = s.bad || !ok
	return v, ok
}

func feature(k *Key, b *Block) string {
	if k != nil {
		return k.Later
	}
	return b.Later
}

func (p *parser) later(rng hcl.Range, path, what string) {
	p.add(rng, Diagnostic{Key: path, NotBuilt: true, Problem: "not built yet: " + what})
}

func (p *parser) block(blk *hclsyntax.Block, inner string, s *section) {
	k, b, allowed := p.find(s, inner, blk.Type)
	path := inner + blk.Type
	if s.block != nil {
		path = s.block.name() + "." + path
	}
	fail := func(rng hcl.Range, d Diagnostic) {
		s.bad = true
		d.Key = path
		p.add(rng, d)
	}
	switch {
	case k == nil && b == nil:
		fail(blk.TypeRange, Diagnostic{Problem: "unknown block", Suggest: p.t.suggest(s.prefixes(inner), blk.Type, s.ctx)})
		return
	case b != nil && b.Later != "" || b == nil && k.Later != "":
		s.bad = true
		p.later(blk.TypeRange, path, feature(nil, cmp.Or(b, &Block{Later: later(k)})))
		return
	case b == nil:
		fail(blk.TypeRange, Diagnostic{Problem: "is a value, not a block", Right: "write " + k.name() + " = " + cmp.Or(k.Example, k.Default)})
		return
	case !allowed:
		fail(blk.TypeRange, Diagnostic{Problem: "does not belong here", Right: "it stands in: " + b.In.String()})
		return
	case b.Label == "" && len(blk.Labels) > 0:
		fail(blk.LabelRanges[0], Diagnostic{Value: blk.Labels[0], Problem: "takes no label", Right: "write " + b.written()})
		return
	case b.Label != "" && len(blk.Labels) != 1:
		fail(blk.TypeRange, Diagnostic{Problem: "takes one label", Right: "write " + b.written()})
		return
	}
	if !b.Section {
		p.body(blk.Body, inner+blk.Type+".", s)
		if k := p.t.byKey[b.Implies]; k != nil && s.seen[k] == "" {
			s.sets = append(s.sets, setting{k, mustValue("true")})
		}
		return
	}
	kid := &section{block: b, ctx: cmp.Or(b.Settings, own), rng: blk.TypeRange}
	if b.Label != "" {
		kid.label, kid.lrng = blk.Labels[0], blk.LabelRanges[0]
		p.label(b, kid)
	}
	p.body(blk.Body, "", kid)
	p.required(kid)
	s.kids = append(s.kids, kid)
	s.bad = s.bad || kid.bad
}

// label reads a label that is a value.
func (p *parser) label(b *Block, s *section) {
	if b.LabelType == nil {
		return
	}
	v := labelValue(s.label)
	b.LabelType.read(&v, b.labelAt(newScope()), func(pr problem) {
		s.bad = s.bad || !pr.warn
		d := Diagnostic{Key: b.name(), Value: s.label, Problem: v.src + " " + pr.what, Suggest: pr.near, Right: cmp.Or(pr.right, "a label is "+b.LabelType.Form)}
		switch {
		case pr.warn:
			d.Severity = Warning
		case pr.later != "":
			d.Problem, d.NotBuilt = "not built yet: "+pr.later+" ("+v.src+")", true
		}
		p.add(s.lrng, d)
	})
}

func later(k *Key) string {
	if k == nil {
		return ""
	}
	return k.Later
}

// required reports the keys without which a section makes no sense; where a name
// is unknown, that is probably the one.
func (p *parser) required(s *section) {
	if s.odd {
		return
	}
	for _, k := range p.t.keys {
		if rest, ok := strings.CutPrefix(k.Path, s.block.Path+"."); ok && k.Required && s.seen[k] == "" {
			s.bad = true
			p.add(s.rng, Diagnostic{Key: s.block.name() + "." + rest, Problem: "is missing", Right: fmt.Sprintf("write %s = %s", rest, k.Example)})
		}
	}
}
