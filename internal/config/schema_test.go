package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/control"
	"sallyport/internal/policy"
)

// TestTableIsComplete: every key that is built says all that messages, manual
// and tests need, its default and its example are read without fault and are
// shown as they were written.
func TestTableIsComplete(t *testing.T) {
	for _, k := range grammar().keys {
		if k.In == 0 {
			t.Errorf("%s stands nowhere", k.Path)
		}
		if k.Later != "" {
			continue
		}
		if k.Type == nil || k.at == nil || !strings.HasSuffix(k.Doc, ".") || k.More != "" && !strings.HasSuffix(k.More, ".") {
			t.Errorf("%s: incomplete", k.Path)
			continue
		}
		if k.Example == "" && k.Path != "listener.protocol" {
			t.Errorf("%s: no example", k.Path)
		}
		if k.Default == "" && k.Derived == "" && !k.Required && k.In != own {
			t.Errorf("%s: no default", k.Path)
		}
		for _, lit := range []string{k.Default, k.Example} {
			if lit == "" {
				continue
			}
			v, c := mustValue(lit), newScope()
			k.Type.read(&v, k.at(c), func(pr problem) { t.Errorf("%s = %s: %s", k.Path, lit, pr.what) })
			shown := k.Type.show(k.at(c))
			again, d := mustValue(shown), newScope()
			k.Type.read(&again, k.at(d), func(pr problem) { t.Errorf("%s = %s: %s", k.Path, shown, pr.what) })
			if !reflect.DeepEqual(k.at(c), k.at(d)) {
				t.Errorf("%s: %s is shown as %s", k.Path, lit, shown)
			}
			if lit == k.Default && shown != lit {
				t.Errorf("%s: default %s is shown as %s", k.Path, lit, shown)
			}
		}
	}
	for _, b := range grammar().blocks {
		if b.In == 0 || b.Later == "" && !strings.HasSuffix(b.Doc, ".") {
			t.Errorf("block %s: incomplete", b.Path)
		}
		for p := b.Path; strings.Contains(p, "."); {
			p = p[:strings.LastIndexByte(p, '.')]
			if grammar().byBlock[p] == nil {
				t.Errorf("block %s: no block %s", b.Path, p)
			}
		}
	}
}

// textOf stands for the display files.
func textOf(path string) (string, error) { return "text of " + path, nil }

// everything compiles the golden file that sets every key, with display files.
func everything(t *testing.T) *policy.Policy {
	t.Helper()
	src, err := os.ReadFile("testdata/golden/everything.hcl")
	if err != nil {
		t.Fatal(err)
	}
	p, diags := parse("everything.hcl", src, withRoot, textOf)
	if p == nil {
		t.Fatal(diags)
	}
	return p
}

// TestEverythingSetsEveryKey: the golden file "everything" sets every key there
// is, and then no field of the policy is left as an empty file has it. So the
// table fills every field of every view.
func TestEverythingSetsEveryKey(t *testing.T) {
	p := everything(t)
	empty, _ := Parse("empty.hcl", nil, withRoot)
	a, b := empty.Hosts[0].Base, p.Hosts[0].Base
	// names are no settings; what has two values in no way that agrees with the rest
	// of the file is switched off by itself
	for _, src := range []string{"tls { engine = false }", "delete_aborted_stores = false"} {
		q, diags := Parse("x.hcl", []byte(src), withRoot)
		if q == nil || reflect.DeepEqual(q.Hosts[0], empty.Hosts[0]) {
			t.Errorf("%s changes nothing: %v", src, diags)
		}
	}
	for _, v := range []struct {
		name string
		a, b any
	}{
		{"Global", empty.Global, p.Global},
		{"Session", a.Session, b.Session},
		{"Files", a.Files, b.Files},
		{"Auth", a.Auth, b.Auth},
		{"Settings", a, b},
		{"Passive", a.Passive, b.Passive},
		{"FileRule", a.Auth.FileRule, b.Auth.FileRule},
		{"Control", empty.Global.Control, p.Global.Control},
		{"Limit", a.Max.ConnectionsPerHost, b.Max.ConnectionsPerHost},
		{"Max", a.Max, b.Max},
		{"TLS", a.Session.TLS, b.Session.TLS},
		{"Digest", a.Session.Digest, b.Session.Digest},
		{"Display", a.Session.Display, b.Session.Display},
		{"DisplayFiles", a.Display, b.Display},
		{"Mask", a.Session.Log, b.Session.Log},
		{"HiddenStores", a.Files.HiddenStores, b.Files.HiddenStores},
		{"CreateHome", a.CreateHome, b.CreateHome},
		{"Delay", a.Auth.Delay, b.Auth.Delay},
		{"Log", a.Log, b.Log},
		{"Host.TLS", empty.Hosts[0].TLS, p.Hosts[0].TLS},
		{"Client", empty.Hosts[0].TLS.Client, p.Hosts[0].TLS.Client},
		{"Ban", empty.Ban, p.Ban},
		{"BanRule", policy.BanRule{}, p.Ban.Rules[0]},
		{"BanShare", policy.BanShare{Longest: 7 * 86400e9, Prefix: "mod_ban."}, p.Ban.Share[0]},
		{"Listener", empty.Listeners[0], p.Listeners[0]},
	} {
		x, y := reflect.ValueOf(v.a), reflect.ValueOf(v.b)
		for i := range x.NumField() {
			name := v.name + "." + x.Type().Field(i).Name
			if slices.Contains([]string{"TLS.Engine", "Host.TLS.Engine", "HiddenStores.Keep", "Session.Hold", "BanShare.Password"}, name) { // see above; the delay engine is off; master reads the file
				continue
			}
			if !slices.Contains([]string{"Auth.Name", "Host.TLS.Name", "Listener.Label", "Listener.Protocol"}, name) && reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
				t.Errorf("%s: no key of the table changes it", name)
			}
		}
	}
}

