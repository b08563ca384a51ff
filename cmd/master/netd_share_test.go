package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// withStores is a configuration that shares its bans.
func withStores(list ...policy.BanShare) *policy.Policy {
	p := withNames()
	p.Ban = policy.Ban{Engine: true, Most: 16, Share: list}
	return p
}

// adoptPuppet gives master a netd that the test speaks for, and returns the view
// that it got.
func adoptPuppet(t *testing.T, m *inside) (*netd, *ipc.Conn, policy.Netd) {
	t.Helper()
	ours, theirs, err := ipc.Pair()
	must(t, err)
	conn := ipc.New(theirs, ipc.MasterNetd, ipc.Netd)
	t.Cleanup(conn.Close)
	v := netdView(m.gen.policy)
	m.netd.names, m.netd.share = v.Names, v.Share
	m.stopping = false
	m.adoptNetd(&netd{child: &child{name: "netd", pid: 1 << 30, pidfd: eventFD(t)}}, ours)
	m.stopping = true
	if m.netd.now == nil {
		t.Fatal("netd was not adopted")
	}
	got, err := conn.Recv()
	must(t, err)
	defer got.Close()
	var seen policy.Netd
	must(t, ipc.ReadBlob(got.FDs[0], &seen))
	return m.netd.now, conn, seen
}

// TestOnlyNetdGetsThePasswords: they are read when the view is sent, and are
// neither in the configuration nor in a log line.
func TestOnlyNetdGetsThePasswords(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	must(t, os.WriteFile(secret, []byte("open sesame 81\n"), 0o600))
	open := filepath.Join(dir, "open")
	must(t, os.WriteFile(open, []byte("seen by all 99"), 0o644))
	share := func(port int, file string) policy.BanShare {
		return policy.BanShare{Driver: "redis", Address: fmt.Sprint("127.0.0.1:", port), Secret: file, Prefix: "mod_ban."}
	}
	m := newInsideWith(t, withStores(share(1, secret), share(2, ""), share(3, open), share(4, filepath.Join(dir, "none"))))
	n, _, v := adoptPuppet(t, m)
	want := []policy.BanShare{share(1, secret), share(2, "")}
	want[0].Password = "open sesame 81"
	if d := cmp.Diff(want, v.Share); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]uint16{1, 2, 3, 4}, n.ports); d != "" {
		t.Error(d)
	}
	for _, s := range m.gen.policy.Ban.Share {
		if s.Password != "" {
			t.Errorf("the configuration holds the password of %s", s.Address)
		}
	}
	log := m.logged()
	if strings.Contains(log, "sesame") || strings.Contains(log, "seen by all") {
		t.Errorf("a password in the log: %s", log)
	}
	if why := strings.Join(m.netdReasons(), "\n"); !strings.Contains(why, "mode 0644") || !strings.Contains(why, "no such file") {
		t.Errorf("degraded: %q", why)
	}
	m.gen.policy.Ban.Engine = false
	if v := netdView(m.gen.policy); len(v.Share) != 0 {
		t.Errorf("stores of a ban system that is off: %v", v.Share)
	}
}

func TestFilesWithPasswords(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{
		"good": "secret\n", "windows": "secret\r\nmore\n", "bare": "secret", "empty": "", "blank": "\nsecret\n",
		"long": strings.Repeat("x", maxSecret+1), "longest": strings.Repeat("x", maxSecret), "group": "secret", "others": "secret",
	} {
		must(t, os.WriteFile(at(name), []byte(text), 0o600))
	}
	must(t, os.Chmod(at("group"), 0o640))
	must(t, os.Chmod(at("others"), 0o602))
	must(t, os.Symlink("good", at("link")))
	must(t, unix.Mkfifo(at("pipe"), 0o600))
	must(t, os.Mkdir(at("directory"), 0o700))
	for name, want := range map[string]string{
		"good": "secret", "windows": "secret", "bare": "secret", "longest": strings.Repeat("x", maxSecret),
		"empty": "!empty", "blank": "!empty", "long": "!longer", "group": "!mode", "others": "!mode", "link": "!symbolic", "pipe": "!not a regular",
		"directory": "!not a regular", "none": "!no such",
	} {
		got, err := readSecret(at(name))
		text, bad := strings.CutPrefix(want, "!")
		switch {
		case bad && (err == nil || !strings.Contains(err.Error(), text)):
			t.Errorf("%s: %v, want %q", name, err, text)
		case bad && got != "":
			t.Errorf("%s: %q all the same", name, got)
		case !bad && (err != nil || got != want):
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	if os.Geteuid() == 0 {
		must(t, os.Chown(at("good"), 65534, 65534))
		if _, err := readSecret(at("good")); err == nil || !strings.Contains(err.Error(), "owned by uid 65534") {
			t.Errorf("of somebody else: %v", err)
		}
	}
}

// TestALongListGoesAtNetdsPace: far more than its queue takes, and what comes in
// between goes past.
func TestALongListGoesAtNetdsPace(t *testing.T) {
	m := newInsideWith(t, withStores(policy.BanShare{Driver: "redis", Address: "127.0.0.1:6379", Prefix: "mod_ban."}))
	n, conn, _ := adoptPuppet(t, m)
	const many = 3 * netdQueue
	next := 0
	m.netdBulk(func() any {
		if next == many {
			return nil
		}
		next++
		return &ipc.BanRemoved{Key: fmt.Sprint(next)}
	})
	if next == many {
		t.Error("the whole list at once")
	}
	m.sendNetd(n, &ipc.BanRemoved{Key: "in between"})
	got := make(chan int, 1)
	go func() {
		listed, between := 0, -1
		for listed < many || between < 0 {
			r, err := conn.Recv()
			if err != nil {
				break
			}
			switch b := r.Body.(type) {
			case *ipc.BanRemoved:
				if b.Key == "in between" {
					between = listed
				} else {
					listed++
				}
			}
		}
		if listed != many {
			between = -1
		}
		got <- between
	}()
	between, over := -1, false
	m.turn("the list", func() bool {
		select {
		case between = <-got:
			over = true
		default:
		}
		return over
	})
	if between < 0 || between > many/2 {
		t.Errorf("what came in between was number %d of %d", between, many)
	}
	m.turn("the list to be done with", func() bool { return len(n.bulk) == 0 && !n.q.Waiting() })
	if n.exited {
		t.Error("netd is gone")
	}
}

// TestANewPortNeedsANewNetd: a sandbox does not widen.
func TestANewPortNeedsANewNetd(t *testing.T) {
	share := func(port int) policy.BanShare {
		return policy.BanShare{Driver: "redis", Address: fmt.Sprint("127.0.0.1:", port), Prefix: "mod_ban."}
	}
	m := newInsideWith(t, withStores(share(1), share(2)))
	n, conn, _ := adoptPuppet(t, m)
	m.netd.starting = true // no other one is started here
	configure := func(list ...policy.BanShare) {
		m.gen.policy = withStores(list...)
		m.stopping = false
		m.configureNetd(m.gen.policy)
		m.stopping = true
	}
	configure(share(2))
	if m.netd.now != n {
		t.Fatal("it was let go, and may call all that there is")
	}
	got, err := conn.Recv()
	must(t, err)
	got.Close()
	configure(share(2), share(3))
	if m.netd.now == n {
		t.Error("it may not call port 3 and stays")
	}
	if _, err := conn.Recv(); err == nil {
		t.Error("it was told, and cannot do it")
	}
}
