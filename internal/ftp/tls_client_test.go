package ftp

import (
	"bytes"
	"crypto/elliptic"
	"crypto/tls"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// certified is a client with a certificate of its own.
func certified(id uint16, p pairOf) *tls.Config {
	conf := tlsClient(id)
	conf.Certificates = []tls.Certificate{{Certificate: [][]byte{p.der}, PrivateKey: p.key}}
	return conf
}

// TestARefusedCertificateLeavesThePassword: an account that the certificate names
// and that may not log in by it may still be asked for its password.
func TestARefusedCertificateLeavesThePassword(t *testing.T) {
	t.Parallel()
	own := selfSigned("ann", newECDSA(elliptic.P256()))
	o, v := withTLS()
	o.View.TLS.Client = "request"
	o.Verdict = func(q *ipc.AuthRequest) (ipc.AuthReply, bool) {
		if q.Method == ipc.MethodPassword && string(q.Secret) == "secret" {
			return ipc.AuthReply{Verdict: ipc.VerdictOK, User: q.User}, true
		}
		return ipc.AuthReply{}, true
	}
	v.judge = func([]byte) ipc.ClientVerdict { return ipc.ClientVerdict{OK: true, User: "ann"} }
	w := begin(t, o)
	must(t, w.shake(certified(tls.VersionTLS13, own)))
	w.want("530", "USER ann")
	w.want("331", "USER ann")
	w.want("230", "PASS secret")
}

// TestClientCertificates: authd judges, and may name the account.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	own := selfSigned("ann", newECDSA(elliptic.P256()))
	for version, id := range versionsUnderTest {
		for _, c := range []struct {
			name    string
			mode    string
			present bool
			verdict ipc.ClientVerdict
			fails   bool
			user    string // the answer to USER ann
		}{
			{"off, none asked for", "off", true, ipc.ClientVerdict{}, false, "331"},
			{"request, none", "request", false, ipc.ClientVerdict{}, false, "331"},
			{"request, refused", "request", true, ipc.ClientVerdict{Subject: "CN=ann"}, true, ""},
			{"request, of nobody", "request", true, ipc.ClientVerdict{OK: true}, false, "331"},
			{"request, of another", "request", true, ipc.ClientVerdict{OK: true, User: "bob"}, false, "331"},
			{"request, of ann", "request", true, ipc.ClientVerdict{OK: true, User: "ann"}, false, "232 User ann logged in"},
			{"require, none", "require", false, ipc.ClientVerdict{}, true, ""},
			{"require, refused", "require", true, ipc.ClientVerdict{}, true, ""},
			{"require, of ann", "require", true, ipc.ClientVerdict{OK: true, User: "ann"}, false, "232 User ann logged in"},
		} {
			t.Run(version+" "+c.name, func(t *testing.T) {
				t.Parallel()
				o, v := withTLS()
				o.View.TLS.Client = c.mode
				o.Verdict = func(q *ipc.AuthRequest) (ipc.AuthReply, bool) {
					ok := q.Method == ipc.MethodCertificate && len(q.Secret) == 0 || q.Method == ipc.MethodPassword && string(q.Secret) == "secret"
					if ok {
						return ipc.AuthReply{Verdict: ipc.VerdictOK, User: q.User}, true
					}
					return ipc.AuthReply{}, true
				}
				var judged atomic.Int32
				v.judge = func(chain []byte) ipc.ClientVerdict {
					judged.Add(1)
					if !bytes.Equal(chain, own.der) {
						t.Error("authd was shown another chain")
					}
					return c.verdict
				}
				w := begin(t, o)
				conf := tlsClient(id)
				if c.present {
					conf = certified(id, own)
				}
				err := w.shake(conf)
				if c.fails {
					// In 1.3 the client is done before the server has seen its certificate.
					if err == nil {
						_, err = w.in.ReadByte()
					}
					if err == nil || !strings.Contains(err.Error(), "certificate") && id == tls.VersionTLS13 {
						t.Errorf("client: %v", err)
					}
					w.report(ipc.EventTLSFailed, "certificate")
					return
				}
				must(t, err)
				w.want(c.user, "USER ann")
				if c.user == "331" {
					w.want("230", "PASS secret")
				}
				if want := c.present && c.mode != "off"; judged.Load() != 0 != want || judged.Load() > 1 {
					t.Errorf("judged %d times", judged.Load())
				}
				w.want("200", "PROT P")
				w.put("a", "hello")
				if data, last := w.download(conf, "RETR a"); data != "hello" || last != "226 Transfer complete" {
					t.Errorf("%q, %s", data, last)
				}
				if judged.Load() > 1 {
					t.Error("judged again on the data connection")
				}
			})
		}
	}
}

