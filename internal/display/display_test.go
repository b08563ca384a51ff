package display

import (
	"regexp"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	value := func(name string) string {
		return map[string]string{"C": "/a\nb", "{total_bytes_in}": "7", "L": "%C"}[name]
	}
	for text, want := range map[string]string{
		"":                         "",
		"nothing to do":            "nothing to do",
		"in %C.":                   "in /a?b.",
		"%L":                       "%C", // once
		"%{total_bytes_in} bytes":  "7 bytes",
		"%q%{env:HOME}%{C}%{}%{%}": "",
		"50 % off, 100%, 5%.":      "50 % off, 100%, 5%.",
		"%%C %%%C":                 "%C %/a?b",
		"%{time:%%}":               "%",
		"%{time:} %{time:%Q}":      "- -",
		"%{time:%n}%{time:a\nb}":   "--", // no line feed
		"open %{total":             "open %{total",
		"%":                        "%",
		"%\xff%é":                  "%\xff%é",
	} {
		if got := Expand(text, 1000, value); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := Expand("%T %{time:%Y}", 1000, value); !regexp.MustCompile(`^\w{3} \w{3} \d\d \d\d:\d\d:\d\d (\d{4}) \d{4}$`).MatchString(got) {
		t.Errorf("%q", got)
	}
	if got := Expand(strings.Repeat("%C", 100), 30, value); len(got) > 40 {
		t.Errorf("%d bytes", len(got))
	}
}

// FuzzExpand: whatever the text, it ends, no variable breaks a line, and the bound holds
// but for one value.
func FuzzExpand(f *testing.F) {
	for _, s := range []string{"%C", "%{time:%Y %%} %{", "%", "%{time:", "50 % %T"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Expand(text, 100, func(string) string { return "x\ny" })
		if strings.Count(got, "\n") > strings.Count(text, "\n") {
			t.Errorf("%q has more lines than %q", got, text)
		}
		if strings.Contains(text, "%") && len(got) > 101+max(64, 40*len(text)) {
			t.Errorf("%d bytes of %q", len(got), text)
		}
	})
}
