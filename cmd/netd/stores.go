package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// maxStores bounds how many stores a configuration may have.
const maxStores = 4

// stores are those of the view in force.
type stores struct {
	node string
	pace storePace
	said chan any // to master
	meter

	mu      sync.Mutex
	open    map[policy.BanShare]*opened
	counter policy.BanShare // the first that counts
	work    sync.WaitGroup
}

type opened struct {
	*store
	stop context.CancelFunc
}

func newStores() stores {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return stores{node: hex.EncodeToString(id[:]), pace: defaultStorePace, said: make(chan any), open: map[policy.BanShare]*opened{}}
}

// configure opens and closes stores.
func (s *stores) configure(wanted []policy.BanShare) (errs []string) {
	if len(wanted) > maxStores {
		errs = append(errs, fmt.Sprintf("%d stores, %d are used", len(wanted), maxStores))
		wanted = wanted[:maxStores]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	keep := map[policy.BanShare]bool{}
	s.counter = policy.BanShare{}
	for _, w := range wanted {
		if w.Driver != "redis" && w.Driver != "memcache" {
			errs = append(errs, fmt.Sprintf("store %s: driver %q is unknown", w.Address, w.Driver))
			continue
		}
		keep[w] = true
		if w.Driver == "redis" && w.Counters && s.counter.Driver == "" {
			s.counter = w
		}
	}
	for share, o := range s.open {
		if !keep[share] {
			o.stop()
			delete(s.open, share)
		}
	}
	for share := range keep {
		if s.open[share] != nil {
			continue
		}
		ctx, stop := context.WithCancel(context.Background())
		o := &opened{&store{share: share, node: s.node, pace: s.pace, tell: s.tell, backlog: newBacklog()}, stop}
		s.open[share] = o
		s.work.Go(func() { o.run(ctx) })
	}
	return errs
}

// end closes all.
func (s *stores) end() {
	s.configure(nil)
	s.work.Wait()
}

// tell hands master news, no faster than it has to take them.
func (s *stores) tell(ctx context.Context, news any) bool {
	if d := s.delay(time.Now()); d > 0 && !sleep(ctx, d) {
		return false
	}
	select {
	case s.said <- news:
		return true
	case <-ctx.Done():
		return false
	}
}

// take gives an order to the stores that it is for. False: it is none of theirs.
func (s *stores) take(order any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch o := order.(type) {
	case *ipc.BanStored:
		if len(o.Value) == 0 {
			return true // of no ban
		}
		change := op{key: o.Key, value: o.Value}
		if o.Seconds > 0 {
			change.until = now.Add(time.Duration(o.Seconds) * time.Second)
		}
		for _, st := range s.open {
			st.put(change)
		}
	case *ipc.BanRemoved:
		for _, st := range s.open {
			st.put(op{key: o.Key})
		}
	case *ipc.BanAsk:
		for _, st := range s.open {
			st.ask(o.Key)
		}
	case *ipc.EventCount:
		if st := s.open[s.counter]; st != nil {
			st.count(*o)
		}
	default:
		return false
	}
	return true
}