// TestAnotherAuthdJudgesAgain: one that has not seen a client's certificate is
// shown it before it is asked whether it opens an account.
func TestAnotherAuthdJudgesAgain(t *testing.T) {
	t.Parallel()
	own := selfSigned("ann", newECDSA(elliptic.P256()))
	for want, verdict := range map[string]ipc.ClientVerdict{
		"232": {OK: true, User: "ann"}, "331": {Subject: "revoked meanwhile"}, "331 Password required for ann": {OK: true, User: "bob"},
	} {
		o, v := withTLS()
		o.View.TLS.Client = "request"
		o.Verdict = func(q *ipc.AuthRequest) (ipc.AuthReply, bool) {
			return ipc.AuthReply{Verdict: ipc.VerdictOK, User: q.User}, true
		}
		v.judge = func([]byte) ipc.ClientVerdict { return ipc.ClientVerdict{OK: true, User: "ann"} }
		w := begin(t, o)
		must(t, w.shake(certified(tls.VersionTLS13, own)))
		w.want("200", "NOOP") // the handshake is over on this side, too
		var judged atomic.Int32
		w.tell(ipc.NewAuth{}, w.otherAuthd(func(body any) any {
			if c, ok := body.(*ipc.ClientCertificate); ok && bytes.Equal(c.Chain, own.der) {
				judged.Add(1)
				return verdict
			}
			return v.answer(body)
		}).FD())
		w.want("200", "NOOP") // it has looked at what master says
		w.want(want, "USER ann")
		if judged.Load() != 1 {
			t.Errorf("%s: judged %d times", want, judged.Load())
		}
		if want != "232" {
			w.want("230", "PASS secret")
		}
	}
}

// TestCertificateLoginMayBeRefused: the other checks of a login hold.
func TestCertificateLoginMayBeRefused(t *testing.T) {
	t.Parallel()
	own := selfSigned("ann", newECDSA(elliptic.P256()))
	o, v := withTLS()
	o.View.TLS.Client = "request"
	v.judge = func([]byte) ipc.ClientVerdict { return ipc.ClientVerdict{OK: true, User: "ann"} }
	o.Verdict = func(*ipc.AuthRequest) (ipc.AuthReply, bool) { return ipc.AuthReply{}, true }
	w := begin(t, o)
	must(t, w.shake(certified(tls.VersionTLS13, own)))
	w.want("530 Login incorrect.", "USER ann")
	w.want("530", "PWD")
}

