package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/ipc/blob"
)

// book is a resolver whose answers a test writes.
type book struct {
	mu      sync.Mutex
	answers map[string][]netip.Addr
	asked   map[string]int
	stuck   chan struct{} // "stuck" waits for it, or for its context
	now, at int           // look-ups at a time, and the most there were
}

func newBook() *book {
	return &book{answers: map[string][]netip.Addr{}, asked: map[string]int{}, stuck: make(chan struct{})}
}

func (b *book) set(name string, list ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers[name] = nil
	for _, a := range list {
		b.answers[name] = append(b.answers[name], netip.MustParseAddr(a))
	}
}

func (b *book) count(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked[name]
}

func (b *book) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	b.mu.Lock()
	b.asked[host]++
	b.now++
	b.at = max(b.at, b.now)
	list, ok := slices.Clone(b.answers[host]), b.answers[host] != nil
	b.mu.Unlock()
	defer func() { b.mu.Lock(); b.now--; b.mu.Unlock() }()
	if host[0] == '!' {
		select {
		case <-b.stuck:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if !ok {
		return nil, errors.New("no such host")
	}
	slices.Reverse(list)
	return list, nil
}

// house is a running netd with master's end of its channel.
type house struct {
	t    *testing.T
	conn *ipc.Conn
	done chan error
}

func start(t *testing.T, r resolver, p pace) *house {
	t.Helper()
	ours, theirs, err := ipc.Pair()
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, conn: ipc.New(ours, ipc.MasterNetd, ipc.Master), done: make(chan error, 1)}
	if err := h.conn.SetTimeout(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	s := newServer(theirs, r, p)
	go func() { h.done <- s.run(); unix.Close(theirs) }()
	t.Cleanup(h.end)
	return h
}

// end closes the channel and holds that netd leaves in good order.
func (h *house) end() {
	if h.conn.FD() < 0 {
		return
	}
	unix.Shutdown(h.conn.FD(), unix.SHUT_RDWR)
	select {
	case err := <-h.done:
		if err != nil {
			h.t.Errorf("netd ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		h.t.Error("netd does not leave")
	}
	h.conn.Close()
}

func (h *house) configure(generation uint32, names ...string) *ipc.NetdReady {
	h.t.Helper()
	fd, err := blob.Seal("netd", &policy.Netd{Sandbox: "enforce", Names: names})
	if err != nil {
		h.t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := h.conn.Send(&ipc.NetdConfig{Generation: generation}, fd); err != nil {
		h.t.Fatal(err)
	}
	return until[ipc.NetdReady](h, func(r *ipc.NetdReady) bool { return r.Generation == generation })
}

// until reads on to the message that fits.
func until[T any](h *house, fits func(*T) bool) *T {
	h.t.Helper()
	for {
		m, err := h.conn.Recv()
		if err != nil {
			h.t.Fatal(err)
		}
		if b, ok := m.Body.(*T); ok && fits(b) {
			return b
		}
	}
}

func (h *house) resolved(name string, want ...string) {
	h.t.Helper()
	got := until[ipc.Resolved](h, func(r *ipc.Resolved) bool { return r.Name == name && slices.Equal(r.Addresses, want) })
	if (got.Error == "") != (len(want) > 0) {
		h.t.Errorf("%s: error %q with %d addresses", name, got.Error, len(want))
	}
}

var fast = pace{every: time.Millisecond, first: time.Millisecond, timeout: 20 * time.Second}

func TestNamesAreToldWheneverTheyChange(t *testing.T) {
	b := newBook()
	b.set("a.example.org", "192.0.2.2", "192.0.2.1", "2001:db8::1", "192.0.2.1", "::ffff:192.0.2.3", "224.0.0.1", "0.0.0.0")
	h := start(t, b, fast)
	h.configure(1, "a.example.org", "b.example.org")
	h.resolved("a.example.org", "192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1")
	b.set("b.example.org", "198.51.100.1")
	h.resolved("b.example.org", "198.51.100.1")
	b.set("a.example.org", "192.0.2.9")
	h.resolved("a.example.org", "192.0.2.9")
	b.set("a.example.org") // no address is no answer
	h.resolved("a.example.org")
}

// TestAnAnswerThatStaysIsToldOnce: the next message after many look-ups is the
// answer to a ping.
func TestAnAnswerThatStaysIsToldOnce(t *testing.T) {
	b := newBook()
	b.set("a.example.org", "192.0.2.1", "192.0.2.2")
	h := start(t, b, fast)
	h.configure(1, "a.example.org")
	h.resolved("a.example.org", "192.0.2.1", "192.0.2.2")
	for n := b.count("a.example.org") + 20; b.count("a.example.org") < n; time.Sleep(time.Millisecond) {
	}
	if err := h.conn.Send(&ipc.NetdPing{}); err != nil {
		t.Fatal(err)
	}
	m, err := h.conn.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := m.Body.(*ipc.NetdPong); !ok {
		t.Errorf("%#v", m.Body)
	}
}

func TestAReloadChangesTheNames(t *testing.T) {
	b := newBook()
	b.set("old.example.org", "192.0.2.1")
	b.set("new.example.org", "192.0.2.2")
	h := start(t, b, fast)
	h.configure(1, "old.example.org")
	h.resolved("old.example.org", "192.0.2.1")
	h.configure(2, "new.example.org")
	b.set("old.example.org", "192.0.2.77") // nobody asks any more
	b.set("new.example.org", "192.0.2.3")
	m := until[ipc.Resolved](h, func(r *ipc.Resolved) bool { return len(r.Addresses) == 1 && r.Addresses[0] != "192.0.2.2" })
	if d := cmp.Diff("new.example.org", m.Name); d != "" {
		t.Error(d)
	}
	b.set("other.example.org", "192.0.2.4")
	h.configure(3, "other.example.org")
	n := b.count("new.example.org")
	for b.count("other.example.org") < 20 {
		time.Sleep(time.Millisecond)
	}
	if got := b.count("new.example.org"); got > n+1 {
		t.Errorf("%d look-ups of a name that nobody wants", got-n)
	}
}

// TestASilentNameServerHoldsUpNothing: master is answered, other names are
// looked up, and no more than a few look-ups are under way.
func TestASilentNameServerHoldsUpNothing(t *testing.T) {
	b := newBook()
	names := []string{"good.example.org"}
	for i := range atOnce - 1 {
		names = append(names, fmt.Sprintf("!%d.example.org", i))
	}
	h := start(t, b, fast)
	h.configure(1, names...)
	b.set("good.example.org", "192.0.2.1")
	h.resolved("good.example.org", "192.0.2.1")
	if err := h.conn.Send(&ipc.NetdPing{}); err != nil {
		t.Fatal(err)
	}
	until[ipc.NetdPong](h, func(*ipc.NetdPong) bool { return true })
	for i := range 20 {
		names = append(names, fmt.Sprintf("!more%d.example.org", i))
	}
	h.configure(2, names...)
	h.end() // with look-ups under way
	if b.at > atOnce {
		t.Errorf("%d look-ups at a time", b.at)
	}
}

func TestViewsThatAreNone(t *testing.T) {
	h := start(t, newBook(), fast)
	fd, err := unix.MemfdCreate("netd", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte("nonsense")); err != nil {
		t.Fatal(err)
	}
	if err := h.conn.Send(&ipc.NetdConfig{Generation: 7}, fd); err != nil {
		t.Fatal(err)
	}
	if r := until[ipc.NetdReady](h, func(*ipc.NetdReady) bool { return true }); r.Generation != 7 || len(r.Errors) != 1 {
		t.Errorf("%+v", r)
	}
	var many []string
	for i := range maxNames + 5 {
		many = append(many, fmt.Sprintf("n%d.example.org", i))
	}
	if r := h.configure(8, many...); len(r.Errors) != 1 {
		t.Errorf("%d names: %+v", len(many), r)
	}
}

func TestManyAddressesAreCut(t *testing.T) {
	b := newBook()
	var list []string
	for i := range 200 {
		list = append(list, fmt.Sprintf("192.0.2.%d", i))
	}
	b.set("many.example.org", list...)
	h := start(t, b, fast)
	h.configure(1, "many.example.org")
	h.resolved("many.example.org", list[:maxAddresses]...)
}
