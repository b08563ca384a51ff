package ftp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

var versionsUnderTest = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// TestFeaturesOfTLS: FEAT names what can be used, and nothing else.
func TestFeaturesOfTLS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change func(v *policy.Session)
		want   string
	}{
		{func(v *policy.Session) {}, "AUTH TLS PBSZ PROT"},
		{func(v *policy.Session) { v.TLS.CCC, v.Names = true, true }, "AUTH TLS CCC HOST PBSZ PROT"},
		{func(v *policy.Session) { v.TLS.CCC, v.TLS.Required = true, "on" }, "AUTH TLS PBSZ PROT"},
		{func(v *policy.Session) { v.TLS.Engine = false }, ""},
	} {
		o, _ := withTLS()
		c.change(&o.View)
		w := begin(t, o)
		var got []string
		for _, l := range strings.Split(w.cmd("FEAT"), "\n") {
			switch l = strings.TrimSpace(l); l {
			case "AUTH TLS", "CCC", "HOST", "PBSZ", "PROT":
				got = append(got, l)
			}
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("FEAT has %q, want %q", g, c.want)
		}
	}
}

// TestPolicies walks the table of what is required where.
func TestPolicies(t *testing.T) {
	t.Parallel()
	const onControl, onData = "550 SSL/TLS required on the control channel", "522 SSL/TLS required on the data channel"
	for _, c := range []struct {
		required, user, list, protC, protP string
	}{
		{"off", "331", "150", "200", "200"},
		{"on", onControl, onData, "534", "200"},
		{"ctrl", onControl, "150", "200", "200"},
		{"data", "331", onData, "534", "200"},
		{"!data", "331", "150", "200", "534"},
		{"auth", onControl, "150", "200", "200"},
		{"auth+data", onControl, onData, "534", "200"},
		{"auth+!data", onControl, "150", "200", "534"},
		{"ctrl+!data", onControl, "150", "200", "534"},
	} {
		t.Run(c.required, func(t *testing.T) {
			t.Parallel()
			o, _ := withTLS()
			o.View.TLS.Required = c.required
			w := begin(t, o)
			for _, allowed := range []string{"FEAT", "SYST", "NOOP", "HELP", "OPTS UTF8 ON"} {
				w.want("2", allowed)
			}
			w.want(c.user, "USER ann")
			must(t, w.shake(tlsClient(tls.VersionTLS13)))
			w.want("503", "PASS secret") // the USER in clear is forgotten
			w.login()
			w.want("200 PBSZ=0", "PBSZ 1024")
			w.passive()
			w.want(c.list, "LIST")
			if strings.HasPrefix(c.list, "150") {
				w.next("226")
			}
			w.want(c.protP, "PROT P")
			if c.list == onData { // and what was set up is gone
				w.want("425 Unable to build data connection: No PORT or PASV", "NLST")
			}
			w.want(c.protC, "PROT C")
			if c.required != "off" && c.user != "331" && !w.reported(ipc.EventCommandRefused, "denying USER command") {
				t.Error("no event of the refused USER")
			}
		})
	}
}

