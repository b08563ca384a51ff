package config

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
)

var update = flag.Bool("update", false, "write the golden files anew")

var withRoot = Facts{Root: true, PamHelper: true}

// TestGolden compiles testdata/golden/*.hcl: the diagnostics and the policy must
// be those of the .golden file beside it.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".hcl"), func(t *testing.T) {
			src, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			p, diags := Parse(filepath.Base(f), src, withRoot)
			var got bytes.Buffer
			diags.Write(&got)
			if p != nil {
				dumpPolicy(&got, p)
			}
			name := strings.TrimSuffix(f, ".hcl") + ".golden"
			if *update {
				if err := os.WriteFile(name, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got.String()); d != "" {
				t.Errorf("(-golden +got)\n%s", d)
			}
		})
	}
}

// TestExampleHasOnlyWhatIsNotBuiltYet: the whole grammar of the example file is
// known, and the words of later features are refused where they stand.
func TestExampleHasOnlyWhatIsNotBuiltYet(t *testing.T) {
	p, diags := Load("testdata/example.hcl", withRoot)
	if p != nil {
		t.Error("a policy despite errors")
	}
	var got []string
	for _, d := range diags {
		if !d.NotBuilt || d.Severity != Error {
			t.Errorf("not a \"not built yet\" error: %s", d.Headline())
		}
		got = append(got, fmt.Sprintf("%d:%d %s", d.Line, d.Column, d.Key))
	}
	want := []string{
		"15:14 listener.protocol", "73:1 directory", "95:5 anonymous.limit", "99:5 anonymous.directory",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestExampleWithoutWhatIsNotBuiltYet: the golden file "example" is the example
// file without the lines of later features, so that its golden policy is what the
// example comes to.
func TestExampleWithoutWhatIsNotBuiltYet(t *testing.T) {
	whole, err := os.ReadFile("testdata/example.hcl")
	if err != nil {
		t.Fatal(err)
	}
	part, err := os.ReadFile("testdata/golden/example.hcl")
	if err != nil {
		t.Fatal(err)
	}
	rest := strings.Split(string(whole), "\n")
	for line := range strings.Lines(string(part)) {
		line = strings.TrimSuffix(line, "\n")
		i := slices.Index(rest, line)
		if i < 0 {
			t.Fatalf("%q is not in the example file, or not there", line)
		}
		rest = rest[i+1:]
	}
	if n := len(strings.Split(string(whole), "\n")) - len(strings.Split(string(part), "\n")); n != 29 {
		t.Errorf("%d lines are left out", n)
	}
}

func TestLoadSaysWhyAFileCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.hcl")
	if err := os.WriteFile(big, bytes.Repeat([]byte("#\n"), MaxFile), 0o600); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe.hcl")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "no.hcl"): "cannot be read: no such file or directory",
		dir:                          "is a directory",
		pipe:                         "is a pipe that nobody writes to",
		big:                          "is longer than 4194304 bytes",
	} {
		p, diags := Load(path, withRoot)
		if p != nil || len(diags) != 1 || diags[0].Problem != want || diags[0].File != path {
			t.Errorf("%s: %v", path, diags)
		}
		if diags.Err() == nil || !strings.Contains(diags.Err().Error(), want) {
			t.Errorf("%s: %v", path, diags.Err())
		}
	}
}

// TestDefaultsFollowTheFacts holds which accounts an empty file serves.
func TestDefaultsFollowTheFacts(t *testing.T) {
	for _, c := range []struct {
		facts Facts
		want  string
	}{
		{Facts{Root: true, PamHelper: true}, `["file", "pam*"]`},
		{Facts{Root: true}, `["file", "unix*"]`},
		{Facts{PamHelper: true}, `["file"]`},
	} {
		p, diags := Parse("empty.hcl", nil, c.facts)
		if len(diags) > 0 {
			t.Fatal(diags)
		}
		if got := authOrder.show(&p.Hosts[0].Base.Auth.Order); got != c.want {
			t.Errorf("%+v: %s, want %s", c.facts, got, c.want)
		}
	}
}

