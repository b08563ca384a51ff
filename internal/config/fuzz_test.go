package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// FuzzParse: whatever the file, Parse returns in bounded time and memory, with a
// policy or with errors that say where; and a policy that is shown is the same
// when it is read again.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.hcl", "testdata/golden/*.hcl"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			src, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	for _, s := range []string{
		"a = " + strings.Repeat("[", 100), strings.Repeat("max {\n", 100), "x = <<E\n${\nE", "ident = \"\\u0024{\"", "\xff", "\ufeffident = \"x\"",
		"when {\nclass = [\"!*\"]\nmatch = \"all\"\nroot \"/\" {}\n}", "max {\nlogin_attempts = 1e3\n}", "a = -" + strings.Repeat("-", 50), "ident = null",
		"umask = true ? \"1\" : \"2\"", "root \"~\" {\nclass = [\"\\\"\"]\n}", "ident = <<-E\n  text\n  E\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		p, diags := parse("fuzz.hcl", src, withRoot, textOf)
		if (p == nil) != diags.HasErrors() {
			t.Fatalf("policy %v and %v", p, diags)
		}
		for _, d := range diags {
			if d.Line < 1 || d.Column < 1 || d.Problem == "" || strings.ContainsAny(d.String(), "\x00\x1b") {
				t.Fatalf("%+v", d)
			}
		}
		if p == nil {
			return
		}
		again, shown := reparse(t, p, true)
		if !reflect.DeepEqual(p, again) {
			t.Fatalf("shown is not the same:\n%s\n%s", src, shown)
		}
	})
}