// TestCommandsOfTLS: every answer before, under and after the login.
func TestCommandsOfTLS(t *testing.T) {
	t.Parallel()
	o, _ := withTLS()
	w := begin(t, o)
	w.want("504 AUTH requires at least one argument", "AUTH")
	w.want("504 AUTH FOO not understood", "AUTH foo")
	w.want("504 AUTH SSL not understood", "AUTH SSL")
	w.want("503 PBSZ not allowed on insecure control connection", "PBSZ 0")
	w.want("503 PROT not allowed on insecure control connection", "PROT P")
	w.want("530", "CCC")
	must(t, w.shake(tlsClient(tls.VersionTLS13)))
	w.want("503 Unwilling to accept second AUTH", "AUTH TLS")
	w.want("501 Invalid number of parameters", "PBSZ")
	w.want("501", "PBSZ x")
	w.want("536 PROT S unsupported", "PROT S")
	w.want("536 PROT E unsupported", "prot e")
	w.want("504 PROT X unsupported", "PROT X")
	w.want("503 Bad sequence of commands", "HOST one.test")
	w.login()
	w.want("503 Unwilling to accept second AUTH", "AUTH TLS")
	w.want("534 Unwilling to accept security parameters", "CCC")

	w = begin(t, o)
	w.login()
	w.want("534 Unwilling to accept security parameters", "AUTH TLS")
	w.want("500 CCC not understood", "CCC")

	o.View.TLS.AuthSSL = true
	w = begin(t, o)
	w.want("234 AUTH SSL successful", "AUTH SSL")
	conf := tlsClient(tls.VersionTLS13)
	must(t, w.cover(conf))
	w.login()
	if _, last := w.download(conf, "NLST"); last != "226 Transfer complete" { // AUTH SSL implies PROT P
		t.Error(last)
	}

	o.View.TLS.Engine = false
	w = begin(t, o)
	for _, c := range []string{"AUTH TLS", "PBSZ 0", "PROT P"} {
		w.want("500 "+c[:4]+" not understood", c)
	}

	o, v := withTLS()
	v.pairs = nil
	w = begin(t, o)
	w.want("431 Necessary security resource unavailable", "AUTH TLS")
	w.login()
}

// TestEveryKeyAndVersion: the private key signs elsewhere, whole messages only,
// for each kind of key, version and suite that there is.
func TestEveryKeyAndVersion(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]pairOf{"ECDSA": ecdsaPair(), "P-384": p384Pair(), "RSA": rsaPair()} {
		for version, id := range versionsUnderTest {
			t.Run(name+" "+version, func(t *testing.T) {
				t.Parallel()
				o, v := withTLS(p)
				w := begin(t, o)
				conf := tlsClient(id)
				conf.InsecureSkipVerify = false
				conf.RootCAs = x509.NewCertPool()
				cert, err := x509.ParseCertificate(p.der)
				must(t, err)
				conf.RootCAs.AddCert(cert)
				conf.NextProtos = []string{"x", "ftp"}
				must(t, w.shake(conf))
				state := w.client.(*tls.Conn).ConnectionState()
				if state.NegotiatedProtocol != "ftp" || string(state.OCSPResponse) != "staple" || state.Version != id {
					t.Errorf("protocol %q, staple %q, version %#x", state.NegotiatedProtocol, state.OCSPResponse, state.Version)
				}
				w.want("331", "USER ann")
				asks, signs := v.counts()
				if asks != 1 || signs != 1 {
					t.Errorf("%d questions and %d signatures for a handshake", asks, signs)
				}
				want := 130 // 64 blanks, the context, a hash of 32 bytes
				if id == tls.VersionTLS12 {
					want = 32 + 32 + 4
				}
				if m := v.signs[0].Message; len(m) < want {
					t.Errorf("%d bytes were signed: a digest?", len(m))
				}
			})
		}
	}
}

// TestCertificateFitsTheClient: of several certificates a client gets the one it
// can verify.
func TestCertificateFitsTheClient(t *testing.T) {
	t.Parallel()
	o, _ := withTLS(ecdsaPair(), rsaPair())
	for suite, kind := range map[uint16]x509.PublicKeyAlgorithm{
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:   x509.RSA,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: x509.ECDSA,
	} {
		w := begin(t, o)
		conf := tlsClient(tls.VersionTLS12)
		conf.ServerName = "no.such.name" // which decides nothing here
		conf.CipherSuites = []uint16{suite}
		must(t, w.shake(conf))
		if got := w.client.(*tls.Conn).ConnectionState().PeerCertificates[0].PublicKeyAlgorithm; got != kind {
			t.Errorf("%s: a certificate of %v", tls.CipherSuiteName(suite), got)
		}
	}
}

