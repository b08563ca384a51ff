package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// memcache sends a request of the test's own.
func (s *service) memcache(code byte, key string, extras, value []byte) memcached {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(appendMemcache(nil, code, 0, extras, key, value)); err != nil {
		s.t.Fatal(err)
	}
	m, err := readMemcached(bufio.NewReader(c))
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// get is a value, "" where there is none.
func (s *service) get(key string) string {
	s.t.Helper()
	m := s.memcache(memcacheGet, key, nil, nil)
	if m.status != 0 {
		return ""
	}
	return string(m.value)
}

// TestMemcacheIsAsked: what one daemon stores another finds when it asks.
func TestMemcacheIsAsked(t *testing.T) {
	s := startMemcached(t)
	a, b := startNode(t, quickPace, memcacheShare(s)), startNode(t, quickPace, memcacheShare(s))
	a.state(true)
	b.state(true)
	key := hostKey(7)
	ends := time.Now().Add(600 * time.Second)
	a.send(&ipc.BanStored{Key: key, Value: []byte("{\"v\":1}\x00"), Seconds: 600})
	a.send(&ipc.BanStored{Key: hostKey(8), Value: []byte("for ever")})
	a.send(&ipc.BanStored{Key: hostKey(9), Value: []byte("a year"), Seconds: 365 * 24 * 3600})
	a.send(&ipc.BanStored{Key: "{" + strings.Repeat("k", memcacheKey), Value: []byte("no room"), Seconds: 60})
	a.send(&ipc.BanStored{Key: hostKey(10), Value: []byte("short"), Seconds: 1})
	a.send(&ipc.BanStored{Key: hostKey(11), Value: []byte("the last"), Seconds: 600})
	eventually(t, "the last", func() bool { return s.get("mod_ban."+hostKey(11)) == "the last" })
	b.send(&ipc.BanAsk{Key: hostKey(99)})
	b.send(&ipc.BanAsk{Key: "{" + strings.Repeat("k", memcacheKey)})
	for k, v := range map[string]string{key: "{\"v\":1}\x00", hostKey(8): "for ever", hostKey(9): "a year"} {
		b.send(&ipc.BanAsk{Key: k})
		b.knows(k, v)
	}
	eventually(t, "the short one's end", func() bool { return s.get("mod_ban."+hostKey(10)) == "" })
	for _, k := range []string{hostKey(8), hostKey(9)} {
		if s.get("mod_ban."+k) == "" {
			t.Errorf("%q is gone", k)
		}
	}
	if exp := s.expiry("mod_ban." + key); exp < 500 || exp > int64(time.Until(ends)/time.Second)+10 {
		t.Errorf("it lives for another %d s of 600", exp)
	}
	if exp := s.expiry("mod_ban." + hostKey(9)); exp < 364*24*3600 || exp > 366*24*3600 {
		t.Errorf("a year is %d s", exp)
	}
	b.send(&ipc.BanRemoved{Key: key})
	b.send(&ipc.BanRemoved{Key: hostKey(99)}) // that never was
	eventually(t, "the end of the ban", func() bool { return s.get("mod_ban."+key) == "" })
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(each[ipc.BanFound](b)); n != 3 {
		t.Errorf("%d answers", n)
	}
	if l := each[ipc.StoreState](b); len(l) != 1 {
		t.Errorf("%d states", len(l))
	}
}

// expiry asks by the text protocol how many seconds a key lives. A NUL is nothing
// that it can say: the key goes as base64.
func (s *service) expiry(key string) (seconds int64) {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "mg %s b t\r\n", base64Of(key))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := fmt.Sscanf(line, "HD b t%d", &seconds); err != nil {
		if _, err := fmt.Sscanf(line, "HD t%d", &seconds); err != nil {
			s.t.Fatalf("%q: %v", line, err)
		}
	}
	return seconds
}

func TestMemcacheGarbage(t *testing.T) {
	s := startMemcached(t)
	flags := make([]byte, 8)
	for i, v := range []string{"", strings.Repeat("x", maxValue+1), strings.Repeat("x", 1<<20), "garbage that master judges"} {
		if m := s.memcache(memcacheSet, "mod_ban."+hostKey(i), flags, []byte(v)); m.status != 0 {
			t.Fatalf("set: %#x %s", m.status, m.value)
		}
	}
	n := startNode(t, quickPace, memcacheShare(s))
	n.state(true)
	for i := range 4 {
		n.send(&ipc.BanAsk{Key: hostKey(i)})
	}
	n.knows(hostKey(3), "garbage that master judges")
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := each[ipc.BanFound](n); len(l) != 1 {
		t.Errorf("%d answers", len(l))
	}
}

func TestMemcacheComesBack(t *testing.T) {
	s := startMemcached(t)
	p := quickPace
	p.timeout = 300 * time.Millisecond
	n := startNode(t, p, memcacheShare(s))
	n.state(true)
	s.kill()
	if why := n.state(false); why == "" {
		t.Error("no reason")
	}
	n.send(&ipc.BanStored{Key: hostKey(1), Value: []byte("v"), Seconds: 600})
	n.send(&ipc.BanAsk{Key: hostKey(1)})
	n.alive()
	s.run()
	n.state(true)
	eventually(t, "what was stored meanwhile", func() bool { return s.get("mod_ban."+hostKey(1)) == "v" })
	s.signal(unix.SIGSTOP)
	n.send(&ipc.BanAsk{Key: hostKey(1)})
	n.alive()
	if why := n.state(false); !strings.Contains(why, "timeout") {
		t.Errorf("%q", why)
	}
	s.signal(unix.SIGCONT)
	n.state(true)
	n.send(&ipc.BanAsk{Key: hostKey(1)})
	n.knows(hostKey(1), "v")
}
