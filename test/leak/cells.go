package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// login is what one kind of connection tries.
type login struct{ user, password string }

// cell is one comparison: two kinds of logins against one server.
type cell struct {
	server   string // of world.servers
	protocol string // "ftp" "ftps" "ssh"
	pair     string
	a, b     login // the first is the one that is to be told from the second by being faster
	busy     bool  // one core has something else to do
	primed   bool  // after 1,000 failures of unknown names
	fixed    bool  // at the large size
	peer     bool
	count    []string // steps that belong to the twelve
}

func (c *cell) name() string {
	parts := []string{c.protocol, c.server, c.pair}
	if c.busy {
		parts = append(parts, "busy")
	}
	if c.primed {
		parts = append(parts, "primed")
	}
	return strings.Join(parts, " ")
}

func (c *cell) want(o *options) int {
	switch {
	case c.peer:
		return o.peers
	case c.fixed:
		return o.n
	}
	return o.pairs
}

// expected is a rough guess of how long the cell takes.
func (c *cell) expected(o *options) time.Duration {
	each := 90 * time.Millisecond
	if c.server == "pam" || c.peer {
		each = 250 * time.Millisecond
	}
	left := max(2*c.want(o)-len(o.read(c)), 0)
	return time.Duration(left) * each / time.Duration(o.attackers)
}

const password = "correct horse"

var (
	unknown = login{"*", "wrong password"} // a name of its own each time
	known   = login{"leak", "wrong password"}
)

// fixedCells are the twelve, written down before the first run: PASS and USER,
// ftp and ftps, yescrypt, bcrypt and PAM, idle and with one core busy.
func fixedCells() []cell {
	f := func(protocol, server string, busy bool, count ...string) cell {
		return cell{server: server, protocol: protocol, pair: "unknown-known", a: unknown, b: known, busy: busy, fixed: true, count: count}
	}
	return []cell{
		f("ftp", "yescrypt", false, "PASS", "USER"),
		f("ftp", "yescrypt", true, "PASS"),
		f("ftp", "bcrypt", false, "PASS"),
		f("ftp", "bcrypt", true, "PASS"),
		f("ftp", "pam", false, "PASS"),
		f("ftp", "pam", true, "PASS", "USER"),
		f("ftps", "yescrypt", false, "PASS"),
		f("ftps", "bcrypt", true, "PASS", "USER"),
		f("ftps", "pam", false, "PASS"),
	}
}

// cells lists all comparisons.
func (w *world) cells() []cell {
	list := fixedCells()
	for _, server := range []string{"yescrypt", "pam"} { // the table is filled by an attacker first
		list = append(list, cell{server: server, protocol: "ftp", pair: "unknown-known", a: unknown, b: known, primed: true, fixed: true})
	}
	pair := func(server, name string, a, b login) {
		list = append(list, cell{server: server, protocol: "ftp", pair: name, a: a, b: b})
	}
	right := func(user string) login { return login{user, password} }
	long := strings.Repeat("x", 2000)
	for _, server := range []string{"sha512", "argon2id"} {
		pair(server, "unknown-known", unknown, known)
	}
	pair("sha512", "unknown-locked", unknown, right("locked"))
	pair("sha512", "unknown-noshell", unknown, right("noshell"))
	pair("sha512", "unknown-listed", unknown, right("listed"))
	pair("sha512", "unknown-odd", unknown, login{"no such:name", "wrong password"})
	pair("sha512", "unknown-long", login{"*", long}, login{"leak", long})
	pair("sha512", "wrong-nohome", known, right("nohome"))
	pair("sha512", "wrong-noroot", known, right("noroot"))
	pair("unix", "unknown-known", unknown, known)
	pair("unix", "unknown-expired", unknown, right("expired"))
	pair("unix", "unknown-root", unknown, right("root"))
	pair("banned", "unknown-banned", unknown, right("banned"))
	pair("class", "wrong-denied", known, right("leak"))
	pair("last", "unknown-known", unknown, known)
	pair("events", "unknown-known", unknown, known)
	pair("mixed", "unknown-known", unknown, known)
	for _, p := range []struct{ server, protocol string }{
		{"proftpd", "ftp"}, {"proftpd-off", "ftp"}, {"vsftpd", "ftp"}, {"pure-ftpd", "ftp"}, {"sshd", "ssh"},
	} {
		list = append(list, cell{server: p.server, protocol: p.protocol, pair: "unknown-known", a: unknown, b: known, peer: true})
	}
	list = append(list, cell{server: "proftpd", protocol: "ftp", pair: "unknown-known", a: unknown, b: known, peer: true, primed: true})
	return list
}