// TestRefusedHandshakes: each ends the session, is told to master with the alert
// that was sent, and answers nothing in plain text to a client that speaks TLS.
func TestRefusedHandshakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		client func(c *tls.Config)
		server func(o *setup, v *vault)
		detail string
		alert  string // what the client sees
	}{
		{"TLS 1.1", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, nil, "alert 70", "protocol version"},
		{
			"TLS 1.2 where 1.3 is wanted", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 },
			func(o *setup, _ *vault) { o.View.TLS.Protocols = []string{"1.3"} }, "alert 70", "protocol version",
		},
		{"TLS 1.3 where 1.2 is wanted", nil, func(o *setup, _ *vault) { o.View.TLS.Protocols = []string{"1.2"} }, "alert 70", "protocol version"},
		{"CBC", func(c *tls.Config) {
			c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		}, nil, "alert 40", "handshake failure"},
		{"another suite than configured", func(c *tls.Config) {
			c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}
		}, func(o *setup, _ *vault) { o.View.TLS.Ciphers = []string{"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"} }, "alert 40", "handshake failure"},
		{
			"another curve than configured", func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519} },
			func(o *setup, _ *vault) { o.View.TLS.Curves = []string{"P384"} }, "alert 40", "handshake failure",
		},
		{"ALPN of HTTP", func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }, nil, "alert 120", "no application protocol"},
		{"ALPN of data connections", func(c *tls.Config) { c.NextProtos = []string{"ftp-data"} }, nil, "alert 120", "no application protocol"},
		{"authd does not sign", nil, func(_ *setup, v *vault) { v.refuse = true }, "refused to sign", "internal error"},
		{"the client does not trust", func(c *tls.Config) { c.InsecureSkipVerify = false }, nil, "bad certificate", "certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o, v := withTLS()
			if c.server != nil {
				c.server(&o, v)
			}
			w := begin(t, o)
			conf := tlsClient(tls.VersionTLS13)
			if c.client != nil {
				c.client(conf)
			}
			raw := w.client
			err := w.shake(conf)
			if err == nil || !strings.Contains(err.Error(), c.alert) {
				t.Errorf("client: %v, want %q", err, c.alert)
			}
			_ = raw.SetReadDeadline(time.Now().Add(patience))
			if rest, _ := io.ReadAll(raw); strings.Contains(string(rest), "421") {
				t.Errorf("plain text behind the alert: %q", rest)
			}
			w.report(ipc.EventTLSFailed, c.detail)
		})
	}
}

