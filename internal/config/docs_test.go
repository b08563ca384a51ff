package config

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/ban"
)

// TestManPageHasEveryKey walks the table.
func TestManPageHasEveryKey(t *testing.T) {
	var page bytes.Buffer
	if err := ManPage(&page); err != nil {
		t.Fatal(err)
	}
	s := page.String()
	for _, g := range reference() {
		if !strings.Contains(s, `.SS "`+strings.ReplaceAll(esc(g.title()), `"`, `\(dq`)) {
			t.Errorf("no part %s", g.title())
		}
	}
	for _, k := range grammar().keys {
		if k.Later != "" {
			if !strings.Contains(s, k.Path) {
				t.Errorf("%s is missing", k.Path)
			}
			continue
		}
		for _, want := range []string{`.BI "` + k.name() + " = ", esc(k.Doc), "Value: " + esc(k.Type.Form), "Default: " + esc(k.defaultText()) + ". Contexts: " + esc(k.contexts(grammar())) + "."} {
			if !strings.Contains(s, want) {
				t.Errorf("%s: no %q", k.Path, want)
			}
		}
		if k.contexts(grammar()) == "" {
			t.Errorf("%s: no context", k.Path)
		}
	}
}

// TestManPageIsWellFormed asks the programs that read manual pages.
func TestManPageIsWellFormed(t *testing.T) {
	var page bytes.Buffer
	if err := ManPage(&page); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sallyport.hcl.5")
	if err := os.WriteFile(file, page.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, c := range [][]string{
		{"groff", "-man", "-Tutf8", "-ww", "-z", "-rHY=0", file},
		{"man", "--warnings=w", "-E", "UTF-8", "-Z", "-l", file},
		{"mandoc", "-T", "lint", "-W", "warning", file},
	} {
		if _, err := exec.LookPath(c[0]); err != nil {
			continue
		}
		asked++
		cmd := exec.Command(c[0], c[1:]...)
		cmd.Env = append(os.Environ(), "MANWIDTH=80", "LC_ALL=C.UTF-8")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil || stderr.Len() > 0 {
			t.Errorf("%v: %v\n%s", c[0], err, stderr.String())
		}
	}
	if asked == 0 {
		t.Skip("neither groff nor man nor mandoc is installed")
	}
}

// TestReferenceIsCurrent compares docs/CONFIGURATION.md with the table; -update
// writes it.
func TestReferenceIsCurrent(t *testing.T) {
	const file = "../../docs/CONFIGURATION.md"
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(src), MarkdownBegin+"\n")
	_, tail, ok2 := strings.Cut(rest, MarkdownEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no markers", file)
	}
	var ref bytes.Buffer
	if err := Markdown(&ref); err != nil {
		t.Fatal(err)
	}
	want := head + MarkdownBegin + "\n" + ref.String() + MarkdownEnd + tail
	if want == string(src) {
		return
	}
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s is not current: go test ./internal/config -run TestReferenceIsCurrent -update", file)
}

// TestExamplesOfTheDocumentsAreRight reads the configurations in the text of
// docs/CONFIGURATION.md and docs/BANS.md and in the manual page.
func TestExamplesOfTheDocumentsAreRight(t *testing.T) {
	examples := []string{manExample}
	for _, page := range []string{"CONFIGURATION.md", "BANS.md"} {
		src, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(string(src), "```")
		for i := 1; i < len(parts); i += 2 {
			if code, ok := strings.CutPrefix(parts[i], "hcl\n"); ok {
				examples = append(examples, code)
			}
		}
	}
	if len(examples) < 5 {
		t.Errorf("only %d examples", len(examples))
	}
	for _, e := range examples {
		if _, diags := Parse("example.hcl", []byte(e), withRoot); len(diags) > 0 {
			t.Errorf("%v\n%s", diags, e)
		}
	}
}

// TestEveryEventIsDocumented: docs/BANS.md names each event, with the target that
// its rules have and who may raise it.
func TestEveryEventIsDocumented(t *testing.T) {
	src, err := os.ReadFile("../../docs/BANS.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(src)) {
		cells := strings.Split(line, " | ")
		if len(cells) != 4 {
			continue
		}
		for _, m := range regexp.MustCompile("`([A-Za-z]+)`").FindAllStringSubmatch(cells[0], -1) {
			rows[m[1]] = cells
		}
	}
	for _, e := range ban.EventNames() {
		cells := rows[e]
		if cells == nil {
			t.Errorf("%s is missing", e)
			continue
		}
		delete(rows, e)
		if want := ban.KindNames[ban.Target(e)]; !regexp.MustCompile(`^` + want + `\b`).MatchString(cells[2]) {
			t.Errorf("%s: bans %s, the page says %s", e, want, cells[2])
		}
	}
	for e := range rows {
		t.Errorf("%s is no event", e)
	}
}

// TestPackagedFileIsRight reads the file that is installed, as it is and with
// everything in it that is commented out.
func TestPackagedFileIsRight(t *testing.T) {
	src, err := os.ReadFile("../../packaging/sallyport.hcl")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`(?m)^#(\S|  \S|    \S)`) // not "# text"
	whole := code.ReplaceAllString(string(src), "$1")
	for name, text := range map[string]string{"as it is": string(src), "with all of it": whole} {
		if _, diags := Parse("sallyport.hcl", []byte(text), withRoot); len(diags) > 0 {
			t.Errorf("%s: %v\n%s", name, diags, text)
		}
	}
	if strings.Count(whole, "\ntls {") != 1 {
		t.Error("what is commented out was not read")
	}
}
