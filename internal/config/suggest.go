package config

import (
	"slices"
	"strings"
)

// nearest returns the candidate closest to word in edits, or "" where none is
// close enough to be what was meant.
func nearest(word string, candidates []string) string {
	if len(word) > 64 || len(word) < 2 {
		return ""
	}
	best, dist := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if c == "" || c == word {
			continue
		}
		if d := distance(strings.ToLower(word), c); d < dist {
			best, dist = c, d
		}
	}
	return best
}

// distance is the number of insertions, deletions, replacements and swaps of
// neighbours that make a into b.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, prev, cur := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range x {
		cur[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			cur[j+1] = min(prev[j+1]+1, cur[j]+1, prev[j]+cost)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				cur[j+1] = min(cur[j+1], before[j-1]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(y)]
}

// suggest finds what an unknown name at path prefix was meant to be: a name that
// fits there, one that belongs elsewhere, or the reference's directive.
func (t *table) suggest(prefixes []string, name string, ctx Context) string {
	var here []string
	for _, p := range prefixes {
		for _, n := range t.names(p) {
			if t.allowed(p+n, ctx|own) {
				here = append(here, n)
			}
		}
	}
	if s := nearest(name, here); s != "" {
		return quote(s)
	}
	squeezed := squeeze(name)
	for _, k := range t.keys {
		if k.In&ctx != 0 && (squeeze(k.Directive) == squeezed || squeeze(k.Path) == squeezed || k.name() == name) {
			return k.written()
		}
	}
	for _, b := range t.blocks {
		if b.In&ctx != 0 && (squeeze(b.Directive) == squeezed || b.name() == name) {
			return b.written()
		}
	}
	return ""
}

// squeeze makes MaxLoginAttempts, max_login_attempts and max.login_attempts the
// same word.
func squeeze(s string) string {
	return strings.ToLower(strings.NewReplacer("_", "", ".", "", "-", "").Replace(s))
}

// names lists the keys and blocks directly below prefix ("" or "max.").
func (t *table) names(prefix string) []string {
	var out []string
	add := func(path string) {
		if rest, ok := strings.CutPrefix(path, prefix); ok && rest != "" && !strings.Contains(rest, ".") {
			out = append(out, rest)
		}
	}
	for _, k := range t.keys {
		add(k.Path)
	}
	for _, b := range t.blocks {
		add(b.Path)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
