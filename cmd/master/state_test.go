package main

import (
	"bytes"
	"encoding/gob"
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

func drawAddrPort(t *rapid.T, label string) netip.AddrPort {
	port := rapid.Uint16().Draw(t, label+" port")
	if rapid.Bool().Draw(t, label+" is IPv4") {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, label))), port)
	}
	a := netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label)))
	return netip.AddrPortFrom(a.Unmap(), port)
}

// drawText draws bytes, as names and paths of file systems are.
func drawText(t *rapid.T, label string) string {
	return string(rapid.SliceOf(rapid.Byte()).Draw(t, label))
}

func drawChild(t *rapid.T) savedChild {
	return savedChild{
		Name: rapid.SampledFrom([]string{"session", "files", "authd", "pam"}).Draw(t, "name"),
		PID:  rapid.IntRange(2, 1<<22).Draw(t, "pid"), FD: rapid.IntRange(3, 20000).Draw(t, "pidfd"),
		KillAt: rapid.Int64Range(0, 1<<60).Draw(t, "kill at"),
	}
}

func drawClient(t *rapid.T, settings int) savedClient {
	c := savedClient{
		ID: rapid.Uint64().Draw(t, "id"), FD: rapid.IntRange(3, 20000).Draw(t, "fd"),
		Peer: drawAddrPort(t, "peer"), Local: drawAddrPort(t, "local"), Label: "ftp", Protocol: "ftp",
		Host: drawText(t, "host"), Class: drawText(t, "class"),
		Settings: rapid.IntRange(0, settings-1).Draw(t, "settings"), Accepted: rapid.Int64().Draw(t, "accepted"),
		Failed: rapid.Uint32().Draw(t, "failed"), Waiting: rapid.Bool().Draw(t, "waiting"),
	}
	if rapid.Bool().Draw(t, "has a session") {
		c.Bound, c.Via, c.TLS, c.Proxied, c.Headed = drawAddrPort(t, "bound"), drawAddrPort(t, "via"), true, true, rapid.Bool().Draw(t, "headed")
		c.SNI, c.Cert, c.Patience = drawText(t, "sni"), drawText(t, "cert"), rapid.Uint32().Draw(t, "patience")
		x := &savedSession{
			Rehosting: rapid.Bool().Draw(t, "rehosting"), Selections: 3, Anonymous: rapid.Uint32().Draw(t, "anonymous"),
			Email: drawText(t, "email"), Named: drawText(t, "named"), Transfer: "RETR", Connected: 9, Lifetime: 8,
			Child: drawChild(t), Lane: 4, Notice: 5, Page: 6, Open: rapid.Bool().Draw(t, "open"), Ending: rapid.Bool().Draw(t, "ending"),
			Reason: drawText(t, "reason"), User: drawText(t, "user"), UID: rapid.Uint32().Draw(t, "uid"),
			Since: rapid.Int64().Draw(t, "since"), Authd: rapid.Int().Draw(t, "authd"), AuthEnd: -1,
			Data: savedData{Seq: rapid.Uint32().Draw(t, "seq"), Listener: -1, Ahead: rapid.Bool().Draw(t, "ahead"), Extended: rapid.Bool().Draw(t, "extended"), Again: rapid.Bool().Draw(t, "again"), Dialing: 9, Target: drawAddrPort(t, "target"), ExpireAt: 12},
		}
		if rapid.Bool().Draw(t, "logs in") {
			x.Place = &place{Host: "h", Anonymous: "ftp", User: drawText(t, "place of"), Class: "c"}
			if rapid.Bool().Draw(t, "counts by address") {
				x.Place.Addr = drawAddrPort(t, "place at").Addr()
			}
			x.Login = &savedLogin{Report: ipc.LoginReport{Session: c.ID, User: "u", UID: 7, Groups: []uint32{1, 2}}, Root: "/r", Answered: true}
			x.Files = &savedFiles{Child: drawChild(t), FD: 7, Lane: 8, Home: drawText(t, "home"), Ready: true}
			x.Pam = []savedChild{drawChild(t)}
		}
		c.Session = x
	}
	return c
}

