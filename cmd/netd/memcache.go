package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// The binary protocol of memcached: the keys that daemons share end in a NUL,
// which the text protocol has no way to say.

const (
	memcacheHead    = 24
	memcacheKey     = 250
	memcacheBody    = 2 << 20           // of an answer; a server's items are smaller
	memcacheLongest = 30 * 24 * 60 * 60 // seconds; a larger number is a moment
	memcacheGet     = 0x00
	memcacheSet     = 0x01
	memcacheDelete  = 0x04
	memcacheNoop    = 0x0a
	memcacheAsked   = 0x80
	memcacheAnswer  = 0x81
	memcacheNone    = 0x01 // status: no such key
)

// errMemcache means that the other end does not speak the protocol as it should.
var errMemcache = errors.New("not the binary protocol of memcached")

// appendMemcache adds a request. The opaque number comes back with the answer.
func appendMemcache(b []byte, code byte, opaque uint32, extras []byte, key string, value []byte) []byte {
	b = append(b, memcacheAsked, code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	b = append(b, byte(len(extras)), 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(extras)+len(key)+len(value)))
	b = binary.BigEndian.AppendUint32(b, opaque)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	return append(append(append(b, extras...), key...), value...)
}

// memcached is an answer of a server.
type memcached struct {
	code   byte
	status uint16
	opaque uint32
	value  []byte // nil where it is too long
}

// readMemcached reads one answer.
func readMemcached(r *bufio.Reader) (m memcached, err error) {
	var h [memcacheHead]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return m, err
	}
	m.code, m.status, m.opaque = h[1], binary.BigEndian.Uint16(h[6:]), binary.BigEndian.Uint32(h[12:])
	body := int64(binary.BigEndian.Uint32(h[8:]))
	skip := int64(h[4]) + int64(binary.BigEndian.Uint16(h[2:])) // extras, key
	if h[0] != memcacheAnswer || body > memcacheBody || skip > body {
		return m, errMemcache
	}
	if n := body - skip; n > maxValue {
		skip = body
	} else {
		m.value = make([]byte, n)
	}
	if _, err := r.Discard(int(skip)); err != nil {
		return m, err
	}
	_, err = io.ReadFull(r, m.value)
	return m, err
}

// memcacheLife is one connection's to a memcached server.
type memcacheLife struct {
	*store
	c net.Conn
	r *bufio.Reader
}

// memcache is the life of a connection. There is nothing to list and nothing to
// listen to: master asks.
func (s *store) memcache(ctx context.Context, up func()) error {
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	m := &memcacheLife{store: s, c: c, r: bufio.NewReader(c)}
	if err := m.ping(); err != nil {
		return err
	}
	m.takeLost() // master sends all anew
	up()
	ping := time.NewTicker(s.pace.ping)
	defer ping.Stop()
	for {
		more, err := m.send(ctx)
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case more:
			continue
		case m.takeLost():
			return errors.New("more bans at a time than it takes: all are sent anew")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-m.wake:
		case <-ping.C:
			if err := m.ping(); err != nil {
				return err
			}
		}
	}
}

func (m *memcacheLife) ping() error {
	return m.exchange(appendMemcache(nil, memcacheNoop, 0, nil, "", nil), 1, func(a *memcached) error {
		if a.code != memcacheNoop || a.status != 0 {
			return errMemcache
		}
		return nil
	})
}

// exchange sends requests, numbered from 0, and gives each of the n answers to f.
func (m *memcacheLife) exchange(requests []byte, n int, f func(*memcached) error) error {
	if n == 0 {
		return nil
	}
	if err := m.c.SetDeadline(time.Now().Add(m.pace.timeout)); err != nil {
		return err
	}
	if _, err := m.c.Write(requests); err != nil {
		return err
	}
	for i := range n {
		a, err := readMemcached(m.r)
		switch {
		case err != nil:
			return err
		case a.opaque != uint32(i):
			return errMemcache
		}
		if err := f(&a); err != nil {
			return err
		}
	}
	return nil
}

// send sends what waits, as much as goes into one write. More: there is more.
func (m *memcacheLife) send(ctx context.Context) (more bool, err error) {
	asked, _ := m.takeAsked()
	if err := m.look(ctx, asked); err != nil {
		return false, fmt.Errorf("look up: %w", err)
	}
	batch := m.take(atATime)
	var b []byte
	n, now := 0, time.Now()
	for _, o := range batch {
		left, alive := o.seconds(now)
		key := m.share.Prefix + o.key
		switch {
		case !alive || len(key) > memcacheKey: // no room for it there
			continue
		case o.value == nil:
			b = appendMemcache(b, memcacheDelete, uint32(n), nil, key, nil)
		default:
			if left > memcacheLongest {
				left = min(o.until.Unix(), 1<<32-1)
			}
			extras := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(left)) // behind flags of 0
			b = appendMemcache(b, memcacheSet, uint32(n), extras, key, o.value)
		}
		n++
	}
	err = m.exchange(b, n, func(a *memcached) error {
		if a.status == 0 || a.code == memcacheDelete && a.status == memcacheNone {
			return nil
		}
		return m.status(a)
	})
	if err != nil {
		m.back(batch)
		return false, fmt.Errorf("store: %w", err)
	}
	return len(batch) == atATime, nil
}

// look asks for keys and tells of those that are there.
func (m *memcacheLife) look(ctx context.Context, keys []string) error {
	var b []byte
	var sent []string
	for _, k := range keys {
		if key := m.share.Prefix + k; len(key) <= memcacheKey {
			b = appendMemcache(b, memcacheGet, uint32(len(sent)), nil, key, nil)
			sent = append(sent, k)
		}
	}
	return m.exchange(b, len(sent), func(a *memcached) error {
		switch {
		case a.status == memcacheNone:
		case a.status != 0:
			return m.status(a)
		case len(a.value) > 0:
			m.found(ctx, sent[a.opaque], a.value)
		}
		return nil
	})
}

// status is an answer's error, with the server's text.
func (m *memcacheLife) status(a *memcached) error {
	return fmt.Errorf("status %#x: %s", a.status, printable(string(a.value)))
}
