package main

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"sallyport/ipc"
)

// resolver is what netd wants of net.Resolver.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// pace is how often a name is asked for.
type pace struct {
	every   time.Duration
	first   time.Duration // to the next attempt after a failure, then twice as long each time
	timeout time.Duration // of one look-up
}

var defaultPace = pace{every: 5 * time.Minute, first: 5 * time.Second, timeout: 30 * time.Second}

// watch looks a name up again and again, and tells when the answer changes.
func (s *server) watch(ctx context.Context, name string) {
	var last ipc.Resolved
	told := false
	wait := s.pace.first
	for {
		now := s.look(ctx, name)
		if ctx.Err() != nil {
			return
		}
		if !told || !slices.Equal(now.Addresses, last.Addresses) || now.Error != last.Error {
			select {
			case s.news <- now:
			case <-ctx.Done():
				return
			}
			last, told = now, true
		}
		next := s.pace.every
		if now.Error == "" {
			wait = s.pace.first
		} else {
			next = min(wait, s.pace.every)
			wait = next * 2
		}
		t := time.NewTimer(next)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// look asks once.
func (s *server) look(ctx context.Context, name string) ipc.Resolved {
	r := ipc.Resolved{Name: name}
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	case <-ctx.Done():
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, s.pace.timeout)
	defer cancel()
	found, err := s.resolve.LookupNetIP(ctx, "ip", name)
	var list []netip.Addr
	for _, a := range found {
		if a = a.Unmap().WithZone(""); a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() {
			list = append(list, a)
		}
	}
	// In order, so that a name server that turns its answers changes nothing.
	slices.SortFunc(list, netip.Addr.Compare)
	list = slices.Compact(list)
	for _, a := range list[:min(len(list), maxAddresses)] {
		r.Addresses = append(r.Addresses, a.String())
	}
	switch {
	case err != nil:
		text := err.Error()
		r.Addresses, r.Error = nil, text[:min(len(text), 256)]
	case len(list) == 0:
		r.Error = "no address that could be used"
	}
	return r
}
