package share

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"sallyport/internal/control"
	"sallyport/test/daemon"
)

// names is the list of a server's bans.
func (s *server) names() []string {
	s.w.t.Helper()
	var list []string
	for _, b := range s.info().Bans {
		list = append(list, b.Kind+" "+b.Name)
	}
	slices.Sort(list)
	return list
}

func (s *server) info() (r control.BanInfoResult) {
	s.w.t.Helper()
	out := s.ctl("ban", "info", "--json")
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		s.w.t.Fatalf("%v\n%s", err, out)
	}
	return r
}

// shared waits until a server has its store.
func (s *server) shared() {
	s.w.t.Helper()
	daemon.Until(s.w.t, "the store", func() bool {
		l := s.info().Stores
		return len(l) == 1 && l[0].Up
	})
}

// TestThreeServersAndOneRedis: a ban on one holds on the others, a permit
// likewise, and events count together.
func TestThreeServersAndOneRedis(t *testing.T) {
	w := newNetwork(t)
	_, share := w.redis()
	config := "ban {\n  on_event \"FailedLogin\" {\n    rate = \"6/10m\"\n    ban = \"1h\"\n  }\n" + share + "}\n"
	a, b, c := w.serve(config), w.serve(config), w.serve(config)
	all := []*server{a, b, c}
	for _, s := range all {
		s.shared()
		if !s.in(stranger) {
			t.Fatalf("%s refuses whom nobody has banned", s.addr)
		}
	}

	a.ctl("ban", "host", stranger, "--for", "1h", "--reason", "scanning")
	for _, s := range all {
		s.out(stranger)
		if !s.in(friend) {
			t.Errorf("%s refuses another one too", s.addr)
		}
	}
	i := b.info().Bans
	if len(i) != 1 || i[0].Origin != "store" || i[0].Reason != "scanning" || i[0].Expires.IsZero() {
		t.Errorf("the ban as another server knows it: %+v", i)
	}
	a.ctl("permit", "host", stranger)
	for _, s := range all {
		s.back(stranger)
	}

	b.ctl("ban", "user", "bob")
	for _, s := range all {
		daemon.Until(t, "bob to be refused", func() bool {
			reply, err := s.login(friend, "bob", s.Users["bob"].Password)
			if err != nil {
				t.Fatal(err)
			}
			return strings.HasPrefix(reply, "530")
		})
		if !s.in(friend) {
			t.Errorf("%s refuses alice too", s.addr)
		}
	}
	b.ctl("permit", "user", "bob")

	// Two attempts at each of three servers are six.
	for range 2 {
		for _, s := range all {
			if _, err := s.login(stranger, "alice", "no"); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, s := range all {
		s.out(stranger)
		if !s.in(friend) {
			t.Errorf("%s refuses another one too", s.addr)
		}
	}
	for _, s := range all {
		if out, err := s.Ctl("config", "show", s.Config); err != nil || strings.Contains(out, password) {
			t.Errorf("the configuration as shown: %v\n%s", err, out)
		}
		if strings.Contains(s.Log(), password) {
			t.Error("the password is in the log")
		}
	}
}

// TestRedisDiesAndComesBack while people log in: nobody is lost, what was done
// meanwhile reaches everybody, and all lists end up the same.
func TestRedisDiesAndComesBack(t *testing.T) {
	w := newNetwork(t)
	redis, share := w.redis()
	config := "ban {\n" + share + "}\n"
	all := []*server{w.serve(config), w.serve(config), w.serve(config)}
	for _, s := range all {
		s.shared()
	}
	var logins, lost atomic.Int32
	var done sync.WaitGroup
	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop); done.Wait() })
	t.Cleanup(end)
	for _, s := range all {
		done.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				reply, err := s.login(friend, "alice", s.Users["alice"].Password)
				logins.Add(1)
				if err != nil || !strings.HasPrefix(reply, "230") {
					lost.Add(1)
					t.Errorf("a login at %s: %q %v", s.addr, reply, err)
				}
			}
		})
	}
	more := func() {
		n := logins.Load() + 10
		daemon.Until(t, "logins to go on", func() bool { return logins.Load() >= n })
	}
	down := func() {
		redis.kill()
		for _, s := range all {
			daemon.Until(t, "the store to be gone", func() bool { return !s.info().Stores[0].Up })
		}
	}
	all[0].ctl("ban", "host", "192.0.2.1")
	all[1].ctl("ban", "host", "192.0.2.2")
	for round := range 2 {
		more()
		down()
		more()
		all[0].ctl("ban", "host", fmt.Sprint("192.0.2.1", round))
		all[1].ctl("ban", "host", fmt.Sprint("192.0.2.2", round))
		all[2].ctl("ban", "host", fmt.Sprint("192.0.2.3", round))
		redis.start()
		for _, s := range all {
			s.shared()
		}
		more()
	}
	down()
	all[0].ctl("permit", "host", "192.0.2.1")
	all[2].ctl("permit", "host", "192.0.2.30")
	redis.start()
	want := []string{"host 192.0.2.10", "host 192.0.2.11", "host 192.0.2.2", "host 192.0.2.20", "host 192.0.2.21", "host 192.0.2.31"}
	for _, s := range all {
		s.shared()
		var got []string
		daemon.Until(t, "the same list everywhere", func() bool {
			got = s.names()
			return slices.Equal(got, want)
		})
	}
	more()
	end()
	if lost.Load() > 0 {
		t.Errorf("%d logins of %d were lost", lost.Load(), logins.Load())
	}
}