// TestConfiguredCurvesAreUsed shows the case that the refusals above rest on.
func TestConfiguredCurvesAreUsed(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]tls.CurveID{"P384": tls.CurveP384, "X25519": tls.X25519, "X25519MLKEM768": tls.X25519MLKEM768, "CurveP256": tls.CurveP256} {
		o, _ := withTLS()
		o.View.TLS.Curves = []string{name}
		w := begin(t, o)
		must(t, w.shake(tlsClient(tls.VersionTLS13)))
		if got := w.client.(*tls.Conn).ConnectionState().CurveID; got != id {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestNoPlainTextBehindAuth: a line that came with AUTH is neither answered nor
// run under TLS.
func TestNoPlainTextBehindAuth(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"AUTH TLS\r\nUSER ann\r\n", "AUTH TLS\r\nUSER an", "AUTH TLS\r\n\r", "AUTH TLS\r\n\xff", "NOOP\r\nAUTH TLS\r\nNOOP\r\n"} {
		o, _ := withTLS()
		w := begin(t, o)
		w.send(raw)
		rest, _ := io.ReadAll(w.in)
		if got := string(rest); strings.Contains(got, "234") || strings.Contains(got, "331") || !strings.HasSuffix(got, "421 Unexpected input, closing control connection\r\n") {
			t.Errorf("%q: %q", raw, got)
		}
		w.report(ipc.EventInvalidCommand, "plain text behind AUTH")
	}
}

// TestPlainTextInsteadOfAHello: who goes on in plain text after 234 gets no
// command run, and is told in plain text.
func TestPlainTextInsteadOfAHello(t *testing.T) {
	t.Parallel()
	o, _ := withTLS()
	w := begin(t, o)
	w.want("234", "AUTH TLS")
	w.want("421 TLS handshake failed", "USER ann")
	w.ended()
	w.report(ipc.EventTLSFailed, "does not look like a TLS handshake")
}

// TestSilentHandshake: the time of a handshake is its own.
func TestSilentHandshake(t *testing.T) {
	t.Parallel()
	o, _ := withTLS()
	o.View.TLS.Handshake = 1
	w := begin(t, o)
	w.want("234", "AUTH TLS")
	w.next("421 TLS handshake failed")
	w.ended()
	w.report(ipc.EventTLSFailed, "timed out")
}

// TestMasterEndsAHandshake: a handshake is no place to hide from a deadline.
func TestMasterEndsAHandshake(t *testing.T) {
	t.Parallel()
	o, _ := withTLS()
	w := begin(t, o)
	w.want("234", "AUTH TLS")
	w.tell(ipc.End{Code: 421, Text: "Login timeout"})
	w.next("421 Login timeout")
	w.ended()
}

// TestImplicitTLS: TLS first, then the greeting; data is private from the start.
func TestImplicitTLS(t *testing.T) {
	t.Parallel()
	o, _ := withTLS()
	o.Implicit, o.Ungreet = true, true
	w := begin(t, o)
	conf := tlsClient(tls.VersionTLS13)
	must(t, w.cover(conf))
	w.next("220 FTP server ready")
	w.want("503 Unwilling to accept second AUTH", "AUTH TLS")
	w.login()
	w.put("a", "hello")
	if data, last := w.download(conf, "RETR a"); data != "hello" || last != "226 Transfer complete" {
		t.Errorf("%q, %s", data, last)
	}

	w = begin(t, o)
	w.send("USER ann\r\n")
	w.ended()
	w.report(ipc.EventTLSFailed, "does not look like a TLS handshake")
}

// TestPipelinedUnderTLS: commands that come in one record, or in many, are all
// run, with nothing more to read from the socket.
func TestPipelinedUnderTLS(t *testing.T) {
	t.Parallel()
	for _, v := range versionsUnderTest {
		o, _ := withTLS()
		w := begin(t, o)
		must(t, w.shake(tlsClient(v)))
		const n = 3000
		go func() {
			_, _ = io.WriteString(w.client, strings.Repeat("NOOP\r\n", n))
			for range 100 {
				_, _ = io.WriteString(w.client, "NO")
				_, _ = io.WriteString(w.client, "OP\r\n")
			}
		}()
		for range n + 100 {
			w.next("200 NOOP command successful")
		}
	}
}

// TestClientThatDoesNotRead: replies wait, sealed or not, and nothing is lost.
func TestClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	o, _ := withTLS()
	w := begin(t, o)
	must(t, w.shake(tlsClient(tls.VersionTLS13)))
	const n = 20000
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(w.client, strings.Repeat("HELP\r\n", n))
		sent <- err
	}()
	for range n {
		w.next("214-The following")
	}
	must(t, <-sent)
	w.want("221", "QUIT")
	w.ended()
}

// TestDataIsBoundToTheControlSession: ten transfers each way with clients that
// use a ticket once, and with clients that never read on an upload.
func TestDataIsBoundToTheControlSession(t *testing.T) {
	t.Parallel()
	for version, id := range versionsUnderTest {
		for _, c := range []struct {
			name       string
			once, read bool
			fails      bool
		}{
			{"tickets used once", true, true, false},
			{"nothing read on uploads", false, false, false},
			{"ordinary", false, true, false},
			{"tickets used once and nothing read on uploads", true, false, true},
		} {
			t.Run(version+" "+c.name, func(t *testing.T) {
				t.Parallel()
				o, v := withTLS()
				w := begin(t, o)
				conf := tlsClient(id)
				memory := conf.ClientSessionCache.(*tickets)
				memory.once = c.once
				w.privateLogin(conf)
				for i := range 10 {
					name, data := fmt.Sprintf("f%d", i), random(100+i*30000)
					if r := w.upload(conf, name, data, c.read); r != "226 Transfer complete" {
						// In 1.2 a ticket comes within the handshake, so this client has one.
						if !c.fails || id == tls.VersionTLS12 || i == 0 {
							t.Fatalf("upload %d: %s", i, r)
						}
						if !strings.HasPrefix(r, "425 Unable to build data connection: Operation not permitted") || !strings.Contains(r, "data_reuse") {
							t.Errorf("upload %d: %s", i, r)
						}
						w.report(ipc.EventDataTheft, "data_reuse")
						w.want("200", "NOOP")
						return
					}
					if w.content(name) != data {
						t.Fatalf("upload %d: other bytes", i)
					}
				}
				for i := range 10 {
					name := fmt.Sprintf("f%d", i)
					if data, last := w.download(conf, "RETR "+name); last != "226 Transfer complete" || data != w.content(name) {
						t.Fatalf("download %d: %d bytes, %s", i, len(data), last)
					}
				}
				if _, signs := v.counts(); signs != 1 {
					t.Errorf("%d signatures for one full handshake", signs)
				}
			})
		}
	}
}

