package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// server is netd. One goroutine reads from master, one watches each name, one
// serves each store, and run alone writes.
type server struct {
	in, out *ipc.Conn // two views of one descriptor, since a Conn is one goroutine's
	resolve resolver
	pace    pace
	busy    chan struct{} // names asked for at a time

	names   map[string]context.CancelFunc
	watches sync.WaitGroup
	news    chan ipc.Resolved

	first  *configuration // read before the sandbox stood
	stores stores
}

// Bounds of the work.
const (
	maxNames     = 256
	maxAddresses = 16 // of a name
	atOnce       = 4
)

func newServer(fd int, r resolver, p pace) *server {
	return &server{
		in: ipc.New(fd, ipc.MasterNetd, ipc.Netd), out: ipc.New(fd, ipc.MasterNetd, ipc.Netd),
		resolve: r, pace: p, busy: make(chan struct{}, atOnce), names: map[string]context.CancelFunc{}, news: make(chan ipc.Resolved),
		stores: newStores(),
	}
}

// meet reads the first view, which says whom netd may call: so its sandbox can
// be as narrow as that. Nothing else has been read by then.
func (s *server) meet() error {
	m, err := s.in.Recv()
	if err != nil {
		return peerGone(err)
	}
	defer m.Close()
	c, ok := m.Body.(*ipc.NetdConfig)
	if !ok {
		return errors.New("master: its first message is no view")
	}
	s.first = readView(c, m.FDs[0])
	return nil
}

func readView(c *ipc.NetdConfig, fd int) *configuration {
	o := &configuration{generation: c.Generation}
	o.err = ipc.ReadBlob(fd, &o.view)
	return o
}

// run serves until master is gone, which is the ordinary end.
func (s *server) run() error {
	orders := make(chan any)
	over := make(chan error, 1)
	done := make(chan struct{})
	go func() { over <- s.listen(orders, done) }()
	err := s.serve(orders, over)
	close(done)
	s.stores.end()
	for _, stop := range s.names {
		stop()
	}
	s.drain()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// drain waits for the watches, which may have news that nobody wants.
func (s *server) drain() {
	gone := make(chan struct{})
	go func() { s.watches.Wait(); close(gone) }()
	for {
		select {
		case <-s.news:
		case <-gone:
			return
		}
	}
}

// listen reads master's orders. A view is read at once: its descriptor is gone
// afterwards. What is for the stores goes to where it waits for them: master
// never waits for netd, whatever netd waits for.
func (s *server) listen(orders chan<- any, done <-chan struct{}) error {
	if s.first != nil {
		select {
		case orders <- s.first:
		case <-done:
			return nil
		}
	}
	for {
		m, err := s.in.Recv()
		if err != nil {
			return err
		}
		order := m.Body
		if c, ok := m.Body.(*ipc.NetdConfig); ok {
			order = readView(c, m.FDs[0])
		}
		m.Close()
		if s.stores.take(order) {
			continue
		}
		select {
		case orders <- order:
		case <-done:
			return nil
		}
	}
}

// configuration is a view as it arrived.
type configuration struct {
	generation uint32
	view       policy.Netd
	err        error
}

func (s *server) serve(orders <-chan any, over <-chan error) error {
	for {
		var err error
		select {
		case err = <-over:
		case o := <-orders:
			switch o := o.(type) {
			case *configuration:
				err = s.out.Send(s.configure(o))
			case *ipc.NetdPing:
				err = s.out.Send(&ipc.NetdPong{})
			}
		case n := <-s.news:
			if s.names[n.Name] != nil { // still asked for
				err = s.out.Send(&n)
			}
		case n := <-s.stores.said:
			err = s.out.Send(n)
		}
		if err != nil {
			return fmt.Errorf("master: %w", peerGone(err))
		}
	}
}

// peerGone makes one error of the ways in which master's end shows.
func peerGone(err error) error {
	if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
		return io.EOF
	}
	return err
}

// configure takes a view: names that are new are watched, others no more, and
// likewise with stores. Those that stay go on as they are. A view that cannot be
// read changes nothing.
func (s *server) configure(c *configuration) *ipc.NetdReady {
	reply := &ipc.NetdReady{Generation: c.generation}
	if c.err != nil {
		reply.Errors = []string{"view of netd: " + c.err.Error()}
		return reply
	}
	wanted := map[string]bool{}
	for _, n := range c.view.Names {
		if len(wanted) == maxNames {
			reply.Errors = []string{fmt.Sprintf("%d names, %d are looked up", len(c.view.Names), maxNames)}
			break
		}
		wanted[n] = true
	}
	for n, stop := range s.names {
		if !wanted[n] {
			stop()
			delete(s.names, n)
		}
	}
	for n := range wanted {
		if s.names[n] == nil {
			ctx, stop := context.WithCancel(context.Background())
			s.names[n] = stop
			s.watches.Go(func() { s.watch(ctx, n) })
		}
	}
	reply.Errors = append(reply.Errors, s.stores.configure(c.view.Share)...)
	return reply
}
