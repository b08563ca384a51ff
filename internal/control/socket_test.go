package control

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
)

func TestListenRefuses(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	live, err := net.Listen("unix", filepath.Join(dir, "live"))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	if err := os.Symlink(live.Addr().String(), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want string }{
		{"relative", `control socket "relative": must be an absolute path`},
		{filepath.Join(dir, "none", "s"), "open its directory: no such file or directory"},
		{filepath.Join(open, "s"), "others can write to its directory (mode 0777)"},
		{file, "exists and is not a socket"},
		{filepath.Join(dir, "link"), "exists and is not a socket"},
		{live.Addr().String(), "another daemon listens on it"},
	} {
		if l, err := listen(c.path, -1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v; want %s", c.path, l, err, c.want)
		}
	}
}

func TestListenReplacesWhatADeadDaemonLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	l, err := listen(path, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l.remove()
	if _, err := os.Stat(path); err != nil {
		t.Error("remove took away what is not its socket")
	}
}

func TestLongPaths(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	_, c, _ := start(t, &fake{}, policy.Control{Socket: filepath.Join(dir, "control.sock")})
	if _, err := c.Status(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestACL(t *testing.T) {
	block := policy.Control{Group: "sallyport-admin", Rules: []policy.ControlRule{
		{Actions: []string{"kick", "who"}, Users: []string{"alice", "nobody-such"}, Groups: []string{"ops", "none-such"}},
		{Actions: []string{"kick"}, Groups: []string{"sallyport-admin"}},
		{Actions: []string{"trace"}},
	}}
	a, warnings, err := NewACL(block, 0, []string{"sallyport", "netd"}, accounts)
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 2 || !strings.Contains(warnings[0], `user "nobody-such"`) || !strings.Contains(warnings[1], `group "none-such"`) {
		t.Errorf("warnings %q", warnings)
	}
	for _, c := range []struct {
		uid, gid uint32
		action   string
		want     bool
	}{
		{0, 0, "trace", true},
		{54321, 1, "kick", true},
		{1, 54301, "who", true},
		{1, 54300, "kick", false}, // the first rule that names it decides
		{1, 54300, "trace", false},
		{1, 54300, "status", true},
		{54321, 1, "status", false},
		{54320, 54300, "status", false}, // a worker
	} {
		p := Peer{UID: c.uid, GID: 2, Groups: []uint32{3, c.gid}}
		if got := a.Allows(&p, c.action); got != c.want {
			t.Errorf("%d:%d %s: %v", c.uid, c.gid, c.action, got)
		}
	}
	all, _, err := NewACL(policy.Control{Rules: []policy.ControlRule{{Actions: []string{"all"}, Users: []string{"alice"}}}}, 0, nil, accounts)
	if err != nil || !all.Allows(&Peer{UID: 54321}, "shutdown") || all.Allows(&Peer{UID: 1}, "shutdown") {
		t.Error("rule for all")
	}
	delay, _, err := NewACL(policy.Control{Rules: []policy.ControlRule{
		{Actions: []string{"delay_reset"}, Users: []string{"alice"}}, {Actions: []string{"delay"}, Groups: []string{"ops"}},
	}}, 0, nil, accounts)
	if err != nil {
		t.Fatal(err)
	}
	alice, ops := &Peer{UID: 54321}, &Peer{UID: 1, GID: 54301}
	for _, action := range []string{ActionDelayInfo, ActionDelayExplain} { // the family's rule
		if delay.Allows(alice, action) || !delay.Allows(ops, action) {
			t.Errorf("%s: alice %v, ops %v", action, delay.Allows(alice, action), delay.Allows(ops, action))
		}
	}
	if !delay.Allows(alice, ActionDelayReset) || delay.Allows(ops, ActionDelayReset) {
		t.Error("the rule for one action of a family")
	}
	bans, _, err := NewACL(policy.Control{Group: "sallyport-admin", Rules: []policy.ControlRule{
		{Actions: []string{"permit"}, Users: []string{"alice"}}, {Actions: []string{"ban"}, Groups: []string{"ops"}},
	}}, 0, nil, accounts)
	if err != nil {
		t.Fatal(err)
	}
	admin := &Peer{UID: 1, GID: 54300}
	for _, action := range []string{ActionBan, ActionBanInfo, ActionBanExplain, ActionBanImport} {
		if bans.Allows(alice, action) || !bans.Allows(ops, action) || bans.Allows(admin, action) {
			t.Errorf("%s: alice %v, ops %v, admin %v", action, bans.Allows(alice, action), bans.Allows(ops, action), bans.Allows(admin, action))
		}
	}
	if !bans.Allows(alice, ActionPermit) || bans.Allows(ops, ActionPermit) || bans.Allows(admin, ActionPermit) {
		t.Error("who may ban may not permit, and the other way round")
	}
	if _, _, err := NewACL(policy.Control{Rules: []policy.ControlRule{{Actions: []string{"stauts"}}}}, 0, nil, accounts); err == nil {
		t.Error("an unknown action was accepted")
	}
	closed, warnings, err := NewACL(policy.Control{Group: "none"}, 0, nil, accounts)
	if err != nil || len(warnings) != 1 || closed.Allows(&Peer{UID: 1, GID: 0}, "status") {
		t.Errorf("a group that does not exist: %q, %v", warnings, err)
	}
	rootless, _, err := NewACL(policy.Control{}, 1000, []string{"sallyport"}, names{"sallyport": 1000})
	if err != nil || !rootless.Allows(&Peer{UID: 1000}, "kick") || rootless.Allows(&Peer{UID: 1001}, "kick") {
		t.Error("a rootless daemon is its user's")
	}
	if root := (&Peer{UID: 0}); !rootless.Allows(root, "kick") || rootless.worker(root) {
		t.Error("root can end a rootless daemon anyway, and is refused at its socket")
	}
}

func TestConfigureRefusesAnotherSocket(t *testing.T) {
	s, c, _ := start(t, &fake{}, policy.Control{})
	for _, p := range []policy.Control{
		{Engine: true, Socket: "/other"}, {Socket: c.Socket}, {Engine: true, Socket: c.Socket, Group: "ops"},
	} {
		if err := s.Configure(p); err == nil {
			t.Errorf("%+v was accepted", p)
		}
	}
	if err := (*Server)(nil).Configure(policy.Control{}); err != nil {
		t.Error(err)
	}
	if err := (*Server)(nil).Configure(policy.Control{Engine: true}); err == nil {
		t.Error("a server appeared by reload")
	}
}

func TestParseHost(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"192.0.2.7", "192.0.2.7/32"},
		{"::ffff:192.0.2.7", "192.0.2.7/32"},
		{"192.0.2.7/24", "192.0.2.0/24"},
		{"::ffff:192.0.2.7/120", "192.0.2.0/24"},
		{"2001:db8::1", "2001:db8::1/128"},
		{"fe80::1%eth0", "fe80::1/128"},
		{"2001:db8::1/64", "2001:db8::/64"},
		{"::ffff:0:0/90", ""},
		{"192.0.2.256", ""},
		{"0.0.0.0/33", ""},
		{"", ""},
	} {
		p, err := ParseHost(c.in)
		if got := p.String(); (err != nil) != (c.want == "") || err == nil && got != c.want {
			t.Errorf("%q: %s, %v; want %q", c.in, got, err, c.want)
		}
	}
}

