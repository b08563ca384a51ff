package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// value is what stands behind "=": a literal or a list of literals.
type value struct {
	v     cty.Value
	items []value
	list  bool
	rng   hcl.Range
	src   string // as written
}

// problem is what a Type has to say against a value.
type problem struct {
	at    *value // nil: the whole value
	what  string
	right string // "" for the type's form
	near  string // what was probably meant
	later string // the feature the value belongs to
	warn  bool
	hide  bool // the value is a secret
}

// literal evaluates an expression that is a literal or a list of them. The
// tokens were checked before (see scan.go), so that nothing else can occur but
// names, calls and objects.
func literal(e hclsyntax.Expression, src []byte) (value, string) {
	v := value{rng: e.Range()}
	if v.rng.End.Byte <= len(src) && v.rng.Start.Byte <= v.rng.End.Byte {
		v.src = string(src[v.rng.Start.Byte:v.rng.End.Byte])
	}
	switch x := e.(type) {
	case *hclsyntax.TupleConsExpr:
		v.list = true
		for _, item := range x.Exprs {
			i, what := literal(item, src)
			if what == "" && i.list {
				what = "a list within a list"
			}
			if what != "" {
				v.rng, v.src = i.rng, i.src
				return v, what
			}
			v.items = append(v.items, i)
		}
		return v, ""
	case *hclsyntax.LiteralValueExpr, *hclsyntax.TemplateExpr:
		val, diags := x.Value(nil)
		if diags.HasErrors() || val.IsNull() || !val.IsWhollyKnown() {
			return v, "is no plain value"
		}
		v.v = val
		return v, ""
	case *hclsyntax.ScopeTraversalExpr:
		return v, "is a bare word; texts stand in quotes"
	case *hclsyntax.ObjectConsExpr:
		return v, "is an object; write a block: name { ... }"
	default:
		return v, "is an expression; values are written out"
	}
}

// text returns a string value.
func (v *value) text() (string, bool) {
	if v.list || v.v.Type() != cty.String {
		return "", false
	}
	return v.v.AsString(), true
}

// number returns a whole number from 0 on.
func (v *value) number() (uint64, bool) {
	if v.list || v.v.Type() != cty.Number {
		return 0, false
	}
	f := v.v.AsBigFloat()
	if !f.IsInt() || f.Sign() < 0 {
		return 0, false
	}
	n, acc := f.Uint64()
	return n, acc == 0
}

func (v *value) boolean() (bool, bool) {
	if v.list || v.v.Type() != cty.Bool {
		return false, false
	}
	return v.v.True(), true
}

// mustValue reads a value that stands in the table. It panics where it is none.
func mustValue(src string) value {
	e, diags := hclsyntax.ParseExpression([]byte(src), "table", hcl.InitialPos)
	if diags.HasErrors() {
		panic("config: " + src + ": " + diags.Error())
	}
	v, what := literal(e, []byte(src))
	if what != "" {
		panic("config: " + src + " " + what)
	}
	return v
}
