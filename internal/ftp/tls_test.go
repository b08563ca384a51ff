package ftp

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
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
