// Package glob matches the patterns of LIST and NLST: * ? [a-z] [!a-z] and
// {a,b}, with \ before a byte that means itself. It is used by the files process
// on names and patterns that users choose; therefore no pattern costs more than
// (length of the pattern) x (length of the name) steps, and the expansion of
// braces is bounded.
//
// Matching is by bytes. Named classes ([[:alpha:]]) are not known.
package glob

import "strings"

// MaxName is the longest name that can match, in bytes: no file system has
// longer ones.
const MaxName = 255

// maxBracket is the longest bracket expression, in bytes; a longer one stands
// for itself.
const maxBracket = 128

// Meta tells whether s has a byte that makes it a pattern. A backslash alone
// does not: it is a byte that names may hold.
func Meta(s string) bool { return strings.ContainsAny(s, "*?[{") }

// Pattern is a compiled pattern for one path component.
type Pattern struct {
	toks []token
	min  int  // bytes that a match has at least
	dot  bool // begins with a literal dot
}

type token struct {
	kind kind
	b    byte    // literal
	set  *bitset // bracket expression
}

type kind uint8

const (
	literal kind = iota
	anyByte
	anyRun
	oneOf
)

// bitset holds the bytes of a bracket expression.
type bitset [4]uint64

func (s *bitset) add(b byte)      { s[b>>6] |= 1 << (b & 63) }
func (s *bitset) has(b byte) bool { return s[b>>6]&(1<<(b&63)) != 0 }

// Compile compiles one component; braces are bytes like any other here, see
// [Expand]. Every string is a pattern: a "[" that is not closed stands for
// itself, as does a backslash at the end.
func Compile(s string) *Pattern {
	p := &Pattern{}
	for i := 0; i < len(s); {
		t := token{kind: literal, b: s[i]}
		n := 1
		switch s[i] {
		case '*':
			t.kind = anyRun
			if k := len(p.toks); k > 0 && p.toks[k-1].kind == anyRun {
				i++
				continue
			}
		case '?':
			t.kind = anyByte
		case '[':
			if set, m := bracket(s[i:]); m > 0 {
				t, n = token{kind: oneOf, set: set}, m
			}
		case '\\':
			if i+1 < len(s) {
				t.b, n = s[i+1], 2
			}
		}
		p.toks = append(p.toks, t)
		if t.kind != anyRun {
			p.min++
		}
		i += n
	}
	p.dot = len(p.toks) > 0 && p.toks[0].kind == literal && p.toks[0].b == '.'
	return p
}

// bracket parses the expression at the front of s, which begins with "[", and
// returns its set and its length, or 0 if it is not closed.
func bracket(s string) (*bitset, int) {
	set := &bitset{}
	i, not := 1, false
	if i < len(s) && (s[i] == '!' || s[i] == '^') {
		not = true
		i++
	}
	for first := true; ; first = false {
		lo, n, ok := bracketByte(s, i)
		if !ok {
			return nil, 0
		}
		if s[i] == ']' && !first {
			i++
			break
		}
		i += n
		hi := lo
		if i+1 < len(s) && s[i] == '-' && s[i+1] != ']' {
			if hi, n, ok = bracketByte(s, i+1); !ok {
				return nil, 0
			}
			i += 1 + n
		}
		for b := int(lo); b <= int(hi); b++ {
			set.add(byte(b))
		}
	}
	if not {
		for w := range set {
			set[w] = ^set[w]
		}
	}
	return set, i
}

func bracketByte(s string, i int) (b byte, n int, ok bool) {
	switch {
	case i >= len(s) || i >= maxBracket:
		return 0, 0, false
	case s[i] == '\\' && i+1 < len(s):
		return s[i+1], 2, true
	}
	return s[i], 1, true
}

// Match tells whether the whole name fits. A name that begins with a dot is
// matched only by a pattern that begins with one. steps is what it cost.
func (p *Pattern) Match(name string) (ok bool, steps int) {
	if len(name) < p.min || len(name) > MaxName || p.min > MaxName || strings.HasPrefix(name, ".") && !p.dot {
		return false, 1
	}
	// Only the last star seen needs to be tried again: an earlier one could
	// only yield a match that the last one finds as well.
	n, t := 0, 0
	starT, starN := -1, 0
	for n < len(name) {
		steps++
		switch {
		case t < len(p.toks) && p.toks[t].kind == anyRun:
			starT, starN = t, n
			t++
		case t < len(p.toks) && p.toks[t].fits(name[n]):
			t++
			n++
		case starT >= 0:
			starN++
			t, n = starT+1, starN
		default:
			return false, steps
		}
	}
	for t < len(p.toks) && p.toks[t].kind == anyRun {
		t++
	}
	return t == len(p.toks), steps + 1
}

func (t *token) fits(b byte) bool {
	switch t.kind {
	case literal:
		return t.b == b
	case anyByte:
		return true
	case oneOf:
		return t.set.has(b)
	}
	return false
}

// Literal returns the name that the pattern stands for where no byte of it is
// one of a pattern, and whether that is so.
func (p *Pattern) Literal() (string, bool) {
	b := make([]byte, 0, len(p.toks))
	for _, t := range p.toks {
		if t.kind != literal {
			return "", false
		}
		b = append(b, t.b)
	}
	return string(b), true
}
