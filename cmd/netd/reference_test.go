package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/ban"
	"sallyport/ipc"
	"sallyport/test/peers"
)

// proftpd starts ProFTPD with mod_ban and a cache, on a loopback address of its
// own.
func proftpd(t *testing.T, cache string) *service {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: ProFTPD")
	}
	p, err := peers.Fetch()
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	users := write("users", "alice:$1$x$NIj54ZpDtqHOoMw9ym7W90:65534:65534::/:/bin/sh\n")
	s := startService(t, "apt-get", func(ip, port string) *exec.Cmd {
		conf := write("proftpd.conf", fmt.Sprintf(`ModulePath %s/usr/lib/proftpd
LoadModule mod_redis.c
LoadModule mod_memcache.c
LoadModule mod_ban.c
ServerName x
ServerType standalone
DefaultAddress %s
Port %s
SocketBindTight on
User nobody
Group nogroup
UseReverseDNS off
DelayEngine off
WtmpLog off
RequireValidShell off
AuthOrder mod_auth_file.c
AuthUserFile %s
PidFile %s/pid
ScoreboardFile %s/scoreboard
SystemLog %s/log
MaxLoginAttempts 1
BanEngine on
BanTable %s/ban.tab
BanLog %s/ban.log
BanControlsACLs all allow user root
BanOnEvent MaxLoginAttempts 1/00:10:00 00:10:00
%s
`, p.Root, ip, port, users, dir, dir, dir, dir, dir, cache))
		c := p.Command("usr/sbin/proftpd", "-n", "-q", "-c", conf)
		var said bytes.Buffer
		c.Stdout, c.Stderr = &said, &said
		t.Cleanup(func() {
			if t.Failed() {
				log, _ := os.ReadFile(filepath.Join(dir, "log"))
				bans, _ := os.ReadFile(filepath.Join(dir, "ban.log"))
				t.Logf("%s\n%s\n%s", said.String(), log, bans)
			}
		})
		return c
	})
	s.tidy = true // its ban table is a shared memory segment that outlives it
	return s
}

// greeted tells whether a client at an address gets a greeting; further commands
// are sent after it.
func (s *service) greeted(from string, commands ...string) bool {
	s.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "220") {
		return false
	}
	for _, command := range commands {
		fmt.Fprintf(c, "%s\r\n", command)
		if _, err := r.ReadString('\n'); err != nil {
			break
		}
	}
	return true
}

// TestTheReferenceSharesTheList: ProFTPD refuses whom we have banned, and what it
// bans is found and taken here.
func TestTheReferenceSharesTheList(t *testing.T) {
	const ours, theirs, nobodys = "127.0.9.1", "127.0.9.2", "127.0.9.3"
	hostBan := func(addr string) (key string, value []byte) {
		k, err := ban.NameKey(ban.Host, addr, "")
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		b := &ban.Ban{Key: k, Created: now.UnixNano(), Expires: now.Add(10 * time.Minute).UnixNano(), Reason: "ours"}
		return ban.ShareKey(k), ban.ShareValue(b, "192.0.2.1", 21, now)
	}
	for _, driver := range []string{"redis", "memcache"} {
		t.Run(driver, func(t *testing.T) {
			var s *service
			var n *node
			var f *service
			if driver == "redis" {
				s = startRedis(t)
				f = proftpd(t, "RedisEngine on\nRedisServer "+s.addr+"\nBanCache redis")
				p := quickPace
				p.list = 10 * time.Millisecond // it publishes nothing
				n = startNode(t, p, redisShare(s))
			} else {
				s = startMemcached(t)
				f = proftpd(t, "MemcacheEngine on\nMemcacheServers "+s.addr+"\nBanCache memcache\nBanCacheOptions UseJSON")
				n = startNode(t, quickPace, memcacheShare(s))
			}
			n.state(true)
			key, value := hostBan(ours)
			n.send(&ipc.BanStored{Key: key, Value: value, Seconds: 600})
			eventually(t, "ProFTPD to refuse", func() bool { return !f.greeted(ours) })
			if !f.greeted(nobodys) {
				t.Error("it refuses another one")
			}
			n.send(&ipc.BanRemoved{Key: key})

			if !f.greeted(theirs, "USER alice", "PASS wrong") {
				t.Fatal("it refuses whom nobody has banned")
			}
			key, _ = hostBan(theirs)
			var found *ban.Ban
			eventually(t, "its ban", func() bool {
				n.send(&ipc.BanAsk{Key: key})
				n.alive()
				n.mu.Lock()
				defer n.mu.Unlock()
				for _, b := range each[ipc.BanFound](n) {
					if b.Key != key {
						continue
					}
					var err error
					if found, err = ban.FromShare(b.Value, time.Now(), time.Hour, 32, 64); err != nil {
						t.Fatalf("%q: %v", b.Value, err)
					}
				}
				return found != nil
			})
			if got := found.Key.String(); got != theirs {
				t.Errorf("it banned %s", got)
			}
		})
	}
}
