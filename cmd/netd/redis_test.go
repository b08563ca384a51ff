package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/ban"
	"sallyport/ipc"
)

// TestABanReachesTheOthers by what is published, with the right life, and a
// permit likewise; nobody hears himself.
func TestABanReachesTheOthers(t *testing.T) {
	s := startRedis(t)
	a, b := startNode(t, quickPace, redisShare(s)), startNode(t, quickPace, redisShare(s))
	a.state(true)
	b.state(true)
	key := hostKey(7)
	a.send(&ipc.BanStored{Key: key, Value: []byte("{\"v\":1}\x00"), Seconds: 600})
	b.knows(key, "{\"v\":1}\x00")
	if ttl := s.redis("TTL", "mod_ban."+key).n; ttl < 500 || ttl > 600 {
		t.Errorf("it lives for another %d s of 600", ttl)
	}
	a.send(&ipc.BanStored{Key: key, Value: []byte("{\"v\":2}\x00")})
	b.knows(key, "{\"v\":2}\x00")
	if ttl := s.redis("TTL", "mod_ban."+key).n; ttl != -1 {
		t.Errorf("a ban for ever lives for another %d s", ttl)
	}
	if got := s.redis("GET", "mod_ban."+key).text; got != "{\"v\":2}\x00" {
		t.Errorf("it is %q", got)
	}
	b.send(&ipc.BanRemoved{Key: key})
	a.gone(key)
	if s.redis("EXISTS", "mod_ban."+key).n != 0 {
		t.Error("the key is still there")
	}
	a.alive()
	b.alive()
	for name, n := range map[string]*node{"a": a, "b": b} {
		n.mu.Lock()
		if name == "a" && len(each[ipc.BanFound](n)) > 0 || name == "b" && len(each[ipc.BanGone](n)) > 0 {
			t.Errorf("%s hears itself", name)
		}
		n.mu.Unlock()
	}
}

// TestWhatIsThereIsFound before the store is said to be up: what other daemons
// have written, and nothing of what else lies about.
func TestWhatIsThereIsFound(t *testing.T) {
	s := startRedis(t)
	reference := "{\"ban_type_id\":2,\"ban_name\":\"192.0.2.7\"}\x00"
	s.redis("SETEX", "mod_ban."+reference, "600", "{\"version\":2}\x00")
	s.redis("SET", "mod_ban."+hostKey(1), "garbage that master judges")
	s.redis("RPUSH", "mod_ban."+hostKey(2), "a list")
	s.redis("SET", "mod_ban."+hostKey(3), strings.Repeat("x", maxValue+1))
	s.redis("SET", "mod_ban."+hostKey(4), strings.Repeat("x", 3<<20))
	s.redis("SET", "mod_ban.{"+strings.Repeat("k", maxKey), "v")
	s.redis("SET", "mod_ban.{"+strings.Repeat("k", 1<<20), "v")
	s.redis("SET", "mod_ban.plain", "v")
	s.redis("SET", "mod_ban.{\xff\xfe", "v")
	s.redis("SET", "mod_ban.", "v")
	s.redis("SET", "modXban."+hostKey(5), "of another prefix")
	s.redis("ZADD", "mod_ban.count.0123", "1", "x")
	n := startNode(t, quickPace, redisShare(s))
	n.state(true)
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := each[ipc.BanFound](n); len(l) != 2 {
		t.Errorf("%d values", len(l))
	}
	if got := n.last(reference); got != "{\"version\":2}\x00" {
		t.Errorf("the reference's ban: %q", got)
	}
	if got := n.last(hostKey(1)); got == "" {
		t.Error("garbage is for master to judge")
	}
	if _, up := n.said[len(n.said)-1].(*ipc.StoreState); !up {
		t.Errorf("up before all was told: %T", n.said[len(n.said)-1])
	}
}

// TestTheKeysAreTheReferences: what package ban makes is what the reference's
// daemons look up.
func TestTheKeysAreTheReferences(t *testing.T) {
	s := startRedis(t)
	n := startNode(t, quickPace, redisShare(s))
	n.state(true)
	k, err := ban.NameKey(ban.Host, "192.0.2.7", "")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	live := &ban.Ban{Key: k, Created: now.UnixNano(), Expires: now.Add(time.Hour).UnixNano(), Reason: "MaxLoginAttempts"}
	n.send(&ipc.BanStored{Key: ban.ShareKey(k), Value: ban.ShareValue(live, "192.0.2.1", 21, now), Seconds: 3600})
	eventually(t, "the key", func() bool {
		return strings.HasPrefix(s.redis("GET", "mod_ban.{\"ban_type_id\":2,\"ban_name\":\"192.0.2.7\"}\x00").text, `{"version":2,"update_ts":`)
	})
}