// TestThievesGetNothing: who does not resume this very session gets no byte, and
// the one that is robbed is told.
func TestThievesGetNothing(t *testing.T) {
	t.Parallel()
	for version, id := range versionsUnderTest {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			o, v := withTLS()
			w, other := begin(t, o), begin(t, o)
			conf, theirs := tlsClient(id), tlsClient(id)
			w.privateLogin(conf)
			other.privateLogin(theirs)
			other.want("200", "NOOP") // its ticket has come
			w.put("secret", "the secret")
			w.put("old", "the old content")
			_, before := v.counts()
			for name, thief := range map[string]*tls.Config{"no session": tlsClient(id), "another session": theirs} {
				data, last := w.download(thief, "RETR secret")
				if data != "" || !strings.HasPrefix(last, "425 Unable to build data connection: Operation not permitted") {
					t.Errorf("%s: %q, %s", name, data, last)
				}
				if r := w.upload(thief, "old", "forged", true); !strings.HasPrefix(r, "425") {
					t.Errorf("%s: upload: %s", name, r)
				}
				if _, last := w.download(thief, "MLSD"); !strings.HasPrefix(last, "425") {
					t.Errorf("%s: listing: %s", name, last)
				}
			}
			if got := w.content("old"); got != "the old content" {
				t.Errorf("a thief's upload left %q", got)
			}
			w.report(ipc.EventDataTheft, "client did not reuse TLS session")
			if _, after := v.counts(); after != before {
				t.Errorf("authd signed %d times for thieves", after-before)
			}
			if data, last := w.download(conf, "RETR secret"); data != "the secret" || last != "226 Transfer complete" {
				t.Errorf("afterwards: %q, %s", data, last)
			}
		})
	}
}

// TestReuseIsAChoice: without it a full handshake does, signed by authd.
func TestReuseIsAChoice(t *testing.T) {
	t.Parallel()
	for _, reuse := range []string{"prefer", "off"} {
		for version, id := range versionsUnderTest {
			t.Run(reuse+" "+version, func(t *testing.T) {
				t.Parallel()
				o, v := withTLS()
				o.View.TLS.Reuse = reuse
				w := begin(t, o)
				w.privateLogin(tlsClient(id))
				w.put("a", "hello")
				for range 3 {
					if data, last := w.download(tlsClient(id), "RETR a"); data != "hello" || last != "226 Transfer complete" {
						t.Fatalf("%q, %s", data, last)
					}
				}
				if _, signs := v.counts(); signs != 4 {
					t.Errorf("%d signatures for four full handshakes", signs)
				}
			})
		}
	}
}

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

// TestDownloadWithAnEarlyGoodbye: a client that sends nothing more may say so
// before it reads, and gets all of the file.
func TestDownloadWithAnEarlyGoodbye(t *testing.T) {
	t.Parallel()
	for _, id := range versionsUnderTest {
		o, _ := withTLS()
		w := begin(t, o)
		conf := tlsClient(id)
		w.privateLogin(conf)
		file := random(400 << 10) // more than the client's socket takes, less than the server's holds
		w.put("a", file)
		for range 2 {
			raw := w.passive()
			w.want("150", "RETR a")
			c := tls.Client(raw, conf)
			must(t, c.Handshake())
			w.next("226")
			must(t, c.CloseWrite())
			if b, err := io.ReadAll(c); err != nil || string(b) != file {
				t.Errorf("%d bytes of %d, %v", len(b), len(file), err)
			}
		}
	}
}

