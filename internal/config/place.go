package config

import (
	"bytes"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// place is where the file names a value.
type place struct {
	key, value string
	rng        hcl.Range
}

// Locate gives diagnostics about the machine the places of the values they are
// about, in the configuration at path. A default has none, and neither has what the
// file says no more.
func (ds Diagnostics) Locate(path string) {
	if len(ds) == 0 {
		return
	}
	src, err := readFile(path)
	if err != nil {
		return
	}
	p := &parser{t: grammar(), name: path, src: src, lines: bytes.Split(src, []byte("\n"))}
	top := p.read()
	if top == nil {
		return
	}
	all := top.places(nil)
	for i := range ds {
		d := &ds[i]
		for _, at := range all {
			if at.key == d.Key && (at.value == d.Value || d.Value == "") {
				p.diags = nil
				p.add(at.rng, *d)
				*d = p.diags[0]
				break
			}
		}
	}
}

// places appends the values of s and of the sections in it, labels included.
func (s *section) places(all []place) []place {
	for i := range s.sets {
		k, v := s.sets[i].key, &s.sets[i].val
		all = append(all, place{k.Path, v.plain(), v.rng})
		for j := range v.items {
			item := &v.items[j]
			all = append(all, place{k.Path, strings.TrimSuffix(item.plain(), "*"), item.rng})
		}
	}
	for _, kid := range s.kids {
		if kid.block.Label != "" {
			all = append(all, place{kid.block.Path, kid.label, kid.lrng})
		}
		all = kid.places(all)
	}
	return all
}

// plain is a value as messages show it: a text without its quotes.
func (v *value) plain() string {
	if t, ok := v.text(); ok {
		return t
	}
	return v.src
}

// keyAt returns the path of the name whose statement holds the byte at pos, as
// well as it can be told from tokens that are no correct file: "max.instances".
func (p *parser) keyAt(pos int) string {
	if p.tokens == nil {
		p.tokens, _ = hclsyntax.LexConfig(p.src, p.name, hcl.InitialPos)
	}
	var blocks []string // names of those that are open; "" for an object
	name, value := "", false
	lists := 0
	for i := range p.tokens {
		t := &p.tokens[i]
		if t.Range.Start.Byte > pos {
			break
		}
		switch t.Type {
		case hclsyntax.TokenIdent:
			if name == "" {
				name = string(t.Bytes)
			}
		case hclsyntax.TokenEqual:
			value = true
		case hclsyntax.TokenOBrack:
			lists++
		case hclsyntax.TokenCBrack:
			lists = max(lists-1, 0)
		case hclsyntax.TokenOBrace:
			if value || lists > 0 {
				blocks = append(blocks, "")
				continue
			}
			blocks, name = append(blocks, name), ""
		case hclsyntax.TokenCBrace:
			if n := len(blocks); n > 0 {
				if blocks[n-1] != "" {
					name, value = "", false
				}
				blocks = blocks[:n-1]
			}
		case hclsyntax.TokenNewline:
			if lists == 0 && (len(blocks) == 0 || blocks[len(blocks)-1] != "") {
				name, value = "", false
			}
		}
	}
	return p.t.shown(append(blocks, name))
}

// shown joins the names of nested blocks as messages do: what stands in a
// section begins with the section.
func (t *table) shown(names []string) string {
	var path, shown []string
	for _, n := range names {
		if n == "" {
			continue
		}
		path, shown = append(path, n), append(shown, n)
		b := t.byBlock[strings.Join(path, ".")]
		if b == nil && len(path) > 1 { // settings in a section
			if b = t.byBlock[n]; b != nil {
				path = path[len(path)-1:]
			}
		}
		if b != nil && b.Section {
			path = path[:0]
			if b.Settings == 0 {
				path = append(path, strings.Split(b.Path, ".")...)
			}
			shown = []string{b.name()}
		}
	}
	return strings.Join(shown, ".")
}
