// Package keys holds the private keys of TLS hosts for authd: it reads and
// checks certificates, keys, OCSP responses, CAs and revocation lists, signs
// what a handshake needs and nothing else, and judges certificates of clients.
//
// Files are looked at again when they changed, at most once a second: a bad new
// one leaves the old one in force. docs/TLS.md states the rules.
package keys

import (
	"errors"
	"fmt"
	"time"

	"sallyport/internal/policy"
)

// Options is what a Set needs from its process.
type Options struct {
	Etc     string           // where the groups file is, "/etc"
	Say     func(string)     // what the administrator should hear
	Changed func()           // certificates in force have changed; may be nil
	Now     func() time.Time // nil: time.Now
}

// Set is the TLS hosts of one configuration. It belongs to one goroutine.
type Set struct {
	opt   Options
	hosts map[string]*Host
	slots map[policy.Certificate]*slot // hosts that name the same files share them
	order []*slot
	group []uint32 // that may read a key
}

// Host is the TLS identity of one host.
type Host struct {
	Name   string
	set    *Set
	slots  []*slot
	client *clients // nil: certificates of clients are not believed
}

// MaxOffer bounds the certificates and staples of one host together, in bytes,
// so that they fit into one message to a session.
const MaxOffer = 60000

// New compiles the TLS part of authd's view. A host that cannot be served as
// configured is an error; it then offers what of it is usable.
func New(view []policy.TLSHost, opt Options) (*Set, []error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Changed == nil {
		opt.Changed = func() {}
	}
	s := &Set{opt: opt, hosts: make(map[string]*Host, len(view)), slots: make(map[policy.Certificate]*slot)}
	s.group = keyGroups(opt.Etc)
	var errs []error
	for i := range view {
		if err := s.add(&view[i]); err != nil {
			errs = append(errs, err...)
		}
	}
	return s, errs
}

func (s *Set) add(v *policy.TLSHost) (errs []error) {
	h := &Host{Name: v.Name, set: s}
	s.hosts[v.Name] = h
	if !v.Engine {
		return nil
	}
	fail := func(err error) { errs = append(errs, fmt.Errorf("tls of host %s: %w", v.Name, err)) }
	list := v.Certificates
	if len(list) == 0 && v.SelfSigned != "" {
		list = []policy.Certificate{{File: v.SelfSigned, Key: v.SelfSigned}}
	}
	for _, c := range list {
		if c.Key == "" {
			c.Key = c.File
		}
		sl := s.slots[c]
		if sl == nil {
			sl = &slot{c: c}
			s.slots[c] = sl
			s.order = append(s.order, sl)
			sl.load(s)
		}
		if sl.pair == nil {
			fail(errors.New(sl.said))
			continue
		}
		h.slots = append(h.slots, sl)
	}
	if len(h.slots) > maxPairs {
		fail(fmt.Errorf("%d certificates, at most %d are allowed", len(h.slots), maxPairs))
		h.slots = h.slots[:maxPairs]
	}
	if n := h.bytes(); n > MaxOffer {
		fail(fmt.Errorf("certificates and OCSP responses are %d bytes together, at most %d fit: leave roots out of the chains", n, MaxOffer))
		h.slots = nil
	}
	if v.Client.Verify == "request" || v.Client.Verify == "require" {
		c, err := newClients(&v.Client, s)
		if err != nil {
			fail(err)
		}
		h.client = c
	}
	return errs
}

// maxPairs bounds the certificates of one host, as TLSOffer does.
const maxPairs = 8

func (h *Host) bytes() (n int) {
	for _, sl := range h.slots {
		n += len(sl.pair.Chain) + len(sl.pair.staple)
	}
	return n
}

// Host returns a host of the view by its name, nil where there is none. Without
// a Set there is none.
func (s *Set) Host(name string) *Host {
	if s == nil {
		return nil
	}
	return s.hosts[name]
}

// Offer returns the host's certificates in their order, after a look at the
// files. None: the host has no TLS.
func (h *Host) Offer() []*Pair {
	if h == nil {
		return nil
	}
	now := h.set.opt.Now()
	room := MaxOffer
	var out []*Pair
	for _, sl := range h.slots {
		sl.refresh(h.set, now)
		if room -= len(sl.pair.Chain) + len(sl.pair.Staple(now)); room < 0 {
			break // files have grown since the configuration was read
		}
		out = append(out, sl.pair)
	}
	return out
}

// Refresh looks at every file, for certificates that nobody asks for.
func (s *Set) Refresh() {
	if s == nil {
		return
	}
	now := s.opt.Now()
	for _, sl := range s.order {
		sl.refresh(s, now)
	}
	for _, h := range s.hosts {
		if h.client != nil {
			h.client.refresh(s, now)
		}
	}
}

// Info is what may be told of a certificate.
type Info struct {
	File     string
	Subject  string
	NotAfter time.Time
	Self     bool // self-signed
}

// Certificates lists the certificates in force.
func (s *Set) Certificates() []Info {
	if s == nil {
		return nil
	}
	var out []Info
	for _, sl := range s.order {
		if p := sl.pair; p != nil {
			out = append(out, Info{sl.c.File, p.Subject, p.leaf.NotAfter, p.self})
		}
	}
	return out
}