// TestProtocolOfData: clients that name a protocol on data connections call it
// ftp or ftp-data.
func TestProtocolOfData(t *testing.T) {
	t.Parallel()
	for version, id := range versionsUnderTest {
		o, _ := withTLS()
		w := begin(t, o)
		conf := tlsClient(id)
		conf.NextProtos = []string{"ftp"}
		w.privateLogin(conf)
		w.put("a", "hello")
		for name, want := range map[string]string{"ftp": "226", "ftp-data": "226", "http/1.1": "425"} {
			conf := conf.Clone()
			conf.NextProtos = []string{name}
			if _, last := w.download(conf, "RETR a"); !strings.HasPrefix(last, want) {
				t.Errorf("%s, %s: %s, want %s", version, name, last, want)
			}
		}
	}
}

// TestUploadWithoutGoodbye: whether the end of a connection without close_notify
// is one of the file is configured. It is told of: once where it is allowed.
func TestUploadWithoutGoodbye(t *testing.T) {
	t.Parallel()
	for version, id := range versionsUnderTest {
		for strict, want := range map[bool]string{false: "226", true: "426"} {
			o, _ := withTLS()
			o.View.TLS.StrictEOF = strict
			w := begin(t, o)
			conf := tlsClient(id)
			w.privateLogin(conf)
			for _, name := range []string{"a", "b"} {
				raw := w.passive()
				w.want("150", "STOR "+name)
				c := tls.Client(raw, conf)
				must(t, c.Handshake())
				_, err := io.WriteString(c, "hello")
				must(t, err)
				must(t, raw.(*net.TCPConn).CloseWrite())
				w.next(want)
				if w.content(name) != "hello" {
					t.Errorf("%s: %q", version, w.content(name))
				}
			}
			w.want("221", "QUIT")
			<-w.lost
			told := 0
			for _, e := range w.events() {
				if e == ipc.EventTLSUnclosed {
					told++
				}
			}
			if told != map[bool]int{false: 1, true: 2}[strict] {
				t.Errorf("%s, strict %v: told %d times", version, strict, told)
			}
		}
	}
}

// TestUploadCutWithinARecord is never a whole file.
func TestUploadCutWithinARecord(t *testing.T) {
	t.Parallel()
	o, _ := withTLS()
	w := begin(t, o)
	conf := tlsClient(tls.VersionTLS13)
	w.privateLogin(conf)
	cut := &cutter{Conn: w.passive(), left: 1 << 20}
	w.want("150", "STOR a")
	c := tls.Client(cut, conf)
	must(t, c.Handshake())
	cut.left = 20000
	_, _ = io.WriteString(c, random(40000))
	w.next("426")
}

// cutter lets so many bytes through and closes its half.
type cutter struct {
	net.Conn
	left int
}

func (c *cutter) Write(b []byte) (int, error) {
	if len(b) <= c.left {
		c.left -= len(b)
		return c.Conn.Write(b)
	}
	_, _ = c.Conn.Write(b[:c.left])
	_ = c.Conn.(*net.TCPConn).CloseWrite()
	c.left = 0
	return 0, errors.New("cut")
}

// TestUploadGoodbyeIsAnswered: many clients wait for the server's close_notify.
func TestUploadGoodbyeIsAnswered(t *testing.T) {
	t.Parallel()
	for _, id := range versionsUnderTest {
		o, _ := withTLS()
		w := begin(t, o)
		conf := tlsClient(id)
		w.privateLogin(conf)
		raw := &spy{Conn: w.passive()}
		w.want("150", "STOR a")
		c := tls.Client(raw, conf)
		_, err := io.WriteString(c, "hello")
		must(t, err)
		must(t, c.CloseWrite()) // and the connection stays open
		if _, err := io.Copy(io.Discard, c); err != nil || raw.ended {
			t.Errorf("%v, ended without close_notify: %t", err, raw.ended)
		}
		w.next("226")
	}
}

