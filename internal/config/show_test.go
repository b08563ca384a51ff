package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport/internal/policy"
)

// reparse shows p and reads what was shown.
func reparse(t interface{ Fatalf(string, ...any) }, p *policy.Policy, defaults bool) (*policy.Policy, string) {
	var out bytes.Buffer
	if err := Show(&out, p, defaults); err != nil {
		t.Fatalf("%v", err)
	}
	again, diags := parse(p.File, out.Bytes(), Facts{}, textOf)
	if again == nil {
		t.Fatalf("what is shown is wrong: %v\n%s", diags, out.String())
	}
	for i := range min(len(again.Ban.Rules), len(p.Ban.Rules)) { // a rule's place is not its meaning
		again.Ban.Rules[i].At = p.Ban.Rules[i].At
	}
	return again, out.String()
}

// TestShowParsesBack: whatever a file says, Show prints a file that says the
// same, whichever facts its reader has.
func TestShowParsesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := genFile(t)
		p, diags := parse("x.hcl", []byte(src), withRoot, textOf)
		if p == nil {
			t.Fatalf("the generated file is wrong: %v\n%s", diags, src)
		}
		for _, defaults := range []bool{false, true} {
			again, shown := reparse(t, p, defaults)
			if d := cmp.Diff(p, again); d != "" {
				t.Fatalf("defaults %v: (-policy +shown)\n%s\nfile:\n%s\nshown:\n%s", defaults, d, src, shown)
			}
		}
		if d := Diff(p, p); d != nil {
			t.Fatalf("a policy differs from itself: %v", d)
		}
	})
}

// genFile draws a file without errors out of the table.
func genFile(t *rapid.T) string {
	top := new(node)
	classes := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3, rapid.ID).Draw(t, "classes")
	genSettings(t, top, Top, classes)
	for _, c := range classes {
		b := top.sub("class", c, true)
		b.attrs = append(b.attrs, attr{nil, "from", rapid.SampledFrom([]string{`["10.0.0.0/8"]`, `["all", "!::1"]`, `["::ffff:10.1.1.1"]`}).Draw(t, "from")})
	}
	genWhens(t, top, classes)
	for i, h := range []string{"one", "two"}[:rapid.IntRange(0, 2).Draw(t, "hosts")] {
		b := top.sub("virtual_host", h, true)
		if a := rapid.IntRange(0, 2).Draw(t, "address or names"); a > 0 {
			b.attrs = append(b.attrs, attr{nil, "address", []string{`["192.0.2.1"]`, `["192.0.2.2:21", "2001:db8::2"]`}[i]})
			if a > 1 {
				b.attrs = append(b.attrs, attr{nil, "names", `["a.example.net"]`})
			}
		} else {
			b.attrs = append(b.attrs, attr{nil, "names", fmt.Sprintf(`["h%d.example.net", "*.h%[1]d.example.net"]`, i)})
		}
		genSettings(t, b, Host, classes)
		genWhens(t, b, classes)
	}
	var out strings.Builder
	top.write(&out, "")
	return out.String()
}

func genSettings(t *rapid.T, n *node, ctx Context, classes []string) {
	for _, k := range grammar().keys {
		if k.Later != "" || k.In == own || k.In&ctx == 0 || rapid.IntRange(0, 3).Draw(t, "set "+k.Path) > 0 {
			continue
		}
		lits := []string{k.Example}
		if k.Default != "" {
			lits = append(lits, k.Default)
		}
		if strings.HasPrefix(k.Type.Name, "text") {
			lits = append(lits, quote(rapid.StringMatching(`[ -~äß]{0,8}[$%]{0,2}[{}]?[ -~]{0,4}`).Draw(t, "text")))
		}
		path := k.Path
		if path == "ban.never_class" {
			lits = []string{quoteList(classes)}
		}
		if strings.HasPrefix(k.Also, k.Path+".") && rapid.Bool().Draw(t, "as block") {
			path = k.Also
		}
		n.put(k, path, rapid.SampledFrom(lits).Draw(t, k.Path))
	}
	n.fixBlocks()
	genLists(t, n, ctx, classes)
	if ctx == Anon {
		return
	}
	for range rapid.IntRange(0, 3).Draw(t, "roots") {
		r := n.sub("root", rapid.SampledFrom([]string{"~", "/", "/srv/%u", "none", "~/x y"}).Draw(t, "root"), true)
		genSelector(t, r, classes)
	}
	if ctx != When && rapid.IntRange(0, 2).Draw(t, "anonymous") == 0 {
		genAnonymous(t, n, classes)
	}
}

