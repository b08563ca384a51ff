package glob

import "strings"

// MaxBraces is how many patterns the braces of one argument may stand for.
const MaxBraces = 256

// expandWork bounds the bytes that Expand looks at, over all its rounds.
const expandWork = 256 << 10

// Expand replaces braces by the patterns they stand for, in order: "a{b,c}"
// becomes "ab", "ac". Braces nest and may hold slashes; "{}" and braces that do
// not close stand for themselves, as does a brace after a backslash or within a
// bracket expression. ok is false where there would be more than [MaxBraces], or too much work.
func Expand(s string) (out []string, ok bool) {
	// Each round replaces the first braces of one pattern; what comes out
	// takes its place, so that the order is that of the words.
	todo := []string{s}
	for work := 0; len(todo) > 0; {
		p := todo[len(todo)-1]
		if work += len(p); work > expandWork {
			return nil, false
		}
		todo = todo[:len(todo)-1]
		open, shut, commas := firstBrace(p)
		if open < 0 {
			if out = append(out, p); len(out) > MaxBraces {
				return nil, false
			}
			continue
		}
		cuts := append(append([]int{open}, commas...), shut)
		for i := len(cuts) - 1; i > 0; i-- {
			todo = append(todo, p[:open]+p[cuts[i-1]+1:cuts[i]]+p[shut+1:])
		}
		if len(todo)+len(out) > MaxBraces {
			return nil, false
		}
	}
	return out, true
}

// firstBrace finds the first braces that close and are not "{}": where they
// open and shut, and their commas. open is -1 if there are none.
func firstBrace(s string) (open, shut int, commas []int) {
	if strings.IndexByte(s, '{') < 0 {
		return -1, 0, nil
	}
	closing := matching(s)
	for i := 0; i < len(s); i = next(s, i) {
		if s[i] != '{' || closing[i] <= i+1 {
			continue
		}
		for j := i + 1; j < closing[i]; j = next(s, j) {
			switch {
			case s[j] == ',':
				commas = append(commas, j)
			case s[j] == '{' && closing[j] > 0:
				j = closing[j]
			}
		}
		return i, closing[i], commas
	}
	return -1, 0, nil
}

// matching returns, for each "{", where it closes; 0 if it does not.
func matching(s string) []int {
	closing := make([]int, len(s))
	var stack []int
	for i := 0; i < len(s); i = next(s, i) {
		switch s[i] {
		case '{':
			stack = append(stack, i)
		case '}':
			if n := len(stack); n > 0 {
				closing[stack[n-1]] = i
				stack = stack[:n-1]
			}
		}
	}
	return closing
}

// next steps over what stands at s[i]: an escaped byte, a bracket expression or
// one byte.
func next(s string, i int) int {
	switch s[i] {
	case '\\':
		return min(i+2, len(s))
	case '[':
		if _, n := bracket(s[i:]); n > 0 {
			return i + n
		}
	}
	return i + 1
}