// TestAbortDuringADataHandshake: the control connection is heard.
func TestAbortDuringADataHandshake(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(w *world)
		want []string
	}{
		"ABOR": {func(w *world) { w.send("ABOR\r\n") }, []string{"426", "226", "200"}},
		"QUIT": {func(w *world) { w.send("QUIT\r\n") }, []string{"426", "221"}},
		"End":  {func(w *world) { w.tell(ipc.End{Code: 421, Text: "Bye"}) }, []string{"426", "421 Bye"}},
		"STAT": {func(w *world) { w.send("STAT\r\nABOR\r\n") }, []string{"211", "426", "226", "200"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, _ := withTLS()
			w := begin(t, o)
			w.privateLogin(tlsClient(tls.VersionTLS13))
			w.put("a", "hello")
			w.passive() // connected, and silent
			w.want("150", "RETR a")
			c.do(w)
			for i, want := range c.want {
				if i == len(c.want)-1 && want == "200" {
					w.want(want, "NOOP")
					return
				}
				w.next(want)
			}
			w.ended()
		})
	}
}

// TestSlowDataHandshake ends by itself, and changes no file.
func TestSlowDataHandshake(t *testing.T) {
	t.Parallel()
	o, _ := withTLS()
	o.View.TLS.Handshake = 4 // of the control connection, too
	w := begin(t, o)
	w.privateLogin(tlsClient(tls.VersionTLS13))
	w.put("a", "the old content")
	w.passive()
	w.want("150", "STOR a")
	w.next("425 Unable to build data connection: TLS handshake timed out")
	if got := w.content("a"); got != "the old content" {
		t.Errorf("%q", got)
	}
	raw := w.passive()
	w.want("150", "STOR a")
	_, err := io.WriteString(raw, "plain bytes in a private session")
	must(t, err)
	w.next("425 Unable to build data connection: TLS handshake failed")
	w.want("200", "NOOP")
	if got := w.content("a"); got != "the old content" {
		t.Errorf("%q", got)
	}
	w.report(ipc.EventTLSFailed, "data connection: ")
}

// TestBigFilesUnderTLS: sizes around those of records and pieces, in TYPE I and A.
func TestBigFilesUnderTLS(t *testing.T) {
	t.Parallel()
	for _, id := range versionsUnderTest {
		o, _ := withTLS()
		w := begin(t, o)
		conf := tlsClient(id)
		w.privateLogin(conf)
		w.want("200", "TYPE I")
		for _, n := range []int{0, 1, recordMax - 1, recordMax, recordMax + 1, sealMax, sealMax + 1, 5<<20 + 7} {
			data := random(n)
			if r := w.upload(conf, "big", data, true); r != "226 Transfer complete" || w.content("big") != data {
				t.Fatalf("upload of %d bytes: %s", n, r)
			}
			if got, last := w.download(conf, "RETR big"); last != "226 Transfer complete" || got != data {
				t.Fatalf("download of %d bytes: %d, %s", n, len(got), last)
			}
		}
		w.want("200", "TYPE A")
		w.put("text", strings.Repeat("a line\n", 30000))
		if got, last := w.download(conf, "RETR text"); got != strings.Repeat("a line\r\n", 30000) {
			t.Fatalf("text: %d bytes, %s", len(got), last)
		}
	}
}

// TestSlowReaderUnderTLS: what the socket does not take waits, and is not lost.
func TestSlowReaderUnderTLS(t *testing.T) {
	t.Parallel()
	o, _ := withTLS()
	w := begin(t, o)
	conf := tlsClient(tls.VersionTLS13)
	w.privateLogin(conf)
	data := random(16 << 20)
	w.put("big", data)
	raw := w.passive()
	w.want("150", "RETR big")
	w.want("211-", "STAT") // answered while data waits
	c := tls.Client(raw, conf)
	var got strings.Builder
	b := make([]byte, 300000)
	for {
		n, err := c.Read(b)
		got.Write(b[:n])
		if err == io.EOF {
			break
		}
		must(t, err)
	}
	w.next("226")
	if got.String() != data {
		t.Errorf("%d bytes came, and not the same", got.Len())
	}
}