func genSelector(t *rapid.T, n *node, classes []string) {
	switch i := rapid.IntRange(0, 4).Draw(t, "selector"); {
	case i == 1:
		n.attrs = append(n.attrs, attr{nil, "group", `["web", "!guests"]`})
	case i == 2:
		n.attrs = append(n.attrs, attr{nil, "user", `["!bob"]`}, attr{nil, "match", `"all"`})
	case i == 3 && len(classes) > 0:
		n.attrs = append(n.attrs, attr{nil, "class", quoteList(classes[:1])})
	case i == 4:
		n.attrs = append(n.attrs, attr{nil, "user", `["^a", "!\\.x$"]`}, attr{nil, "match", `"regex"`})
	}
}

// genLists draws blocks of the lists that a context may have.
func genLists(t *rapid.T, n *node, ctx Context, classes []string) {
	for _, l := range listsIn(ctx) {
		path := l.blockPath()
		labels := map[string][]string{
			"default_chdir": {"in", "/srv/%u", "~/x", "none"}, "max.store_file_size": {"1GiB", "5MiB", "none"}, "max.retrieve_file_size": {"1GiB", "none"},
			"timeout.session": {"1h", "2h", "none"}, "transfer_rate": {"RETR", "STOR,APPE", "STOR,RETR", "STOU,APPE,STOR,RETR"},
			"max.transfers_per_host": {"RETR", "STOR,APPE"}, "max.transfers_per_user": {"STOU", "RETR"}, "log.extended": {"/a", "/b", "syslog:info"},
			"alias": {"x", "y", "*"}, "user_password": {"u", "v"}, "delay.on_event": delayEvents, "tls.certificate": {"", ""},
			"tls.client.map": {strings.Repeat("ab", 32), strings.Repeat("cd", 32)},
		}[path]
		if path == "root" || rapid.IntRange(0, 2).Draw(t, path) > 0 {
			continue
		}
		if l.keyed() {
			labels = rapid.SliceOfNDistinct(rapid.SampledFrom(labels), 1, len(labels), rapid.ID).Draw(t, "labels")
		} else {
			labels = rapid.SliceOfN(rapid.SampledFrom(labels), 1, 3).Draw(t, "labels")
		}
		for _, label := range labels {
			b := n.sub(path, label, grammar().byBlock[path].Label != "")
			for _, k := range grammar().keys {
				rest, ok := strings.CutPrefix(k.Path, path+".")
				if !ok || k.In != own || grammar().byKey[path+".match"] != nil && slices.Contains([]string{"user", "group", "class", "match"}, rest) {
					continue
				}
				lits := []string{k.Example}
				if k.Default != "" {
					lits = append(lits, k.Default)
				}
				switch k.Type {
				case speed, span:
					lits = append(lits, `"none"`)
				case logCommands:
					lits = append(lits, `["NONE"]`, `["!RETR"]`)
				}
				if rest == "count" {
					lits = append(lits, `"none"`)
				}
				if k.Required || rapid.Bool().Draw(t, rest) {
					b.attrs = append(b.attrs, attr{k, rest, rapid.SampledFrom(lits).Draw(t, k.Path)})
				}
			}
			if grammar().byKey[path+".match"] != nil {
				genSelector(t, b, classes)
			}
		}
	}
}

func genAnonymous(t *rapid.T, n *node, classes []string) {
	for i := range rapid.IntRange(1, 2).Draw(t, "anonymous blocks") {
		b := n.sub("anonymous", rapid.SampledFrom([]string{"/srv/ftp", "~", "~/x", "none"}).Draw(t, "anonymous root"), true)
		if b.label == "none" {
			continue
		}
		user := []string{"ftp", "guest"}[i]
		b.attrs = append(b.attrs, attr{nil, "user", quote(user)})
		for _, k := range grammar().keys {
			if rest, ok := strings.CutPrefix(k.Path, "anonymous."); ok && rest != "user" && rest != "alias_only" && rapid.IntRange(0, 3).Draw(t, rest) == 0 {
				b.attrs = append(b.attrs, attr{k, rest, k.Example})
				if rest == "aliases" && rapid.Bool().Draw(t, "alias_only") {
					b.attrs = append(b.attrs, attr{nil, "alias_only", "true"})
				}
			}
		}
		genSettings(t, b, Anon, classes)
	}
}

// fixBlocks drops the value form of what is there as a block too.
func (n *node) fixBlocks() {
	for _, b := range n.blocks {
		n.attrs = slices.DeleteFunc(n.attrs, func(a attr) bool { return a.name == b.name && !b.section })
		b.fixBlocks()
	}
}