// TestStateSurvivesTheMemory: what one image writes is what the next reads,
// through a real sealed memfd.
func TestStateSurvivesTheMemory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &state{
			Version: stateVersion, Dialogues: dialogueVersions(), NextID: rapid.Uint64().Draw(t, "next id"),
			Started: rapid.Int64().Draw(t, "started"), Upgrades: 3, Number: rapid.Uint32().Draw(t, "generation"), Control: 11,
			Policy:    &policy.Policy{File: "/f", Global: policy.Global{Instance: "i"}, Hosts: []policy.Host{{Name: "default"}}},
			Settings:  []policy.Settings{{TimeoutIdle: 1}, {Roots: []policy.Root{{Path: "~", Selector: policy.Selector{Match: "any"}}}}},
			Listeners: []savedListener{{Label: "ftp", FD: 3, Asked: drawAddrPort(t, "asked"), Address: drawAddrPort(t, "address")}},
			Inherited: []savedListener{{Label: "ftps", FD: 4, Address: drawAddrPort(t, "inherited"), Inherited: true}},
			Authds:    []savedAuthd{{Child: drawChild(t), FD: 20, Serving: true}},
			Strays:    []savedChild{drawChild(t)},
		}
		for range rapid.IntRange(0, 20).Draw(t, "connections") {
			s.Clients = append(s.Clients, drawClient(t, len(s.Settings)))
		}
		fd, err := writeState(s)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := unix.Pwrite(fd, []byte("x"), 0); err == nil {
			t.Fatalf("the state could be changed: %d bytes", n)
		}
		got, err := readState(fd)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Fatalf("the state changed on its way (-written +read):\n%s", d)
		}
	})
}

// TestStateNamesEveryDescriptor: a descriptor that is not listed would be lost
// at the execution.
func TestStateNamesEveryDescriptor(t *testing.T) {
	s := &state{
		Control:   10,
		Listeners: []savedListener{{FD: 11}, {FD: 12, Inherited: true}},
		Inherited: []savedListener{{FD: 12}, {FD: 13}},
		Authds:    []savedAuthd{{Child: savedChild{FD: 14}, FD: 15}},
		Strays:    []savedChild{{FD: 16}},
		Clients: []savedClient{{FD: 17}, {FD: 18, Session: &savedSession{
			Child: savedChild{FD: 19}, Lane: 20, Notice: 21, Page: 22, AuthEnd: 23,
			Data:  savedData{Listener: 24, Dialing: -1},
			Files: &savedFiles{Child: savedChild{FD: 25}, FD: 26, Lane: -1},
			Pam:   []savedChild{{FD: 27}},
		}}},
	}
	seen := map[int]int{}
	for _, fd := range s.descriptors() {
		seen[fd]++
	}
	for fd := 10; fd <= 27; fd++ {
		if seen[fd] != 1 {
			t.Errorf("descriptor %d is listed %d times", fd, seen[fd])
		}
		delete(seen, fd)
	}
	if len(seen) > 0 {
		t.Errorf("listed, but nobody's: %v", seen)
	}
}

func TestStateOfStrangersIsRefused(t *testing.T) {
	encode := func(s *state) []byte {
		var b bytes.Buffer
		if err := gob.NewEncoder(&b).Encode(s); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, b := range map[string][]byte{
		"empty":              nil,
		"not gob":            []byte("x"),
		"another version":    encode(&state{Version: 99}),
		"no version":         encode(&state{NextID: 1}),
		"settings not there": encode(&state{Version: stateVersion, Clients: []savedClient{{ID: 1}}}),
		"settings below":     encode(&state{Version: stateVersion, Settings: []policy.Settings{{MinUID: 1}}, Clients: []savedClient{{Settings: -1}}}),
		"cut off":            encode(&state{Version: stateVersion, NextID: 7})[:20],
	} {
		if _, err := decodeState(b); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	f, err := os.CreateTemp(t.TempDir(), "state")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(encode(&state{Version: stateVersion})); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readState(fd); err == nil {
		t.Error("a file was taken for sealed memory")
	}
}
