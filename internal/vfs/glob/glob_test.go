package glob

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "abc", true},
		{"*", ".hidden", false},
		{".*", ".hidden", true},
		{"?", "a", true},
		{"?", "", false},
		{"?", "ab", false},
		{"?", ".", false},
		{"[.]x", ".x", false},
		{`\.x`, ".x", true},
		{"*.txt", "a.txt", true},
		{"*.txt", "a.txt2", false},
		{"a*b*c", "a-b-c", true},
		{"a*b*c", "acb", false},
		{"a**c", "abc", true},
		{"[abc]", "b", true},
		{"[a-c]x", "cx", true},
		{"[!a-c]x", "dx", true},
		{"[^a-c]x", "ax", false},
		{"[]]", "]", true},
		{"[!]]", "]", false},
		{"[a-]", "-", true},
		{"[", "[", true},
		{"[abc", "[abc", true},
		{"[z-a]", "m", false},
		{`[\]]`, "]", true},
		{"[a]]", "a]", true},
		{`\*`, "*", true},
		{`\*`, "a", false},
		{`a\`, `a\`, true},
		{`[\`, `[\`, true},
		{"*\xff", "\xfe\xff", true},
		{"?", "\x80", true},
		{"[\x80-\xff]", "\xc3", true},
		{"*", strings.Repeat("a", 255), true},
		{"*", strings.Repeat("a", 256), false},
		{strings.Repeat("?", 300), strings.Repeat("a", 255), false},
	} {
		if got, _ := Compile(c.pattern).Match(c.name); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.name, got)
		}
	}
}

func TestExpand(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"a", []string{"a"}},
		{"a{b,c}d", []string{"abd", "acd"}},
		{"{a,b}{c,d}", []string{"ac", "ad", "bc", "bd"}},
		{"{a,{b,c}d}", []string{"a", "bd", "cd"}},
		{"{}", []string{"{}"}},
		{"{a", []string{"{a"}},
		{"a}", []string{"a}"}},
		{"{a}", []string{"a"}},
		{"{,x}", []string{"", "x"}},
		{`\{a,b}`, []string{`\{a,b}`}},
		{"[{]a,b}", []string{"[{]a,b}"}},
		{"{a,[},]}", []string{"a", "[},]"}},
		{"{{a,b}", []string{"{a", "{b"}},
		{"d/{a/b,c}*", []string{"d/a/b*", "d/c*"}},
	} {
		got, ok := Expand(c.in)
		if d := cmp.Diff(c.want, got); d != "" || !ok {
			t.Errorf("%q: %s", c.in, d)
		}
	}
}

// Patterns that make a backtracking or naively expanding matcher take forever.
// The time is a thousand times what is needed; a step count would say the same.
func TestHostilePatternsAreCheap(t *testing.T) {
	start := time.Now()
	if _, ok := Expand(strings.Repeat("{a,b}", 20)); ok {
		t.Error("a million patterns came out")
	}
	if _, ok := Expand(strings.Repeat("{", 2000) + strings.Repeat(",}", 2000)); ok {
		t.Error("2,000 nested braces came out")
	}
	if _, ok := Expand(strings.Repeat("{", 2000) + "a" + strings.Repeat("}", 2000)); ok {
		t.Error("2,000 braces around a letter came off one by one")
	}
	Expand("{" + strings.Repeat("[", 4000) + `\],b}`)
	name := strings.Repeat("a", MaxName)
	ok, steps := Compile(strings.Repeat("*a", 100) + "*b").Match(name)
	if ok || steps > MaxName*MaxName {
		t.Errorf("match %v after %d steps", ok, steps)
	}
	if ok, steps = Compile(strings.Repeat("*"+strings.Repeat("a", 60), 4) + "*b").Match(name); ok || steps > MaxName*MaxName {
		t.Errorf("match %v after %d steps", ok, steps)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestLiteral(t *testing.T) {
	for in, want := range map[string]string{"abc": "abc", `a\*b`: "a*b", `\[x]`: "[x]", "[x": "[x"} {
		if got, ok := Compile(in).Literal(); !ok || got != want {
			t.Errorf("%q: %q %v", in, got, ok)
		}
	}
	if _, ok := Compile("a*").Literal(); ok {
		t.Error("a* is no literal")
	}
}

// simple is a matcher whose rightness can be seen: it tries everything.
func simple(p []token, name string) bool {
	if len(p) == 0 {
		return name == ""
	}
	if p[0].kind == anyRun {
		return simple(p[1:], name) || name != "" && simple(p, name[1:])
	}
	return name != "" && p[0].fits(name[0]) && simple(p[1:], name[1:])
}

func FuzzMatch(f *testing.F) {
	f.Add("*a*a*b", "aaaaab")
	f.Add("[a-z]*[!x]", "hello")
	f.Add(`{a,b\}}[`, "a")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if all, ok := Expand(pattern); ok && len(all) > MaxBraces {
			t.Fatalf("%d patterns", len(all))
		}
		p := Compile(pattern)
		got, steps := p.Match(name)
		if steps > (MaxName+1)*(MaxName+2) {
			t.Fatalf("%d steps", steps)
		}
		if len(name) > 16 || len(p.toks) > 12 {
			return
		}
		want := simple(p.toks, name) && (!strings.HasPrefix(name, ".") || p.dot)
		if got != want {
			t.Fatalf("%q on %q: %v, want %v", pattern, name, got, want)
		}
	})
}