func genWhens(t *rapid.T, n *node, classes []string) {
	for range rapid.IntRange(0, 3).Draw(t, "whens") {
		w := n.sub("when", "", false)
		w.labelled = false
		sel := []string{`["*"]`, `["!*"]`}
		for _, c := range classes {
			sel = append(sel, quoteList([]string{c}), quoteList([]string{"*", "!" + c}), quoteList([]string{"!" + c}))
		}
		lit := rapid.SampledFrom(sel).Draw(t, "class")
		w.attrs = append(w.attrs, attr{nil, "class", lit})
		if strings.HasPrefix(lit, `["!`) {
			w.attrs = append(w.attrs, attr{nil, "match", `"all"`})
		}
		genSettings(t, w, When, classes)
	}
}

// TestShowWithDefaultsHasEveryKey walks the table.
func TestShowWithDefaultsHasEveryKey(t *testing.T) {
	p := everything(t)
	again, shown := reparse(t, p, true)
	if d := cmp.Diff(p, again); d != "" {
		t.Errorf("(-policy +shown)\n%s", d)
	}
	for _, k := range grammar().keys {
		if k.Later == "" && !strings.HasPrefix(k.Path, "when.") && !strings.HasPrefix(k.Path, "class.") && !strings.HasPrefix(k.Path, "virtual_host.") && k.Path != "root.class" && k.Path != "log.format.text" &&
			!strings.Contains(shown, k.name()+" ") {
			t.Errorf("%s is not shown", k.Path)
		}
	}
	var short bytes.Buffer
	empty, _ := Parse("empty.hcl", nil, withRoot)
	if err := Show(&short, empty, false); err != nil {
		t.Fatal(err)
	}
	want := `instance = "default"
control {
  socket = "/run/sallyport/control.sock"
}
auth {
  order = ["file", "pam*"]
}
delay {
  table = "/var/lib/sallyport/delay.table"
}
listener "ftp" {
  address = ["[::]:21"]
}
root "~" {}
`
	if d := cmp.Diff(want, short.String()); d != "" {
		t.Errorf("an empty file: (-want +got)\n%s", d)
	}
}

func TestShowJSON(t *testing.T) {
	p := everything(t)
	var out bytes.Buffer
	if err := ShowJSON(&out, p, true); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Ident string
		Umask string
		Max   struct {
			Instances int
			Rate      string `json:"connection_rate"`
		}
		Listener []struct {
			Label    string
			Settings struct{ Address []string }
		}
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Ident != `Welcome "%{you}" to ${here}` || got.Umask != "027 077" || got.Max.Instances != 800 || got.Max.Rate != "100/1m" ||
		len(got.Listener) != 2 || got.Listener[1].Settings.Address[1] != "192.0.2.2:21" {
		t.Errorf("%+v\n%s", got, out.String())
	}
}

func TestDiffSaysWhatAReloadChanges(t *testing.T) {
	parse := func(src string) *policy.Policy {
		p, diags := Parse("x.hcl", []byte(src), withRoot)
		if p == nil {
			t.Fatal(diags)
		}
		return p
	}
	const from = `
run_dir = "/run/a"
umask = "022"
listener "ftp" { address = ["[::]:21"] }
class "lan" { from = ["10.0.0.0/8"] }
when {
  class = ["lan"]
  max { login_attempts = 9 }
}
virtual_host "x" {
  address = ["192.0.2.1"]
  ident   = "one"
}
root "~" { group = ["web"] }
`
	const to = `
run_dir = "/run/b"
instance = "a-same"
umask = "027"
listener "ftp" { address = ["[::]:2121"] }
listener "two" { address = ["127.0.0.1:99"] }
class "lan" { from = ["10.0.0.0/16"] }
root "/" {}
virtual_host "x" {
  address = ["192.0.2.1"]
}
`
	got := Diff(parse(from), parse(to))
	want := []string{
		`run_dir: "/run/a" -> "/run/b" (needs a restart)`,
		`instance: "a-` + instanceOf("/run/a")[2:] + `" -> "a-same" (needs a restart)`,
		`umask: "022" -> "027"`,
		`control.socket: "/run/a/control.sock" -> "/run/b/control.sock" (needs a restart)`,
		`listener "ftp" address: ["[::]:21"] -> ["[::]:2121"] (a socket that systemd handed over stays as its unit says)`,
		`listener "two" protocol: not set -> "ftp"`,
		`listener "two" address: not set -> ["127.0.0.1:99"] (a socket that systemd handed over stays as its unit says)`,
		`listener "two" tls: not set -> "none"`,
		`class "lan" from: ["10.0.0.0/8"] -> ["10.0.0.0/16"]`,
		`root: root "~" { group = ["web"] match = "any" } root "none" { match = "any" } -> root "/" { match = "any" }`,
		`when class ["lan"] max.login_attempts: 9 -> not set`,
		`virtual_host "x" ident: "one" -> not set`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
