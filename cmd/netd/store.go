package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// Bounds of what is taken from a store.
const (
	maxKey   = 512
	maxValue = 4 << 10
	maxFound = 100_000 // of one listing
)

// storePace is how patient a store is.
type storePace struct {
	first, last time.Duration // between attempts
	timeout     time.Duration // of one exchange
	ping        time.Duration
	list        time.Duration // from one listing to the next
}

var defaultStorePace = storePace{first: 200 * time.Millisecond, last: 5 * time.Second, timeout: 5 * time.Second, ping: 10 * time.Second, list: time.Minute}

// store is a server that daemons share their bans by. Its goroutine is the only
// one that waits for the server; master's orders wait in the backlog.
type store struct {
	share policy.BanShare
	node  string // of this process: what it says it does not believe itself
	pace  storePace
	tell  func(ctx context.Context, news any) bool // master; false: ctx is over
	seq   atomic.Uint64                            // of events that are counted
	*backlog
}

// run keeps a connection until ctx is over. One connection's life, from the call
// to the error that ends it, calls a function when the store can be used.
func (s *store) run(ctx context.Context) {
	life := s.memcache
	if s.share.Driver == "redis" {
		life = s.redis
	}
	wait, said := s.pace.first, ""
	for {
		var since time.Time
		err := life(ctx, func() {
			since, said = time.Now(), ""
			s.tell(ctx, s.state(true, ""))
		})
		if ctx.Err() != nil {
			return
		}
		s.takeAsked() // nobody waits for an answer that late
		if text := reason(err); text != said {
			said = text
			s.tell(ctx, s.state(false, text))
		}
		if !since.IsZero() && time.Since(since) > s.pace.last {
			wait = s.pace.first
		}
		if !sleep(ctx, wait/2+rand.N(wait)) {
			return
		}
		wait = min(2*wait, s.pace.last)
	}
}

func (s *store) state(up bool, why string) *ipc.StoreState {
	return &ipc.StoreState{Driver: s.share.Driver, Address: s.share.Address, Up: up, Error: why}
}

// dial calls the server. Landlock does not see Multipath TCP.
func (s *store) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: s.pace.timeout, Resolver: &net.Resolver{PreferGo: true}}
	d.SetMultipathTCP(false)
	return d.DialContext(ctx, "tcp", s.share.Address)
}

// found tells of a value that is short enough to be judged.
func (s *store) found(ctx context.Context, key string, value []byte) {
	s.tell(ctx, &ipc.BanFound{Key: key, Value: value})
}

// isKey tells whether a name can be a ban's: an object, as all daemons write it.
func isKey(key string) bool {
	return len(key) <= maxKey && strings.HasPrefix(key, "{") && utf8.ValidString(key)
}

// printable is a foreign text for a log line.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return '?'
		}
		return r
	}, text)
	for len(text) > 200 {
		_, n := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-n]
	}
	return text
}

// reason is an error without the ports of this end, which differ each time.
func reason(err error) string {
	if n, ok := errors.AsType[*net.OpError](err); ok {
		err = fmt.Errorf("%s: %w", n.Op, n.Err)
	}
	return printable(err.Error())
}

// sleep waits; false: ctx is over.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// meter bounds how often stores may speak: master ends a netd that floods it,
// and a stranger who can write to a store shall not bring that about.
type meter struct {
	mu    sync.Mutex
	left  float64
	since time.Time
}

// What master is told at most. It allows twice as much: see cmd/master.
const (
	tellBurst = maxFound
	tellRate  = 10_000 // a second
)

// delay takes one out and says how long to wait before it may be used.
func (m *meter) delay(now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.since.IsZero() {
		m.left, m.since = tellBurst, now
	}
	m.left = min(tellBurst, m.left+now.Sub(m.since).Seconds()*tellRate)
	m.since = now
	m.left--
	if m.left >= 0 {
		return 0
	}
	return time.Duration(-m.left / tellRate * float64(time.Second))
}
