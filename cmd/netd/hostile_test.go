package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

func base64Of(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// hostile is a server that answers whatever it is asked with the bytes of a
// reader, until the caller has had enough.
func hostile(t *testing.T, says func() io.Reader) (addr string, calls *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	calls = new(atomic.Int32)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, says())
			}()
		}
	}()
	return l.Addr().String(), calls
}

// endless repeats a text.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.text[e.at]
		e.at = (e.at + 1) % len(e.text)
	}
	return len(p), nil
}

func after(head, repeated string) func() io.Reader {
	return func() io.Reader { return io.MultiReader(strings.NewReader(head), &endless{text: repeated}) }
}

// TestHostileStores: a server that sends whatever it likes brings about that it
// counts as down, and costs neither memory nor master's time.
func TestHostileStores(t *testing.T) {
	head := func(code byte, body uint32) string {
		h := make([]byte, memcacheHead)
		h[0], h[1] = memcacheAnswer, code
		binary.BigEndian.PutUint32(h[8:], body)
		return string(h)
	}
	p := quickPace
	p.timeout = 300 * time.Millisecond
	for name, c := range map[string]struct {
		driver string
		says   func() io.Reader
	}{
		"an endless line":          {"redis", after("+", "x")},
		"a list of billions":       {"redis", after("*2000000000\r\n", ":1\r\n")},
		"lists in lists":           {"redis", after("", "*1\r\n")},
		"a string of gigabytes":    {"redis", after("$2000000000\r\n", "x")},
		"a negative length":        {"redis", after("$-2\r\n", "x")},
		"a string without an end":  {"redis", after("$4\r\n", "x")},
		"strings without number":   {"redis", after("*1000000\r\n", "$60000\r\n"+strings.Repeat("x", 60000)+"\r\n")},
		"another protocol":         {"redis", after("HTTP/1.1 400 Bad Request\r\n\r\n", "x")},
		"agreement to everything":  {"redis", after("", "+OK\r\n")},
		"nothing":                  {"redis", func() io.Reader { return strings.NewReader("") }},
		"an answer of gigabytes":   {"memcache", after(head(memcacheNoop, 1<<31), "x")},
		"a key longer than all":    {"memcache", after(string([]byte{memcacheAnswer, memcacheNoop, 0xff, 0xff}), "\x00")},
		"an answer to another one": {"memcache", after(head(memcacheGet, 0), "x")},
		"zeroes":                   {"memcache", after("", "\x00")},
		"text":                     {"memcache", after("ERROR\r\n", "x")},
		"the end":                  {"memcache", func() io.Reader { return strings.NewReader("") }},
	} {
		t.Run(name, func(t *testing.T) {
			addr, calls := hostile(t, c.says)
			n := startNode(t, p, policy.BanShare{Driver: c.driver, Address: addr, Prefix: "mod_ban."})
			if why := n.state(false); why == "" {
				t.Error("no reason")
			}
			first := calls.Load()
			eventually(t, "further attempts", func() bool { return calls.Load() > first+2 })
			n.alive()
			n.mu.Lock()
			for _, m := range n.said {
				switch m := m.(type) {
				case *ipc.BanFound, *ipc.BanGone, *ipc.EventCounted:
					t.Errorf("it was believed: %+v", m)
				case *ipc.StoreState:
					if m.Up {
						t.Error("it is up")
					}
				}
			}
			n.mu.Unlock()
			n.end()
			var mem runtime.MemStats
			runtime.ReadMemStats(&mem)
			if mem.Sys > 512<<20 {
				t.Errorf("%d MiB of memory", mem.Sys>>20)
			}
		})
	}
}

func TestRepliesOfRedis(t *testing.T) {
	for text, want := range map[string]string{
		"+OK\r\n": `"OK"`, "-ERR no\r\n": `error "ERR no"`, ":-7\r\n": `-7`, "$3\r\na\r\n\r\n": `"a\r\n"`, "$0\r\n\r\n": `""`, "$-1\r\n": `none`, "*-1\r\n": `none`,
		"*0\r\n": `[]`, "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n": `["0" ["k"]]`, "*3\r\n+a\r\n:1\r\n$-1\r\n": `["a" 1 none]`,
		"$70000\r\n" + strings.Repeat("x", 70000) + "\r\n": `cut`,
		"": "EOF", "+OK\n": errResp.Error(), "\r\n": errResp.Error(), ":x\r\n": errResp.Error(), ":\r\n": errResp.Error(), "?x\r\n": errResp.Error(), "$3\r\nabcde": errResp.Error(),
		"$3\r\nab": "unexpected EOF", "*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n": errResp.Error(), "$99999999999\r\n": errResp.Error(), "+" + strings.Repeat("x", respLine) + "\r\n": errResp.Error(),
	} {
		r, err := readReply(bufio.NewReaderSize(strings.NewReader(text), respLine))
		got := r.String()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.40q: %s, want %s", text, got, want)
		}
	}
}

// String is a reply as the tests write it.
func (r reply) String() string {
	switch {
	case r.none:
		return "none"
	case r.cut:
		return "cut"
	case r.kind == '-':
		return fmt.Sprintf("error %q", r.text)
	case r.kind == ':':
		return fmt.Sprint(r.n)
	case r.kind == '*':
		return fmt.Sprint(r.list)
	}
	return fmt.Sprintf("%q", r.text)
}

// FuzzReply: what a server sends is a reply or an error, and is bounded.
func FuzzReply(f *testing.F) {
	f.Add([]byte("*2\r\n$1\r\n0\r\n*2\r\n$9\r\nmod_ban.{\r\n$-1\r\n"))
	f.Add([]byte("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n{}\r\n"))
	f.Add([]byte("-WRONGPASS no\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := readReply(bufio.NewReaderSize(bytes.NewReader(b), respLine))
		if err == nil && weight(&r) > 2*len(b)+1 {
			t.Errorf("%d of %d bytes", weight(&r), len(b))
		}
	})
}

func weight(r *reply) int {
	n := len(r.text)
	for i := range r.list {
		n += weight(&r.list[i])
	}
	return n
}

// FuzzMemcached: likewise.
func FuzzMemcached(f *testing.F) {
	f.Add([]byte("\x81\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00v"))
	f.Add([]byte("\x81\x0a\x00\x00\x00\x00\x00\x01\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00Not found"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := readMemcached(bufio.NewReader(bytes.NewReader(b)))
		if err == nil && (len(m.value) > maxValue || len(m.value) > len(b)) {
			t.Errorf("%d of %d bytes", len(m.value), len(b))
		}
	})
}

// FuzzHeard: what is published is a change of a ban or nothing.
func FuzzHeard(f *testing.F) {
	f.Add(`{"op":"ban","key":"{}","value":"v","node":"x"}`)
	f.Add(`{"op":"permit","key":"{}\u0000","node":"x"}`)
	f.Fuzz(func(t *testing.T, text string) {
		s := &store{node: "me", backlog: newBacklog(), tell: nil}
		r := &redisLife{store: s, told: map[string]uint64{}}
		said := 0
		s.tell = func(_ context.Context, news any) bool {
			said++
			if _, err := ipc.MasterNetd.Encode(news); err != nil {
				t.Errorf("%+v cannot be sent: %v", news, err)
			}
			return true
		}
		r.heard(t.Context(), text)
		if said > 1 {
			t.Errorf("%d messages", said)
		}
	})
}
