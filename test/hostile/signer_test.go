package hostile

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"sallyport/ipc"
	"sallyport/test/daemon"
)

// signLine is the puppet's line that asks authd for a signature.
func signLine(t *testing.T, m []byte, scheme uint16) string {
	t.Helper()
	return authLine(t, &ipc.SignRequest{ID: 1, Scheme: scheme, Message: m})
}

func authLine(t *testing.T, body any) string {
	t.Helper()
	b, err := ipc.SessionAuthd.Encode(body)
	must(t, err)
	return "RAW auth " + hex.EncodeToString(b)
}

// TestAHijackedSessionCannotUseTheKey: the server's key signs handshakes, as many
// as there are connections, and nothing that a session could use elsewhere.
func TestAHijackedSessionCannotUseTheKey(t *testing.T) {
	needRoot(t)
	r := newRealm(t, "")
	const ecdsaP256 = 0x0403 // the certificate that was made at the start
	verify := append(append(bytes.Repeat([]byte{0x20}, 64), "TLS 1.3, server CertificateVerify\x00"...), make([]byte, 32)...)
	params := append(append(bytes.Repeat([]byte{7}, 64), 3, 0, 29, 32), make([]byte, 32)...)
	ask := authLine(t, &ipc.TLSAsk{})
	good := signLine(t, verify, ecdsaP256)
	login := "LOGIN bob builder"
	do := func(t *testing.T, p *puppet, lines ...string) {
		t.Helper()
		for i := 0; i+1 < len(lines); i += 2 {
			if got, ended := p.do(lines[i]); ended || got != lines[i+1] {
				t.Fatalf("%.60s: %q, ended %v, want %q", lines[i], got, ended, lines[i+1])
			}
		}
	}
	const answer, refused, granted = "WAIT auth", "refused", "SignReply"

	for name, line := range map[string]string{
		"any text":                   signLine(t, []byte("let mallory in"), ecdsaP256),
		"a digest":                   signLine(t, make([]byte, 32), ecdsaP256),
		"a client's message":         signLine(t, bytes.Replace(verify, []byte("server"), []byte("client"), 1), ecdsaP256),
		"a message with more in it":  signLine(t, append(bytes.Clone(verify), "more"...), ecdsaP256),
		"parameters of a bad point":  signLine(t, params[:len(params)-1], ecdsaP256),
		"a scheme of another key":    signLine(t, verify, 0x0804),
		"SHA-1":                      signLine(t, params, 0x0203),
		"a certificate of nobody's":  authLine(t, &ipc.SignRequest{ID: 99, Scheme: ecdsaP256, Message: verify}),
		"nothing, as often as it is": "SEND auth SignRequest",
	} {
		t.Run(name, func(t *testing.T) {
			p := r.client(t)
			do(t, p, ask, "ok", answer, "TLSOffer", line, "ok", answer, refused, line, "ok", answer, refused, line, "ok", answer, refused)
			if got, _ := p.do(answer); strings.HasPrefix(got, "SignReply") || got == refused || got == "TLSOffer" {
				t.Errorf("the channel is still there: %s", got)
			}
			if got, _ := p.do(login); got == "ok" {
				t.Error("a login afterwards")
			}
		})
	}
	t.Run("before certificates were asked for", func(t *testing.T) {
		do(t, r.client(t), good, "ok", answer, refused)
	})
	t.Run("more than one", func(t *testing.T) {
		do(t, r.client(t), ask, "ok", answer, "TLSOffer", good, "ok", answer, granted, good, "ok", answer, refused)
	})
	t.Run("without a data connection, after the login", func(t *testing.T) {
		do(t, r.client(t), ask, "ok", answer, "TLSOffer", good, "ok", answer, granted, login, "ok", good, "ok", answer, refused,
			signLine(t, params, ecdsaP256), "ok", answer, refused)
	})
	t.Run("two at once", func(t *testing.T) {
		p := r.client(t)
		do(t, p, ask, "ok", answer, "TLSOffer", good, "ok", answer, granted, good, "ok", good, "ok")
		if got, _ := p.do(answer); got == granted || got == refused {
			t.Errorf("the channel is still there: %s", got)
		}
	})
	t.Run("a login by a certificate that nobody has shown", func(t *testing.T) {
		p := r.client(t)
		do(t, p, authLine(t, &ipc.AuthRequest{User: "bob", Method: ipc.MethodCertificate}), "ok", answer, "AuthReply")
		if _, ended := p.do("SEND lane TakeFiles"); !ended && !p.gone() {
			t.Error("files were handed over")
		}
	})
	daemon.Until(t, "master to be told", func() bool { return strings.Contains(r.log.String(), "SignerAbuse") })
	if got, _ := r.client(t).do(login); got != "ok" {
		t.Errorf("a bystander's login: %s", got)
	}
}