// TestWelcomeOfACertificate: the lines of a reply have one code.
func TestWelcomeOfACertificate(t *testing.T) {
	t.Parallel()
	own := selfSigned("ann", newECDSA(elliptic.P256()))
	for _, anonymous := range []bool{false, true} {
		o, v := withTLS()
		o.View.TLS.Client = "request"
		o.View.Display.Login.Text = "Welcome\ntwo"
		o.Anonymous = anonymous
		v.judge = func([]byte) ipc.ClientVerdict { return ipc.ClientVerdict{OK: true, User: "ann"} }
		o.Verdict = func(q *ipc.AuthRequest) (ipc.AuthReply, bool) {
			return ipc.AuthReply{Verdict: ipc.VerdictOK, User: q.User}, true
		}
		w := begin(t, o)
		must(t, w.shake(certified(tls.VersionTLS13, own)))
		want := "232-Welcome\n two\n232 User ann logged in"
		if anonymous {
			want = "230-Welcome\n two\n230 Anonymous access granted, restrictions apply"
		}
		if got := w.cmd("USER ann"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestDataHasTheSameClient: where data connections need not resume, their
// certificate has to be that of the control connection.
func TestDataHasTheSameClient(t *testing.T) {
	t.Parallel()
	own, others := selfSigned("ann", newECDSA(elliptic.P256())), selfSigned("ann", newECDSA(elliptic.P256()))
	for _, id := range versionsUnderTest {
		o, v := withTLS()
		o.View.TLS.Client, o.View.TLS.Reuse = "request", "off"
		v.judge = func([]byte) ipc.ClientVerdict { return ipc.ClientVerdict{OK: true} }
		w := begin(t, o)
		w.privateLogin(certified(id, own))
		w.put("a", "hello")
		if data, last := w.download(certified(id, own), "RETR a"); data != "hello" || last != "226 Transfer complete" {
			t.Errorf("%q, %s", data, last)
		}
		for _, conf := range []*tls.Config{certified(id, others), tlsClient(id)} {
			if data, last := w.download(conf, "RETR a"); data != "" || !strings.HasPrefix(last, "425") {
				t.Errorf("%q, %s", data, last)
			}
		}
	}
}

// twoHosts plays a master with two hosts at an address.
func twoHosts(o *setup, v *vault, twoTLS func(v *policy.TLSSession)) {
	o.View.Names = true
	two := o.View
	two.Ident = "host two"
	if twoTLS != nil {
		twoTLS(&two.TLS)
	}
	sni := ""
	o.Lane = func(w *world, q any) (ipc.HostSelected, *policy.Session) {
		r := ipc.HostSelected{Host: "one", Peer: w.here, Local: w.there}
		h := q.(*ipc.SelectHost)
		view := w.o.View
		switch strings.ToLower(h.Name) {
		case "one.test":
		case "two.test", "alias.test":
			r.Host, view = "two", two
		default:
			return ipc.HostSelected{Refused: true, Text: "Unknown hostname provided"}, nil
		}
		if sni != "" && r.Host != sni {
			return ipc.HostSelected{Refused: true, Text: "Unknown hostname provided"}, nil
		}
		if h.By == ipc.BySNI {
			sni = r.Host
		}
		v.mu.Lock()
		v.pairs = []pairOf{ecdsaPair()}
		if r.Host == "two" {
			v.pairs = []pairOf{otherPair()}
		}
		v.mu.Unlock()
		return r, &view
	}
}

func (w *world) leafName() string {
	return w.client.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
}

// TestServerName: SNI chooses certificate and host; a later HOST may only agree.
func TestServerName(t *testing.T) {
	t.Parallel()
	for _, id := range versionsUnderTest {
		o, v := withTLS()
		twoHosts(&o, v, nil)
		w := begin(t, o)
		conf := tlsClient(id)
		conf.ServerName = "two.test"
		must(t, w.shake(conf))
		if w.leafName() != "two.test" {
			t.Errorf("certificate of %s", w.leafName())
		}
		w.want("504 one.test: Unknown hostname provided", "HOST one.test")
		w.want("331", "USER ann")
		w.want("220 host two", "HOST Two.Test")
		w.want("503 Login with USER first", "PASS secret") // HOST forgets a USER
		w.want("220 host two", "HOST alias.test")
		w.login()
		w.want("503 Bad sequence of commands", "HOST two.test")
		w.want("200", "PROT P")
		if _, last := w.download(conf, "NLST"); last != "226 Transfer complete" {
			t.Error(last)
		}
	}
}

// TestUnknownServerName keeps the host, or is refused, as configured.
func TestUnknownServerName(t *testing.T) {
	t.Parallel()
	for _, id := range versionsUnderTest {
		o, v := withTLS()
		twoHosts(&o, v, nil)
		w := begin(t, o)
		conf := tlsClient(id)
		conf.ServerName = "three.test"
		must(t, w.shake(conf))
		if w.leafName() != "one.test" {
			t.Errorf("certificate of %s", w.leafName())
		}
		w.want("503", "HOST one.test")

		o.View.TLS.RejectUnknownName = true
		w = begin(t, o)
		if err := w.shake(conf); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("client: %v", err)
		}
		w.report(ipc.EventTLSFailed, "no host of that name")

		o.View.TLS.RejectUnknownName, o.View.TLS.IgnoreSNI = false, true
		w = begin(t, o)
		conf.ServerName = "two.test"
		must(t, w.shake(conf))
		if w.leafName() != "one.test" {
			t.Errorf("certificate of %s", w.leafName())
		}
	}
}

// TestHostHasItsOwnRules: what the handshake may be is the chosen host's to say.
func TestHostHasItsOwnRules(t *testing.T) {
	t.Parallel()
	o, v := withTLS()
	twoHosts(&o, v, func(v *policy.TLSSession) { v.Protocols = []string{"1.3"} })
	w := begin(t, o)
	conf := tlsClient(tls.VersionTLS12)
	conf.ServerName = "two.test"
	if err := w.shake(conf); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("client: %v", err)
	}
	o, v = withTLS()
	twoHosts(&o, v, func(v *policy.TLSSession) { v.Protocols = []string{"1.3"} })
	w = begin(t, o)
	conf.ServerName = "one.test"
	must(t, w.shake(conf))
}

// TestHOST: the command before AUTH, and its refusals.
func TestHOST(t *testing.T) {
	t.Parallel()
	o, v := withTLS()
	twoHosts(&o, v, nil)
	w := begin(t, o)
	w.want("500 'HOST' not understood", "HOST")
	w.want("500 'HOST' not understood", "HOST a b")
	w.want("501 [::g]: Invalid IPv6 address provided", "HOST [::g]")
	w.want("501 [127.0.0.1]: Invalid IPv6 address provided", "HOST [127.0.0.1]")
	w.want("501 [::1: Invalid IPv6 address provided", "HOST [::1")
	w.want("501 ::1: Invalid hostname provided", "HOST ::1")
	w.want("501 a:21: Invalid hostname provided", "HOST a:21")
	w.want("504 [::1]: Unknown hostname provided", "HOST [::1]")
	w.want("504 127.0.0.2: Unknown hostname provided", "HOST 127.0.0.2")
	w.want("220 HOST command successful", "HOST 127.0.0.1")
	w.want("220 HOST command successful", "HOST [::ffff:127.0.0.1]")
	w.want("504 three.test: Unknown hostname provided", "HOST three.test")
	w.want("504", "HOST "+strings.Repeat("a", 300))
	w.want("331", "USER ann")
	w.want("220 host two", "HOST TWO.test")
	w.want("503 Login with USER first", "PASS secret")
	must(t, w.shake(tlsClient(tls.VersionTLS13))) // whose SNI means host one
	if w.leafName() != "one.test" {
		t.Errorf("certificate of %s", w.leafName())
	}
	w = begin(t, o)
	w.login()
	w.want("503 Bad sequence of commands", "HOST two.test")
}