// TestANewServerLearnsTheList, also what was permitted while it was away; and a
// reload brings another store, on a port that its netd could not call before.
func TestANewServerLearnsTheList(t *testing.T) {
	w := newNetwork(t)
	_, share := w.redis()
	config := "ban {\n" + share + "}\n"
	a := w.serve(config)
	a.shared()
	for i := range 50 {
		a.ctl("ban", "host", fmt.Sprintf("192.0.2.%d", i))
	}
	a.ctl("ban", "host", stranger)
	a.ctl("permit", "host", "192.0.2.7")
	b := w.serve("passive {\n  address = \"gate.invalid\"\n}\nban {\n}\n") // so that there is a netd
	daemon.Until(t, "netd", func() bool { return len(b.Children("netd")) == 1 })
	if !b.in(stranger) {
		t.Fatal("a server that shares nothing refuses")
	}
	text, err := os.ReadFile(b.Config)
	if err != nil {
		t.Fatal(err)
	}
	sharing := strings.ReplaceAll(config, "HUB", fmt.Sprintf("10.77.%d.1", w.n))
	if err := os.WriteFile(b.Config, []byte(strings.Replace(string(text), "ban {\n}\n", sharing, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	b.ctl("reload")
	b.shared()
	b.out(stranger)
	daemon.Until(t, "the whole list", func() bool { return len(b.info().Bans) == 50 })
	if slices.Contains(b.names(), "host 192.0.2.7") {
		t.Error("what was permitted is banned here")
	}
}

// TestMemcachedIsAsked: nobody tells of changes there, so a ban holds from the
// second connection on.
func TestMemcachedIsAsked(t *testing.T) {
	w := newNetwork(t)
	w.service("memcached", "-u", "nobody", "-l", "0.0.0.0", "-p", "11211", "-U", "0")
	config := "ban {\n  share \"memcache\" {\n    address = \"HUB:11211\"\n  }\n}\n"
	a, b := w.serve(config), w.serve(config)
	a.shared()
	b.shared()
	a.ctl("ban", "host", stranger, "--for", "1h")
	a.out(stranger)
	b.out(stranger)
	if !b.in(friend) {
		t.Error("another one is refused too")
	}
}

// TestTenThousandBansAreLearnt at the start, and netd's death forgets none.
func TestTenThousandBansAreLearnt(t *testing.T) {
	w := newNetwork(t)
	_, share := w.redis()
	const many = 10_000
	w.fill(many)
	s := w.serve("ban {\n" + share + "}\n")
	s.shared()
	daemon.Until(t, "all bans", func() bool { return s.info().Total == many })
	s.out(stranger)
	if !s.in(friend) {
		t.Error("another one is refused too")
	}
	for _, pid := range s.Children("netd") {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	s.WaitLog("netd ended, starting it again")
	if s.in(stranger) {
		t.Error("the bans are gone with netd")
	}
	daemon.Until(t, "another netd", func() bool { return strings.Count(s.Log(), "netd started") == 2 })
	s.ctl("ban", "host", "198.51.100.1")
	daemon.Until(t, "its word in the store", func() bool { return w.has("198.51.100.1") })
	if n := s.info().Total; n != many+1 {
		t.Errorf("%d bans of %d", n, many+1)
	}
}