// TestCCC: the control connection is plain behind both close_notifys, and data
// may stay private.
func TestCCC(t *testing.T) {
	t.Parallel()
	for version, id := range versionsUnderTest {
		for _, silent := range []bool{false, true} {
			t.Run(fmt.Sprint(version, " ", silent), func(t *testing.T) {
				t.Parallel()
				o, v := withTLS()
				o.View.TLS.CCC = true
				w := begin(t, o)
				raw := w.client
				conf := tlsClient(id)
				w.privateLogin(conf)
				w.put("a", "hello")
				w.want("200 Clearing control channel protection", "CCC")
				c := w.client.(*tls.Conn)
				if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Fatalf("instead of close_notify: %d, %v", n, err)
				}
				if !silent {
					must(t, c.CloseWrite())
				}
				w.client = raw
				w.in.Reset(raw)
				w.want("200", "NOOP")
				w.want("533 CCC not allowed on insecure control connection", "CCC")
				w.want("503 PBSZ not allowed on insecure control connection", "PBSZ 0")
				w.want("534", "AUTH TLS")
				for range 2 { // no session to resume any more: not demanded
					if data, last := w.download(tlsClient(id), "RETR a"); data != "hello" || last != "226 Transfer complete" {
						t.Errorf("%q, %s", data, last)
					}
				}
				if _, signs := v.counts(); signs != 3 {
					t.Errorf("%d signatures", signs)
				}
				w.want("200", "PROT C")
				if data, last := w.fetch("RETR a"); data != "hello" || last != "226 Transfer complete" {
					t.Errorf("%q, %s", data, last)
				}
			})
		}
	}
}

// TestCCCPolicies: not where control has to be protected, and nothing behind it.
func TestCCCPolicies(t *testing.T) {
	t.Parallel()
	for required, want := range map[string]string{"on": "534", "ctrl": "534", "ctrl+!data": "534", "auth": "200", "data": "200"} {
		o, _ := withTLS()
		o.View.TLS.CCC, o.View.TLS.Required = true, required
		w := begin(t, o)
		must(t, w.shake(tlsClient(tls.VersionTLS13)))
		w.login()
		w.want(want, "CCC")
	}
	for _, more := range []string{"NOOP\r\n", "NO"} {
		o, _ := withTLS()
		o.View.TLS.CCC = true
		w := begin(t, o)
		must(t, w.shake(tlsClient(tls.VersionTLS13)))
		w.login()
		w.send("CCC\r\n" + more)
		w.next("421")
		w.report(ipc.EventInvalidCommand, "plain text behind CCC")
	}
	o, _ := withTLS()
	o.View.TLS.CCC = true
	w := begin(t, o)
	must(t, w.shake(tlsClient(tls.VersionTLS13)))
	w.login()
	w.want("200", "CCC")
	w.send("DELE a\r\n") // still sealed: neither run nor answered
	w.report(ipc.EventInvalidCommand, "behind CCC")
}

// TestGoodbyeOfControl: QUIT ends by a close_notify, too.
func TestGoodbyeOfControl(t *testing.T) {
	t.Parallel()
	o, _ := withTLS()
	w := begin(t, o)
	s := &spy{Conn: w.client}
	w.client = s
	must(t, w.shake(tlsClient(tls.VersionTLS13)))
	w.want("221", "QUIT")
	w.ended()
	if s.ended {
		t.Error("the connection ended without close_notify")
	}
}

// TestAccountDemandsTLS: settings that come with the login may demand TLS for
// it. A login without is refused, and ends the session.
func TestAccountDemandsTLS(t *testing.T) {
	t.Parallel()
	for required, refused := range map[string]bool{
		"on": true, "ctrl": true, "ctrl+!data": true, "auth": true, "auth+data": true, "off": false, "data": false,
	} {
		t.Run(required, func(t *testing.T) {
			t.Parallel()
			for _, covered := range []bool{false, true} {
				o, _ := withTLS()
				o.Entered = func(v *policy.Session) { v.TLS.Required = required }
				w := begin(t, o)
				if covered {
					must(t, w.shake(tlsClient(tls.VersionTLS13)))
				}
				w.want("331", "USER ann")
				if refused && !covered {
					w.want("530 Login incorrect.", "PASS secret")
					w.ended()
					w.report(ipc.EventCommandRefused, "absent on control channel")
					continue
				}
				w.want("230", "PASS secret")
				w.want("257", "PWD")
			}
		})
	}
}
