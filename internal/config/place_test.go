package config

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCheckShowsWhereAValueStands: what the machine does not have is shown in the
// file, also where several blocks name it or a list holds it.
func TestCheckShowsWhereAValueStands(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, dir+"/x.hcl", strings.ReplaceAll(`run_dir = "DIR"
state_dir = "DIR/no/state"
auth {
  order = ["file", "pam*"]
  file { users = "DIR/users" }
}
anonymous "DIR/pub" {
  user = "nobody"
}
virtual_host "a" {
  address = ["192.0.2.1"]
  tls {
    certificate {
      file = "DIR/a.pem"
      key  = "DIR/a.key"
    }
  }
  log {
    extended "DIR/no/log" { commands = ["ALL"] }
  }
}
`, "DIR", dir), 0o600)
	p, diags := Load(file, Facts{})
	if p == nil {
		t.Fatal(diags)
	}
	var got []string
	for _, d := range Check(p, Facts{}) {
		s, _, _ := strings.Cut(d.String(), "^")
		got = append(got, strings.ReplaceAll(s, dir, "DIR"))
	}
	head := func(place, rest, source, carets string) string {
		return "DIR/x.hcl" + place + ": " + rest + "\n" + source + "\n" + carets
	}
	want := []string{
		head(":2:13", `error: state_dir: "DIR/no/state" cannot be made: the directory above it does not exist`, `    2 | state_dir = "DIR/no/state"`, `      |             `),
		"DIR/x.hcl: notice: tls.required: clients may send passwords in clear for host \"default\", \"a\"\n      = where all clients speak TLS, write tls { required = \"on\" }\n",
		head(":5:18", `error: auth.file.users: "DIR/users" does not exist`, `    5 |   file { users = "DIR/users" }`, `      |                  `),
		head(":4:20", `error: auth.order: PAM accounts need root rights; without them there is only "file"`, `    4 |   order = ["file", "pam*"]`, `      |                    `),
		head(":14:14", `error: tls.certificate.file: "DIR/a.pem" does not exist`, `   14 |       file = "DIR/a.pem"`, `      |              `),
		head(":15:14", `error: tls.certificate.key: "DIR/a.key" does not exist`, `   15 |       key  = "DIR/a.key"`, `      |              `),
		head(":7:11", `warning: anonymous: "DIR/pub" is no directory: these logins will be refused`, `    7 | anonymous "DIR/pub" {`, `      |           `),
		head(":19:14", `error: log.extended: the directory of "DIR/no/log": no such file or directory`, `   19 |     extended "DIR/no/log" { commands = ["ALL"] }`, `      |              `),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestWhatIsNoGrammarNamesItsKey: a slip that the parser trips over is told with
// the key it stands at.
func TestWhatIsNoGrammarNamesItsKey(t *testing.T) {
	for src, want := range map[string]string{
		"max { instances = -1 }":                                  "x.hcl:1:19: error: max.instances: -1 is no value",
		"umask = \"022\"\npassive { ports = 50000-51000 }":        "x.hcl:2:19: error: passive.ports: 50000-51000 is no value",
		"virtual_host \"a\" {\n auth {\n min_uid = -5\n }\n}":     "x.hcl:3:12: error: virtual_host.auth.min_uid: -5 is no value",
		"tls {\n certificate {\n file = \"${x}\"\n }\n}":          "x.hcl:3:10: error: certificate.file: ${ starts a template, and there are none",
		"when {\n class = [\"a\"]\n max { clients = -1 }\n}":      "x.hcl:3:18: error: when.max.clients: -1 is no value",
		"control {\n acl {\n actions = [\n upper(\"x\") ]\n }\n}": "x.hcl:4:7: error: acl.actions: ( starts an expression, and there are none",
		"listener \"a\" {}\nident = -1":                           "x.hcl:2:9: error: ident: -1 is no value",
		"ident = \"a\"\nident = \"b\"":                            "x.hcl:2:1: error: ident: attribute redefined",
		"timeout {\n idle = \"10m\" \"x\"\n}":                     "x.hcl:2:15: error: timeout.idle: missing newline after argument",
		"}":                                                       "x.hcl:1:1: error: argument or block definition required",
	} {
		_, diags := Parse("x.hcl", []byte(src), Facts{})
		if len(diags) == 0 || diags[0].Headline() != want {
			t.Errorf("%q:\n%s\nwant\n%s", src, diags, want)
		}
	}
}

// TestWhatIsSaidIsBounded: of a file that is no configuration at all, and of a
// line that does not end.
func TestWhatIsSaidIsBounded(t *testing.T) {
	_, diags := Parse("x.hcl", append([]byte("ident = \"a\"\n"), make([]byte, MaxFile/2)...), Facts{})
	if len(diags) != 1 || diags[0].Headline() != "x.hcl:2:1: error: is no text: it holds a zero byte" {
		t.Error(diags)
	}
	_, diags = Parse("x.hcl", bytes.Repeat([]byte{1}, 1000), Facts{})
	if n := len(diags); n != maxSlips+1 {
		t.Errorf("%d diagnostics", n)
	}
	want := fmt.Sprintf("is the first of %d more such mistakes", 1001-maxSlips)
	if d := diags[len(diags)-1]; d.Problem != want {
		t.Errorf("%q, want %q", d.Problem, want)
	}
	long := "ident = \"" + strings.Repeat("a", 5000) + "%{x}" + strings.Repeat("b", 5000) + "\"\n"
	_, diags = Parse("x.hcl", []byte(long), Facts{})
	if len(diags) != 1 {
		t.Fatal(diags)
	}
	lines := bytes.Split([]byte(diags[0].String()), []byte("\n"))
	at := bytes.IndexByte(lines[2], '^')
	if diags[0].Column != 5010 || len(lines[1]) > maxSource+10 || string(lines[1][at:at+2]) != "%{" {
		t.Errorf("%s", diags[0])
	}
}