// TestSessionsHoldUSERWhereTheEngineIsOn: the session gets the one wait that is
// its own.
func TestSessionsHoldUSERWhereTheEngineIsOn(t *testing.T) {
	for engine, want := range map[string]int64{"true": 2e9, "false": 0} {
		path := filepath.Join(t.TempDir(), "c.hcl")
		hcl := "delay {\n  engine = " + engine + "\n  on_event \"USER\" { delay = \"1s-2s\" }\n  on_event \"PASS\" { delay = \"5s\" }\n}\n"
		if err := os.WriteFile(path, []byte(hcl), 0o600); err != nil {
			t.Fatal(err)
		}
		p, diags := Load(path, withRoot)
		if p == nil {
			t.Fatal(diags)
		}
		if h := p.Hosts[0].Base.Session.Hold; h.Max != want {
			t.Errorf("engine %s: %+v", engine, h)
		}
	}
}

// TestViewsHoldNoSecretTheirReaderDoesNotUse: what only authd may know (where
// accounts are and how they are checked) is in its view alone; the views of the
// processes that serve clients hold values and no paths.
func TestViewsHoldNoSecretTheirReaderDoesNotUse(t *testing.T) {
	p := everything(t)
	s := p.Hosts[0].Base
	var secrets []string
	for _, line := range append(dump(nil, "", reflect.ValueOf(s.Auth)), dump(nil, "", reflect.ValueOf(p.Hosts[0].TLS))...) {
		if _, v, _ := strings.Cut(line, " = "); strings.Contains(v, "/") || strings.Contains(line, "PamService") || strings.Contains(line, "Passwords") {
			secrets = append(secrets, v)
		}
	}
	if len(secrets) != 12 {
		t.Fatalf("users, groups, system directory, PAM service, a password; two certificates, keys, a staple, an authority, revocations: %v", secrets)
	}
	anon := s.Anonymous[0].Settings
	for name, view := range map[string]any{"session": s.Session, "files": s.Files, "anonymous session": anon.Session, "anonymous files": anon.Files} {
		for _, line := range dump(nil, "", reflect.ValueOf(view)) {
			_, v, _ := strings.Cut(line, " = ")
			if slices.Contains(secrets, v) && !strings.HasPrefix(line, "Anonymous[") || strings.HasPrefix(v, `"/`) {
				t.Errorf("the view of %s holds %s", name, line)
			}
		}
	}
	// nor may a field for one come in: whoever adds it must say here why
	for _, typ := range []reflect.Type{reflect.TypeFor[policy.Session](), reflect.TypeFor[policy.Files]()} {
		for f := range typ.Fields() {
			for _, w := range []string{"User", "Group", "Key", "Secret", "Hash", "Service", "Path", "Dir"} {
				if strings.Contains(f.Name, w) && f.Name != "DirUmask" {
					t.Errorf("%s.%s looks like something its reader does not need", typ, f.Name)
				}
			}
		}
	}
	for f := range reflect.TypeFor[policy.Authd]().Fields() {
		if !slices.Contains([]string{"Sandbox", "StateDir", "Hosts", "TLS"}, f.Name) {
			t.Errorf("policy.Authd.%s: does authd use it?", f.Name)
		}
	}
}

// TestActionsAreThoseOfTheControlSocket keeps the two lists one.
func TestActionsAreThoseOfTheControlSocket(t *testing.T) {
	want := append(append([]string{"all"}, control.Actions()...), "delay")
	got := slices.Clone(actions)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%v, the control socket has %v", got, want)
	}
}

// TestAuthViewNamesHostsAndClassesOnce holds the names ipc.Attach uses.
func TestAuthViewNamesHostsAndClassesOnce(t *testing.T) {
	p, diags := Load("testdata/golden/hosts.hcl", withRoot)
	if p == nil {
		t.Fatal(diags)
	}
	var got []string
	for _, h := range AuthView(p).Hosts {
		got = append(got, h.Name)
	}
	want := []string{"default", "default/lan", "default/admin", "pub", "pub/lan", "pub/admin"}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if s := p.Hosts[1].For("lan"); s.Auth.Name != "pub/lan" {
		t.Errorf("the settings of pub for lan name %s", s.Auth.Name)
	}
}