// TestInstancesBesideEachOtherDiffer: two run directories never share names.
func TestInstancesBesideEachOtherDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, dir := range []string{"/run/sallyport", "/run/b/sallyport", "/run/a/sallyport", "/tmp/x y/é", "/tmp/x", "/"} {
		p, diags := Parse("x", []byte("run_dir = "+quote(dir)), withRoot)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		g := p.Global
		if !isWord(g.Instance, "-_.", 64) || seen[g.Instance] != "" {
			t.Errorf("%s: instance %q, also of %q", dir, g.Instance, seen[g.Instance])
		}
		seen[g.Instance] = dir
		if want := filepath.Join(dir, "control.sock"); g.Control.Socket != want {
			t.Errorf("%s: socket %q", dir, g.Control.Socket)
		}
	}
	if seen["default"] != "/run/sallyport" {
		t.Error(seen)
	}
}

// dumpPolicy prints what is set in p, one value a line; of hosts, classes and
// anonymous blocks what differs from what they come from.
func dumpPolicy(w *bytes.Buffer, p *policy.Policy) {
	lines := func(s policy.Settings) []string {
		s.Anonymous = slices.Clone(s.Anonymous)
		for i := range s.Anonymous {
			s.Anonymous[i].Settings = policy.Settings{}
		}
		return dump(nil, "", reflect.ValueOf(s))
	}
	tell := func(prefix string, s, from *policy.Settings) {
		base := lines(*from)
		for _, line := range lines(*s) {
			if !slices.Contains(base, line) {
				fmt.Fprintf(w, "%s%s\n", prefix, line)
			}
		}
		for i := range s.Anonymous {
			fmt.Fprintf(w, "%sanonymous %s\n", prefix, s.Anonymous[i].Path)
			base := lines(*s)
			for _, line := range lines(s.Anonymous[i].Settings) {
				if !slices.Contains(base, line) {
					fmt.Fprintf(w, "%s  %s\n", prefix, line)
				}
			}
		}
	}
	for i := range p.Hosts {
		h := &p.Hosts[i]
		fmt.Fprintf(w, "Host %s %v %v\n", h.Name, h.Address, h.Names)
		if i == 0 {
			tell("", &h.Base, new(policy.Settings))
		} else {
			tell("  ", &h.Base, &p.Hosts[0].Base)
		}
		for _, line := range dump(nil, "TLS", reflect.ValueOf(h.TLS)) {
			fmt.Fprintf(w, "  %s\n", line)
		}
		for j := range h.ByClass {
			fmt.Fprintf(w, "Host %s class %s\n", h.Name, h.ByClass[j].Class)
			tell("  ", &h.ByClass[j].Settings, &h.Base)
		}
	}
	for _, line := range dump(nil, "", reflect.ValueOf(policy.Policy{Global: p.Global, Ban: p.Ban, Listeners: p.Listeners, Classes: p.Classes})) {
		fmt.Fprintln(w, line)
	}
}

// dump lists the values of v that are not zero.
func dump(out []string, path string, v reflect.Value) []string {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			out = dump(out, strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			out = dump(out, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	default:
		if !v.IsZero() {
			if v.Kind() == reflect.String {
				out = append(out, fmt.Sprintf("%s = %q", path, v.String()))
			} else {
				out = append(out, fmt.Sprintf("%s = %v", path, v.Interface()))
			}
		}
	}
	return out
}

// TestHostsTimesClassesAreBounded: the product of hosts and classes has a limit,
// which is told.
func TestHostsTimesClassesAreBounded(t *testing.T) {
	var src strings.Builder
	for i := range 100 {
		fmt.Fprintf(&src, "class \"c%d\" { from = [\"10.0.%d.0/24\"] }\n", i, i)
		fmt.Fprintf(&src, "when {\n class = [\"c%d\"]\n max { login_attempts = %d }\n}\n", i, i+10)
	}
	few := src.String()
	for i := range 60 {
		fmt.Fprintf(&src, "virtual_host \"h%d\" { address = [\"192.0.2.%d\"] }\n", i, i)
	}
	if p, diags := Parse("x.hcl", []byte(few), withRoot); p == nil || len(AuthView(p).Hosts) != 101 {
		t.Error(diags)
	}
	_, diags := Parse("x.hcl", []byte(src.String()), withRoot)
	if len(diags) != 1 || !strings.Contains(diags[0].Problem, "make 6161 or more different ways to log in, at most 4096 are possible") {
		t.Error(diags)
	}
}