func TestManyBansAreListed(t *testing.T) {
	s := startRedis(t)
	const many = 10_000
	a := startNode(t, quickPace, redisShare(s))
	a.state(true)
	for i := range many {
		a.send(&ipc.BanStored{Key: hostKey(i), Value: fmt.Appendf(nil, "{\"n\":%d}\x00", i), Seconds: 3600})
	}
	eventually(t, "all keys", func() bool { return s.redis("DBSIZE").n == many })
	p := quickPace
	p.list = 5 * time.Millisecond
	b := startNode(t, p, redisShare(s))
	b.state(true)
	b.mu.Lock()
	got := map[string]bool{}
	for _, f := range each[ipc.BanFound](b) {
		got[f.Key] = true
	}
	first := len(each[ipc.BanFound](b))
	b.mu.Unlock()
	if len(got) != many || first != many {
		t.Errorf("%d bans of %d, in %d messages", len(got), many, first)
	}
	// Later listings tell of what is new and of nothing twice.
	s.redis("SETEX", "mod_ban."+hostKey(many), "600", "by a daemon that publishes nothing")
	b.knows(hostKey(many), "by a daemon that publishes nothing")
	b.mu.Lock()
	if n := len(each[ipc.BanFound](b)); n != many+1 {
		t.Errorf("%d messages", n)
	}
	b.mu.Unlock()
	a.mu.Lock()
	if n := len(each[ipc.BanFound](a)); n != 0 {
		t.Errorf("it was told of %d bans of its own", n)
	}
	a.mu.Unlock()
}

// TestAPermitIsNotForgotten by a daemon that was away, and a ban made since
// stands.
func TestAPermitIsNotForgotten(t *testing.T) {
	s := startRedis(t)
	a := startNode(t, quickPace, redisShare(s))
	a.state(true)
	for i := range 3 {
		a.send(&ipc.BanStored{Key: hostKey(i), Value: []byte("v"), Seconds: 600})
		a.send(&ipc.BanRemoved{Key: hostKey(i)})
	}
	a.send(&ipc.BanStored{Key: hostKey(1), Value: []byte("again"), Seconds: 600})
	eventually(t, "the last change", func() bool {
		return s.redis("EXISTS", "mod_ban.lifted."+hostKey(2)).n == 1 && s.redis("GET", "mod_ban."+hostKey(1)).text == "again"
	})
	if ttl := s.redis("TTL", "mod_ban.lifted."+hostKey(2)).n; ttl <= 0 || ttl > int64(liftedFor/time.Second) {
		t.Errorf("a permit is kept for %d s", ttl)
	}
	s.redis("SET", "mod_ban."+hostKey(2), "by a daemon that knows of no permits")
	b := startNode(t, quickPace, redisShare(s))
	b.state(true)
	b.gone(hostKey(0))
	b.knows(hostKey(1), "again")
	b.knows(hostKey(2), "by a daemon that knows of no permits")
}

// TestRedisComesBack after a kill: what was done meanwhile is stored, and the
// others hear of it.
func TestRedisComesBack(t *testing.T) {
	s := startRedis(t)
	a, b := startNode(t, quickPace, redisShare(s)), startNode(t, quickPace, redisShare(s))
	a.state(true)
	b.state(true)
	for i := range 3 {
		s.kill()
		if why := a.state(false); why == "" {
			t.Error("no reason")
		}
		b.state(false)
		a.send(&ipc.BanStored{Key: hostKey(i), Value: []byte("while it was down"), Seconds: 600})
		a.send(&ipc.BanRemoved{Key: hostKey(100 + i)})
		a.alive()
		s.run()
		a.state(true)
		b.state(true)
		b.knows(hostKey(i), "while it was down")
		b.gone(hostKey(100 + i))
	}
}