// FuzzRequest feeds the decoder what any local user could send: what it accepts
// is valid, and survives being sent again.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		`{"version":1,"action":"status"}`,
		`{"version":1,"action":"kick","args":{"by":"host","names":["::1/64"],"max":2,"text":"bye"}}`,
		`{"version":1,"action":"kick","args":{"by":"session","names":["18446744073709551615"]}}`,
		`{"version":1,"action":"shutdown","args":{"grace_seconds":30}}`,
		`{"version":1,"action":"trace","args":{"set":[{"channel":"auth","level":20}]}}`,
		`{"version":1,"action":"ban","args":{"kind":"user@host","names":["a b@::1"],"server":"x","seconds":60,"reason":"r","wide":true}}`,
		`{"version":1,"action":"permit","args":{"kind":"host","names":["*"]}}`,
		`{"version":1,"action":"ban_info","args":{"after":{"kind":"host","name":"192.0.2.0/24"},"events":true}}`,
		`{"version":1,"action":"ban_explain","args":{"address":"2001:db8::1","user":"u"}}`,
		`{"version":1,"action":"ban_import","args":{"entries":[{"kind":"class","name":"c","seconds":1}]}}`,
		`{"version":1,"ACTION":"who","action":"reload"}`,
		`[[[[`, `{"version":1e3}`, "", "null",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		req, args, err := decodeRequest(b)
		if err != nil {
			if codeOf(err) == CodeFailed {
				t.Errorf("%q: error of no class: %v", b, err)
			}
			return
		}
		again := Request{Version: Version, Action: req.Action}
		if args != nil {
			if again.Args, err = json.Marshal(args); err != nil {
				t.Fatal(err)
			}
		}
		out, err := json.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := decodeRequest(out); err != nil {
			t.Errorf("%q became %q: %v", b, out, err)
		}
	})
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, '{'})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := readFrame(strings.NewReader(string(b)), 64)
		if err == nil && (len(body) == 0 || len(body) > 64 || string(body) != string(b[4:4+len(body)])) {
			t.Errorf("%q read as %q", b, body)
		}
	})
}
