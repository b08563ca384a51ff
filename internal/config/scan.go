package config

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Bounds of a file. The parser is recursive: depth bounds its stack.
const (
	MaxFile  = 4 << 20 // bytes
	maxDepth = 32      // of braces, brackets and parentheses
)

// scan reads the tokens before the parser does and refuses what the grammar has
// no use for: expressions, templates, functions. That bounds the parser's work,
// and it knows better words for the mistake.
func scan(name string, src []byte, report func(rng hcl.Range, what, right string)) bool {
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	depth, ok := 0, true
	bad := func(t hclsyntax.Token, what, right string) {
		if ok { // what follows is mostly the same mistake
			report(t.Range, what, right)
		}
		ok = false
	}
	for i := range tokens {
		t := tokens[i]
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack:
			if depth++; depth > maxDepth {
				bad(t, "is nested too deeply", fmt.Sprintf("at most %d levels are possible", maxDepth))
				return false
			}
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack:
			depth = max(depth-1, 0)
		case hclsyntax.TokenTemplateInterp:
			bad(t, "starts a template, and there are none", "write $${ for the characters ${")
		case hclsyntax.TokenTemplateControl:
			bad(t, "starts a template, and there are none", "write %%{ for the characters %{")
		case hclsyntax.TokenMinus:
			t.Range = numbers(tokens, i)
			bad(t, "is no value", "numbers are whole numbers from 0 on; times, sizes, rates and ranges stand in quotes")
		case hclsyntax.TokenOParen, hclsyntax.TokenQuestion, hclsyntax.TokenBang, hclsyntax.TokenStar,
			hclsyntax.TokenSlash, hclsyntax.TokenPlus, hclsyntax.TokenPercent, hclsyntax.TokenAnd, hclsyntax.TokenOr, hclsyntax.TokenEllipsis,
			hclsyntax.TokenFatArrow, hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual, hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq,
			hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq, hclsyntax.TokenDot, hclsyntax.TokenDoubleColon:
			bad(t, "starts an expression, and there are none", "values are written out; times, sizes, rates and modes stand in quotes")
		}
	}
	return ok
}

// numbers is the place of a minus and of the numbers that it touches.
func numbers(tokens hclsyntax.Tokens, i int) hcl.Range {
	r := tokens[i].Range
	if i > 0 && tokens[i-1].Type == hclsyntax.TokenNumberLit && tokens[i-1].Range.End == r.Start {
		r.Start = tokens[i-1].Range.Start
	}
	if i+1 < len(tokens) && tokens[i+1].Type == hclsyntax.TokenNumberLit && tokens[i+1].Range.Start == r.End {
		r.End = tokens[i+1].Range.End
	}
	return r
}