// documented is the user that docs/BANS.md advises, whose rights have to do.
func documented(t *testing.T, password string) []string {
	t.Helper()
	b, err := os.ReadFile("../../docs/BANS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(b), "ACL SETUSER ")
	text, _, end := strings.Cut(text, "```")
	if !found || !end || !strings.Contains(text, ">PASSWORD") {
		t.Fatal("docs/BANS.md has no user for Redis")
	}
	return strings.Fields(strings.Replace(text, ">PASSWORD", ">"+password, 1))
}

func TestPasswords(t *testing.T) {
	const secret = "open sesame 81"
	s := startRedis(t, append([]string{"--requirepass", secret, "--user"}, documented(t, "hunter2")...)...)
	share := redisShare(s)
	none := startNode(t, quickPace, share)
	if why := none.state(false); !strings.Contains(why, "NOAUTH") {
		t.Errorf("without one: %q", why)
	}
	share.Password = "wrong 4711"
	wrong := startNode(t, quickPace, share)
	if why := wrong.state(false); !strings.Contains(why, "WRONGPASS") || strings.Contains(why, "4711") {
		t.Errorf("a wrong one: %q", why)
	}
	share.Password = secret
	right := startNode(t, quickPace, share)
	right.state(true)
	share.User, share.Password = "sallyport", "hunter2"
	narrow := startNode(t, quickPace, share)
	narrow.state(true)
	narrow.send(&ipc.BanStored{Key: hostKey(1), Value: []byte("v"), Seconds: 60})
	right.knows(hostKey(1), "v")
	narrow.send(&ipc.EventCount{Rule: "r", Source: "s", Seconds: 60})
	narrow.await("the count", func() bool { return len(each[ipc.EventCounted](narrow)) == 1 })
	right.send(&ipc.BanRemoved{Key: hostKey(1)})
	narrow.gone(hostKey(1))
}

// TestASilentRedis: it is down after a while, and netd is there for master all the
// time.
func TestASilentRedis(t *testing.T) {
	s := startRedis(t)
	p := quickPace
	p.timeout = 300 * time.Millisecond
	n := startNode(t, p, redisShare(s))
	n.state(true)
	s.signal(unix.SIGSTOP)
	for i := range 1000 {
		n.send(&ipc.BanStored{Key: hostKey(i), Value: []byte("v"), Seconds: 600})
		n.send(&ipc.BanAsk{Key: hostKey(i)})
		n.send(&ipc.EventCount{Rule: "r", Source: "s", Seconds: 60})
	}
	n.alive()
	if why := n.state(false); !strings.Contains(why, "timeout") {
		t.Errorf("%q", why)
	}
	n.alive()
	s.signal(unix.SIGCONT)
	eventually(t, "all bans", func() bool { return s.redis("EXISTS", "mod_ban."+hostKey(999)).n == 1 })
	n.state(true)
}

// TestWhatStrangersPublish: only what is a change of a ban goes on to master.
func TestWhatStrangersPublish(t *testing.T) {
	s := startRedis(t)
	n := startNode(t, quickPace, redisShare(s))
	n.state(true)
	q := strconv.Quote
	for _, text := range []string{
		"", "nonsense", "[]", "{}", `{"op":"ban"}`, `{"op":"ban","key":"plain","value":"v","node":"x"}`,
		`{"op":"ban","key":"{}","node":"x"}`, `{"op":"other","key":"{}","value":"v","node":"x"}`, `{"op":["ban"],"key":"{}"}`,
		`{"op":"ban","key":"{` + strings.Repeat("k", maxKey) + `","value":"v","node":"x"}`,
		`{"op":"permit","key":"{` + strings.Repeat("k", maxKey) + `","node":"x"}`,
		`{"op":"ban","key":"{}","value":` + q(strings.Repeat("v", maxValue+1)) + `,"node":"x"}`,
		strings.Repeat("x", 3<<20), "\xff\xfe\x00",
	} {
		s.redis("PUBLISH", "mod_ban.events", text)
	}
	s.redis("PUBLISH", "mod_ban.events", `{"op":"ban","key":"{good}","value":"v","node":"x"}`)
	n.knows("{good}", "v")
	s.redis("PUBLISH", "mod_ban.events", `{"op":"permit","key":"{good}","node":"x"}`)
	n.gone("{good}")
	n.mu.Lock()
	defer n.mu.Unlock()
	if f, g := each[ipc.BanFound](n), each[ipc.BanGone](n); len(f) != 1 || len(g) != 1 {
		t.Errorf("%d bans and %d permits", len(f), len(g))
	}
	for _, st := range each[ipc.StoreState](n) {
		if !st.Up {
			t.Errorf("the store went down: %s", st.Error)
		}
	}
}

// TestCountingTogether: every daemon learns how many events all of them have had
// within the window.
func TestCountingTogether(t *testing.T) {
	s := startRedis(t)
	a, b := startNode(t, quickPace, redisShare(s)), startNode(t, quickPace, redisShare(s))
	a.state(true)
	b.state(true)
	const each1 = 50
	for range each1 {
		a.send(&ipc.EventCount{Rule: "MaxLoginAttempts", Source: "192.0.2.7", Seconds: 600})
		b.send(&ipc.EventCount{Rule: "MaxLoginAttempts", Source: "192.0.2.7", Seconds: 600})
	}
	a.send(&ipc.EventCount{Rule: "MaxLoginAttempts", Source: "192.0.2.8", Seconds: 600})
	var seen []uint32
	for _, n := range []*node{a, b} {
		n.await("all answers", func() bool { return len(each[ipc.EventCounted](n)) >= each1 })
	}
	a.await("the other's", func() bool { return len(each[ipc.EventCounted](a)) == each1+1 })
	for _, n := range []*node{a, b} {
		n.mu.Lock()
		for _, c := range each[ipc.EventCounted](n) {
			switch {
			case c.Source == "192.0.2.7":
				seen = append(seen, c.Count)
			case c.Source != "192.0.2.8" || c.Count != 1 || c.Rule != "MaxLoginAttempts":
				t.Errorf("%+v", c)
			}
		}
		n.mu.Unlock()
	}
	once := map[uint32]bool{}
	for _, c := range seen {
		once[c] = true
	}
	if len(once) != 2*each1 || !once[1] || !once[2*each1] {
		t.Errorf("%d different counts of %d events", len(once), 2*each1)
	}
	// A window that has passed counts no more, and leaves nothing behind.
	a.send(&ipc.EventCount{Rule: "short", Source: "s", Seconds: 1})
	short := func() (list []uint32) {
		for _, c := range each[ipc.EventCounted](a) {
			if c.Rule == "short" {
				list = append(list, c.Count)
			}
		}
		return list
	}
	a.await("the count", func() bool { return len(short()) == 1 })
	eventually(t, "its end", func() bool { return s.redis("DBSIZE").n == 2 })
	a.send(&ipc.EventCount{Rule: "short", Source: "s", Seconds: 1})
	a.await("the count", func() bool { return len(short()) == 2 })
	a.mu.Lock()
	defer a.mu.Unlock()
	if l := short(); l[0] != 1 || l[1] != 1 {
		t.Errorf("counts %v", l)
	}
}

// TestAnAskedKey: a ban of a daemon that publishes nothing is found at once by
// who asks.
func TestAnAskedKey(t *testing.T) {
	s := startRedis(t)
	n := startNode(t, quickPace, redisShare(s))
	n.state(true)
	s.redis("SETEX", "mod_ban."+hostKey(1), "600", "v")
	n.send(&ipc.BanAsk{Key: hostKey(2)})
	n.send(&ipc.BanAsk{Key: hostKey(1)})
	n.knows(hostKey(1), "v")
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last(hostKey(2)) != "" {
		t.Error("an answer without a key")
	}
}

// TestAReloadChangesTheStores: the one that stays keeps its connections.
func TestAReloadChangesTheStores(t *testing.T) {
	s, other := startRedis(t), startRedis(t)
	n := startNode(t, quickPace, redisShare(s))
	n.state(true)
	ids := func() string {
		var l []string
		for line := range strings.Lines(s.redis("CLIENT", "LIST").text) {
			if id, rest, _ := strings.Cut(line, " "); !strings.Contains(rest, "cmd=client") {
				l = append(l, id)
			}
		}
		return strings.Join(l, " ")
	}
	before := ids()
	n.configure(2, redisShare(s), redisShare(other))
	n.await("the second store", func() bool {
		l := each[ipc.StoreState](n)
		return l[len(l)-1].Up && l[len(l)-1].Address == other.addr
	})
	if now := ids(); now != before || len(strings.Fields(now)) != 2 {
		t.Errorf("connections %s, before %s", now, before)
	}
	n.configure(3, redisShare(other))
	eventually(t, "the connections to go", func() bool { return ids() == "" })
	n.send(&ipc.BanStored{Key: hostKey(1), Value: []byte("v"), Seconds: 60})
	eventually(t, "the ban in the other", func() bool { return other.redis("EXISTS", "mod_ban."+hostKey(1)).n == 1 })
	if s.redis("DBSIZE").n != 0 {
		t.Error("a store that is none any more was written to")
	}
	bad := redisShare(s)
	bad.Driver = "sql"
	n.configure(4, bad)
	n.await("a complaint", func() bool {
		l := each[ipc.NetdReady](n)
		return len(l) == 4 && len(l[3].Errors) == 1
	})
}
