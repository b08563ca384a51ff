package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/config"
)

// TestLinesThatDoNotCountAreTold: by config check, with their places and without
// what they hold; once, however many hosts name the file.
func TestLinesThatDoNotCountAreTold(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	users := put("users", "a:$6$secrethash:2000:2000::/a:/bin/sh\nb:secrethash:5\nc:$6$secrethash:2001:2001::rel:/bin/sh\n"+
		"d:!:99:99::/d:/bin/sh\n")
	groups := put("groups", "g:x:many:a\n")
	file := put("x.hcl", `auth {
  order = ["file"]
  file {
    users  = "`+users+`"
    groups = "`+groups+`"
    id     = "2000-2999"
  }
}
virtual_host "v" { address = ["192.0.2.1"] }
`)
	p, diags := config.Load(file, config.Facts{})
	if p == nil {
		t.Fatal(diags)
	}
	var got []string
	for _, d := range accountWarnings(p) {
		if s := d.String(); strings.Contains(s, "secrethash") {
			t.Errorf("a hash is shown: %s", s)
		}
		got = append(got, strings.ReplaceAll(d.Headline(), dir, "DIR"))
	}
	want := []string{
		"DIR/users:1:1: warning: user a: the password can never match: sha512 hash: malformed",
		"DIR/users:2:1: warning: 3 fields, a users line has 7",
		"DIR/users:3:1: warning: user c: the home directory is not absolute",
		"DIR/users:4:1: warning: user d: uid 99 is outside 2000-2999",
		"DIR/groups:1:1: warning: gid is not a number from 0 to 4294967294",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
