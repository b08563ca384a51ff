package ftp

import (
	"crypto/tls"
	"testing"
	"time"

	"sallyport/ipc"
)

// TestAuthdChannelAfterLogin: it stays as long as there may be something to
// sign, and no longer.
func TestAuthdChannelAfterLogin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reuse     string
		ccc, want bool
	}{{"require", false, false}, {"require", true, true}, {"prefer", false, true}, {"off", false, true}} {
		o, _ := withTLS()
		o.View.TLS.Reuse, o.View.TLS.CCC = c.reuse, c.ccc
		gone := make(chan struct{})
		o.Gone = func() { close(gone) }
		w := begin(t, o)
		w.privateLogin(tlsClient(tls.VersionTLS13))
		if c.want {
			select {
			case <-gone:
				t.Errorf("%+v: the channel to authd is closed", c)
			default:
			}
			continue
		}
		select {
		case <-gone:
		case <-time.After(patience):
			t.Errorf("%+v: the channel to authd stays", c)
		}
	}
}

// TestNewAuthdSigns: a session outlives the authd that saw it come.
func TestNewAuthdSigns(t *testing.T) {
	t.Parallel()
	o, v := withTLS()
	o.View.TLS.Reuse = "prefer"
	w := begin(t, o)
	w.privateLogin(tlsClient(tls.VersionTLS13))
	w.put("a", "hello")
	w.tell(ipc.NewAuth{}, w.authd().FD())
	v.mu.Lock()
	v.pairs = []pairOf{otherPair(), rsaPair()} // with other certificates
	v.mu.Unlock()
	if data, last := w.download(tlsClient(tls.VersionTLS13), "RETR a"); data != "hello" || last != "226 Transfer complete" {
		t.Errorf("%q, %s", data, last)
	}
}

// TestAuthdDiesInAHandshake: the next one is asked for its certificates before it
// is asked to sign, for it signs with no other.
func TestAuthdDiesInAHandshake(t *testing.T) {
	t.Parallel()
	for version, id := range versionsUnderTest {
		for _, when := range []string{"before the hello", "at the signature"} {
			o, v := withTLS()
			next := &vault{pairs: []pairOf{rsaPair(), ecdsaPair()}} // the same key, another number
			begun := make(chan *world, 1)
			o.Authd = func(body any) any {
				if _, ok := body.(*ipc.SignRequest); !ok || when != "at the signature" {
					return v.answer(body)
				}
				w := <-begun
				w.tell(ipc.NewAuth{}, w.otherAuthd(next.answer).FD())
				return nil // and its end of the channel is closed
			}
			w := begin(t, o)
			begun <- w
			w.want("234", "AUTH TLS")
			if when == "before the hello" {
				w.tell(ipc.NewAuth{}, w.otherAuthd(next.answer).FD())
			}
			if err := w.cover(tlsClient(id)); err != nil {
				t.Errorf("%s, authd dies %s: %v", version, when, err)
				continue
			}
			w.want("331", "USER ann")
		}
	}
}
