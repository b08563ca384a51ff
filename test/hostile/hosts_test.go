package hostile

import (
	"encoding/hex"
	"fmt"
	"testing"

	"sallyport/ipc"
)

// raw is the puppet's line that sends a message on the lane.
func raw(t *testing.T, body any, times int) string {
	t.Helper()
	b, err := ipc.SessionLane.Encode(body)
	must(t, err)
	return fmt.Sprintf("RAW lane %s %d", hex.EncodeToString(b), times)
}

// TestAHijackedSessionCannotChooseWhoItIs: hosts before the login only, a PROXY
// header once and only where master asked for it, and no flood of them, nor of
// transfers, reaches anybody else.
func TestAHijackedSessionCannotChooseWhoItIs(t *testing.T) {
	needRoot(t)
	r := newRealm(t, "")
	bystander := r.client(t)
	if got, _ := bystander.do("LOGIN bob builder"); got != "ok" {
		t.Fatalf("the bystander's login: %s\n%s", got, r.log.String())
	}
	host := raw(t, &ipc.SelectHost{Name: "other.example.org", By: ipc.ByHOST}, 1)
	header := raw(t, &ipc.ProxyHeader{Peer: "127.0.0.9:4000", To: "127.0.0.1:21"}, 1)
	local := raw(t, &ipc.ProxyHeader{Local: true}, 1)
	answer := "WAIT lane"
	login := "LOGIN bob builder"
	for _, c := range []struct {
		name    string
		proxied bool
		lines   []string // the last one ends the session
	}{
		{"a host after the login", false, []string{login, host}},
		{"a host after a host and the login", false, []string{host, answer, login, host}},
		{"hosts at once", false, []string{raw(t, &ipc.SelectHost{Name: "other.example.org", By: ipc.ByHOST}, 32)}}, // one may be answered before the next comes, not each
		{"a PROXY header on an ordinary listener", false, []string{header}},
		{"a second PROXY header", true, []string{header, answer, header}},
		{"a PROXY header after a LOCAL one", true, []string{local, answer, header}},
		{"a PROXY header after the login", true, []string{header, answer, login, header}},
		{"a host before the PROXY header", true, []string{host}},
		{"a PROXY header with a name", true, []string{raw(t, &ipc.ProxyHeader{Peer: "localhost:1", To: "127.0.0.1:21"}, 1)}},
		{"a flood of transfers", false, []string{login, "FLOOD lane BeginTransfer 20000"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := r.addr
			if c.proxied {
				addr = r.proxied
			}
			p := r.clientAt(t, addr)
			for i, line := range c.lines {
				got, ended := p.do(line)
				switch last := i == len(c.lines)-1; {
				case last && !ended && !p.gone():
					t.Errorf("%s: the session lives on", line)
				case last:
				case ended || line == answer && got != "HostSelected" || line != answer && got != "ok":
					t.Fatalf("%s: %q, ended %v", line, got, ended)
				}
			}
		})
	}
	t.Run("hosts without end", func(t *testing.T) {
		p := r.client(t)
		for range 40 { // refused from the 33rd on, and answered all the same
			if got, _ := p.do(host); got != "ok" {
				t.Fatalf("asking: %s", got)
			}
			if got, _ := p.do(answer); got != "HostSelected" {
				t.Fatalf("answered: %s", got)
			}
		}
		if got, _ := p.do(login); got != "ok" {
			t.Errorf("a login afterwards: %s", got)
		}
	})
	if got, ended := bystander.do("STATE"); ended {
		t.Errorf("the bystander has gone: %s", got)
	}
}
