package ftp

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDocumentedCommandsAreTheTable holds docs/FTP.md against the commands.
func TestDocumentedCommandsAreTheTable(t *testing.T) {
	b, err := os.ReadFile("../../docs/FTP.md")
	must(t, err)
	_, part, ok := strings.Cut(string(b), "## Commands")
	if !ok {
		t.Fatal("no section on commands")
	}
	part, _, _ = strings.Cut(part, "\n## ")
	var got, want []string
	for line := range strings.Lines(part) {
		f := strings.Split(line, "|")
		if len(f) == 7 && f[1] != " verb " && !strings.HasPrefix(f[1], "-") {
			got = append(got, fmt.Sprintf("%s|%s|%s|%s|%t", strings.TrimSpace(f[1]), strings.TrimSpace(f[2]),
				strings.TrimSpace(f[3]), strings.TrimSpace(f[4]), strings.TrimSpace(f[5]) == "502"))
		}
	}
	for _, c := range commands() {
		login, rename := "", ""
		if c.login {
			login = "login"
		}
		if c.flags&inRename != 0 {
			rename = "R"
		}
		want = append(want, fmt.Sprintf("%s|%s|%s|%s|%t", c.verb, login, c.group, rename, c.run == nil))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTableIsWhole(t *testing.T) {
	tab := newTable()
	if len(tab.byVerb) != len(tab.list) {
		t.Error("a verb stands twice")
	}
	for _, c := range tab.list {
		if len(c.verb) > maxVerb || len(c.verb) < 3 || upper(c.verb) != c.verb {
			t.Errorf("verb %q", c.verb)
		}
		if (c.run == nil) != (c.syntax == "") {
			t.Errorf("%s: a syntax belongs to each command that works", c.verb)
		}
		if c.group != "" && !c.login {
			t.Errorf("%s touches files without a login", c.verb)
		}
		if c.flags&transfers != 0 && !c.login {
			t.Errorf("%s moves data without a login", c.verb)
		}
	}
}
