package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checked parses src and checks it on the machine, with PAM services in pam.
func checked(t *testing.T, src string, facts Facts, pam string) []string {
	t.Helper()
	p, diags := Parse("x.hcl", []byte(src), facts)
	if p == nil {
		t.Fatal(diags)
	}
	c := &checker{p: p, facts: facts, pamDirs: []string{pam}, euid: os.Geteuid(), seen: map[string]bool{}}
	c.run()
	var out []string
	for _, d := range c.diags {
		out = append(out, fmt.Sprintf("%s %s: %s", d.Severity, d.Key, d.Problem))
	}
	return out
}

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheck(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	good := write(t, dir+"/good", "", 0o600)
	read := write(t, dir+"/read", "", 0o644)
	written := write(t, dir+"/written", "", 0o602)
	inOpen := write(t, open+"/users", "", 0o600)
	write(t, dir+"/sallyport", "auth required pam_unix.so\n@include sub\nsession include sub2\n# session required pam_env.so\n", 0o644)
	write(t, dir+"/sub", "session [success=ok default=ignore] pam_limits.so\n-session optional pam_systemd.so\n", 0o644)
	write(t, dir+"/sub2", "session required /lib/security/pam_namespace.so x\n@include sallyport\n", 0o644)
	dirs := fmt.Sprintf("run_dir = %q\nstate_dir = %q\ntls { required = \"on\" }\n", dir, dir)
	file := func(path string) string {
		return dirs + fmt.Sprintf("auth {\n order = [\"file\"]\n file {\n users = %q\n }\n}\n", path)
	}
	rootless := Facts{}
	for _, c := range []struct {
		name, src string
		facts     Facts
		want      []string
	}{
		{"good", file(good), rootless, nil},
		{"missing users file", file(dir + "/no"), rootless, []string{`error auth.file.users: "DIR/no" does not exist`}},
		{"readable", file(read), rootless, []string{`error auth.file.users: "DIR/read" is world-readable, and it holds password hashes`}},
		{"writable", file(written), rootless, []string{`error auth.file.users: "DIR/written" is world-writable`}},
		{"directory", file(dir), rootless, []string{`error auth.file.users: "DIR" is no regular file`}},
		{"open directory", file(inOpen), rootless, []string{`error auth.file.users: "DIR/open/users" lies in "DIR/open", which is world-writable`}},
		{"no users file", dirs, rootless, []string{"warning auth.file.users: nobody can log in: the only source of accounts is a users file, and none is named"}},
		{"system accounts without root", dirs + "auth { order = [\"unix\", \"pam\"] }", rootless, []string{
			`error auth.order: accounts of the system need root rights; without them there is only "file"`,
			`error auth.order: PAM accounts need root rights; without them there is only "file"`,
		}},
		{"sandbox", file(good) + "sandbox = \"off\"", rootless, []string{"warning sandbox: the sandbox is not enforced: a session that is taken over is not stopped by the kernel"}},
		{"run_dir", fmt.Sprintf("run_dir = %q\nstate_dir = %q\nauth { order = [] }", dir+"/a/b", good), rootless, []string{
			`error run_dir: "DIR/a/b" cannot be made: the directory above it does not exist`, `error state_dir: "DIR/good" is no directory`,
		}},
		{"open run_dir", fmt.Sprintf("run_dir = %q\nstate_dir = %q\nauth { order = [] }", open, dir), rootless, []string{`error run_dir: "DIR/open" is world-writable`}},
		{"root", dirs + "user = \"nobody-at-all\"\ncontrol { group = \"no-such-group\" }\nauth { order = [] }", Facts{Root: true}, []string{
			`error user: there is no user "nobody-at-all" on this system`,
			`warning control.group: there is no group "no-such-group": the control socket is for root alone`,
		}},
		{"workers as root", dirs + "user = \"root\"\ncontrol { group = \"root\" }\nauth { order = [] }", Facts{Root: true}, []string{
			`error user: the processes that talk to clients must not be root's`,
		}},
		{"pam without helper", dirs + "user = \"nobody\"\ncontrol { engine = false }\nauth { order = [\"pam\"] }", Facts{Root: true}, []string{`error auth.order: the pam helper is not installed`}},
		{"pam without service", dirs + "user = \"nobody\"\ncontrol { engine = false }\nauth {\n order = [\"pam\"]\n pam { service = \"none\" }\n}", withRoot, []string{`error auth.pam.service: there is no "DIR/none"`}},
		{"pam", dirs + "user = \"nobody\"\ncontrol { engine = false }\nauth { order = [\"pam\"] }", withRoot, []string{
			`warning auth.pam.service: pam_limits.so in DIR/sub:1: its limits hold for the PAM helper, not for the process that serves the files`,
			`warning auth.pam.service: pam_namespace.so in DIR/sub2:1: its directories are seen by the PAM helper alone`,
		}},
		{"collisions", dirs + "auth { order = [] }\nlistener \"a\" { address = [\"[::]:21\", \"0.0.0.0:2121\"] }\nlistener \"b\" { address = [\"192.0.2.1:21\", \"[::1]:2121\", \"0.0.0.0:0\"] }", rootless, []string{
			`error listener.address: listener "a" at [::]:21 and listener "b" at 192.0.2.1:21 cannot both be bound`,
		}},
		{"directories of files that the server makes", strings.Replace(dirs, dir, dir+"/newrun", 1) + "auth { order = [] }\n" +
			fmt.Sprintf("control { socket = %q }\ndelay { table = %q }\n", dir+"/no/sock", good+"/table"), rootless, []string{
			`warning run_dir: "DIR/newrun" does not exist yet: the server does not make it`,
			`error control.socket: the directory of "DIR/no/sock": no such file or directory`,
			`error delay.table: "DIR/good" is no directory`,
		}},
		{"narrow range", dirs + "auth { order = [] }\nmax { instances = 800 }\npassive { ports = \"50000-50099\" }", rootless, []string{
			`warning passive.ports: the range of host "default" has 100 ports, but 800 sessions are possible (max.instances): the others get 425`,
		}},
		{"narrow range without limit", dirs + "auth { order = [] }\npassive { ports = \"50000-50009\" }\nlistener \"a\" { address = [\"[::]:50001\"] }", rootless, []string{
			`warning passive.ports: the range of host "default" has 10 ports, and max.instances sets no limit: more transfers at a time get 425`,
			`warning passive.ports: the range holds port 50001 of listener "a"; it is never handed out`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, s := range checked(t, c.src, c.facts, dir) {
				got = append(got, strings.ReplaceAll(s, dir, "DIR"))
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// TestCheckSaysAThingOnce: hosts and classes repeat what holds at the top.
func TestCheckSaysAThingOnce(t *testing.T) {
	p, diags := Parse("x.hcl", []byte("auth {\n order = [\"file\"]\n file {\n users = \"/no/users\"\n }\n}\nvirtual_host \"a\" { address = [\"192.0.2.1\"] }\n"), Facts{})
	if p == nil {
		t.Fatal(diags)
	}
	n := 0
	for _, d := range Check(p, Facts{}) {
		if d.Key == "auth.file.users" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("said %d times", n)
	}
}
