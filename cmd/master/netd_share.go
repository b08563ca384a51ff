package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
)

// netdTells is what netd may report of its stores within ten seconds: twice what
// it allows itself.
const netdTells = 400_000

// netdBurst bounds what a netd may send at a time.
func netdBurst(share []policy.BanShare) int {
	if len(share) == 0 {
		return 4 * netdNames
	}
	return 4*netdNames + netdTells
}

// covers tells whether a sandbox with the ports lets all of the others be called.
func covers(ports, wanted []uint16) bool {
	return !slices.ContainsFunc(wanted, func(p uint16) bool { return !slices.Contains(ports, p) })
}

// maxSecret bounds a store's password, in bytes.
const maxSecret = 512

// netdSecrets puts the stores' passwords into the view that is about to be sent.
// A store whose password cannot be had is left out: without it it would only
// count as one who tries.
func (m *master) netdSecrets(v *policy.Netd) {
	m.netd.secrets = nil
	kept := v.Share[:0]
	for _, s := range v.Share {
		if s.Secret != "" {
			var err error
			if s.Password, err = readSecret(s.Secret); err != nil {
				text := fmt.Sprintf("store %s: password file %q: %v; it is not used", s.Address, s.Secret, err)
				m.netd.secrets = append(m.netd.secrets, text)
				m.log.Error("shared bans", "error", text)
				continue
			}
		}
		kept = append(kept, s)
	}
	v.Share = kept
}

// readSecret reads a password: one line of a file that only its owner, who is
// root or us, can read or change.
func readSecret(path string) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", err
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return "", fmt.Errorf("not a regular file")
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return "", fmt.Errorf("owned by uid %d", st.Uid)
	case st.Mode&0o077 != 0:
		return "", fmt.Errorf("mode %#o: others than its owner may use it", st.Mode&0o7777)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+2))
	if err != nil {
		return "", err
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	text := strings.TrimSuffix(string(line), "\r")
	switch {
	case text == "":
		return "", fmt.Errorf("empty")
	case len(text) > maxSecret:
		return "", fmt.Errorf("longer than %d bytes", maxSecret)
	}
	return text, nil
}

// netdBulk sends netd as much as next yields, until that is nil, at the pace at
// which netd reads: a list of bans is longer than the queue. next says what holds
// when it is called; single changes go past it. False: there is no netd.
func (m *master) netdBulk(next func() any) bool {
	n := m.netd.now
	if n == nil || n.exited || n.conn.FD() < 0 {
		return false
	}
	n.bulk = append(n.bulk, next)
	m.pumpNetd(n)
	return true
}

// bulkTurn is how much goes at a time, so that clients do not wait for it.
const bulkTurn = 64

// pumpNetd goes on with what netdBulk was given, while netd takes it.
func (m *master) pumpNetd(n *netd) {
	for range bulkTurn {
		if n.exited || n.conn.FD() < 0 || n.q.Waiting() || len(n.bulk) == 0 {
			break
		}
		body := n.bulk[0]()
		if body == nil {
			n.bulk = slices.Delete(n.bulk, 0, 1)
			continue
		}
		m.sendNetd(n, body)
	}
	if !n.exited && n.conn.FD() >= 0 {
		m.loop.mod(n.conn.FD(), n.events())
	}
}

// events is what to wait for on netd's channel.
func (n *netd) events() uint32 {
	if len(n.bulk) > 0 {
		return unix.EPOLLIN | unix.EPOLLOUT
	}
	return wants(n.q, unix.EPOLLIN)
}