// measurement is one connection: its kind and the times of its answers in
// nanoseconds.
type measurement struct {
	second     bool
	user, pass int64
}

const recordSize = 17

func (o *options) file(c *cell) string {
	return filepath.Join(o.out, strings.ReplaceAll(c.name(), " ", "_")+".bin")
}

// read returns what earlier runs have measured.
func (o *options) read(c *cell) (list []measurement) {
	b, err := os.ReadFile(o.file(c))
	if err != nil || o.fresh {
		return nil
	}
	for ; len(b) >= recordSize; b = b[recordSize:] {
		list = append(list, measurement{b[0] == 1, int64(binary.LittleEndian.Uint64(b[1:])), int64(binary.LittleEndian.Uint64(b[9:]))})
	}
	return list
}

// measure takes what is missing of n connections of either kind, in random
// order, and compares them.
func (w *world) measure(c *cell, n int) ([]result, error) {
	have := w.o.read(c)
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if w.o.fresh || len(have) == 0 {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(w.o.file(c), flags, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var todo []bool
	left := [2]int{n, n}
	for _, m := range have {
		left[index(m.second)]--
	}
	for k, l := range left {
		for range l {
			todo = append(todo, k == 1)
		}
	}
	rand.Shuffle(len(todo), func(i, j int) { todo[i], todo[j] = todo[j], todo[i] })
	if len(todo) > 0 {
		more, err := w.attack(c, todo, f)
		if have = append(have, more...); err != nil {
			return nil, err
		}
	}
	return c.compare(have, n), nil
}

func index(second bool) int {
	if second {
		return 1
	}
	return 0
}

func (c *cell) compare(have []measurement, n int) (rs []result) {
	h := fnv.New64a()
	h.Write([]byte(c.name()))
	for _, step := range []string{"PASS", "USER"} {
		var v [2][]float64
		for _, m := range have {
			t := m.pass
			if step == "USER" {
				t = m.user
			}
			if k := index(m.second); len(v[k]) < n && t > 0 {
				v[k] = append(v[k], float64(t)/1e6)
			}
		}
		if len(v[0]) == 0 || len(v[1]) == 0 {
			continue
		}
		r := analyse(v[0], v[1], h.Sum64())
		r.cell, r.step = c.name(), step
		for _, s := range c.count {
			r.counts = r.counts || s == step
		}
		rs = append(rs, r)
	}
	return rs
}

// attack makes the connections, several attackers at a time, and appends each
// measurement to the file.
func (w *world) attack(c *cell, todo []bool, f *os.File) (got []measurement, err error) {
	s, err := w.up(c.server)
	if err != nil {
		return nil, err
	}
	if c.busy {
		stop, err := busyCore()
		if err != nil {
			return nil, err
		}
		defer stop()
	}
	warm := 40 // connections whose times do not count
	if c.primed {
		warm = 1000
	}
	if err := w.prime(s, c, warm); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	next, failures := 0, 0
	var first error
	var wg sync.WaitGroup
	for range w.attackers(c) {
		wg.Go(func() {
			for {
				mu.Lock()
				if next == len(todo) || failures > 20 {
					mu.Unlock()
					return
				}
				second := todo[next]
				next++
				mu.Unlock()
				l := c.a
				if second {
					l = c.b
				}
				m, err := s.try(c.protocol, l)
				m.second = second
				mu.Lock()
				if err != nil {
					failures++
					first = errors.Join(first, err)
				} else {
					got = append(got, m)
					var b [recordSize]byte
					b[0] = byte(index(second))
					binary.LittleEndian.PutUint64(b[1:], uint64(m.user))
					binary.LittleEndian.PutUint64(b[9:], uint64(m.pass))
					_, _ = f.Write(b[:])
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if failures > 20 {
		return got, fmt.Errorf("too many connections fail: %w", first)
	}
	return got, nil
}

// attackers is how many connections of a cell are made at a time. A server that
// only sleeps before it answers is not slowed by more of them.
func (w *world) attackers(c *cell) int {
	if c.server == "pure-ftpd" {
		return 16
	}
	return w.o.attackers
}

// prime fails n times with unknown names.
func (w *world) prime(s *server, c *cell, n int) error {
	errs := make(chan error, w.o.attackers)
	for i := range w.o.attackers {
		go func() {
			var err error
			for j := i; j < n && err == nil; j += w.o.attackers {
				_, err = s.try(c.protocol, unknown)
			}
			errs <- err
		}()
	}
	var err error
	for range w.o.attackers {
		err = errors.Join(err, <-errs)
	}
	return err
}
