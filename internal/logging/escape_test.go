package logging

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestEscapeLeavesNothingThatActs(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain text, with = and \"", "plain text, with = and \""},
		{"größe 文", "größe 文"},
		{`a\b`, `a\\b`},
		{"a\nFAKE", `a\x0aFAKE`},
		{"\x1b[31m", `\x1b[31m`},
		{"\x00\x7f", `\x00\x7f`},
		{"\u0085\u009b", `\xc2\x85\xc2\x9b`},         // C1
		{"\u202egnp.exe", `\xe2\x80\xaegnp.exe`},     // right-to-left override
		{"\u2028\u2029", `\xe2\x80\xa8\xe2\x80\xa9`}, // line separators
		{"\u200b\ufeff", `\xe2\x80\x8b\xef\xbb\xbf`}, // invisible
		{"\xff\xfe", `\xff\xfe`},
		{"a\u00a0b", `a\xc2\xa0b`}, // a blank that is none
	} {
		if got := Escape(c.in); got != c.want {
			t.Errorf("Escape(%q) = %s, want %s", c.in, got, c.want)
		}
	}
	if got := Quote(`a"b\` + "\n"); got != `"a\"b\\\x0a"` {
		t.Errorf("Quote = %s", got)
	}
}

// TestEscapeIsReversible also holds that the result is printable.
func TestEscapeIsReversible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		if rapid.Bool().Draw(t, "text") {
			in = rapid.String().Draw(t, "string")
		}
		out := Quote(in)
		for _, r := range out {
			if !strconv.IsPrint(r) {
				t.Fatalf("Quote(%q) holds %U", in, r)
			}
		}
		back, err := strconv.Unquote(out)
		if err != nil || back != in {
			t.Fatalf("Quote(%q) = %s reads back as %q, %v", in, out, back, err)
		}
	})
}

func TestClipCutsAtACharacter(t *testing.T) {
	for n := range 12 {
		s := clip(strings.Repeat("é", 10), n+1)
		cut, note, _ := strings.Cut(s, "…")
		if !utf8.ValidString(cut) || note != " (20 bytes)" {
			t.Errorf("clip at %d: %q", n+1, s)
		}
	}
	if s := clip(strings.Repeat("\x80", 10), 5); s != strings.Repeat("\x80", 5)+"… (10 bytes)" {
		t.Errorf("clip of continuation bytes: %q", s)
	}
	if s := clip("abc", 3); s != "abc" {
		t.Errorf("clip of what fits: %q", s)
	}
}
