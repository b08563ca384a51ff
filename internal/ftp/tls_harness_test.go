package ftp

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/ipc"
	"sallyport/ipc/blob"
)

// pairOf is a certificate and its key, which authd alone has.
type pairOf struct {
	der []byte
	key crypto.Signer
}

func selfSigned(name string, key crypto.Signer) pairOf {
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return pairOf{der, key}
}

var (
	ecdsaPair = sync.OnceValue(func() pairOf { return selfSigned("one.test", newECDSA(elliptic.P256())) })
	p384Pair  = sync.OnceValue(func() pairOf { return selfSigned("one.test", newECDSA(elliptic.P384())) })
	otherPair = sync.OnceValue(func() pairOf { return selfSigned("two.test", newECDSA(elliptic.P256())) })
	rsaPair   = sync.OnceValue(func() pairOf {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return selfSigned("one.test", k)
	})
)

func newECDSA(c elliptic.Curve) crypto.Signer {
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

// vault plays authd's part of TLS.
type vault struct {
	mu     sync.Mutex
	pairs  []pairOf
	asks   int
	signs  []ipc.SignRequest
	refuse bool // to sign
	judge  func(chain []byte) ipc.ClientVerdict
}

func (v *vault) answer(body any) any {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch q := body.(type) {
	case *ipc.TLSAsk:
		v.asks++
		r := ipc.TLSOffer{}
		for i, p := range v.pairs {
			r.Certificates = append(r.Certificates, ipc.OfferedCertificate{ID: uint32(i + 1), Chain: p.der, Staple: []byte("staple")})
		}
		return r
	case *ipc.SignRequest:
		v.signs = append(v.signs, *q)
		if v.refuse || int(q.ID) > len(v.pairs) || q.ID == 0 {
			return ipc.SignReply{}
		}
		sig, err := signAs(v.pairs[q.ID-1].key, q)
		if err != nil {
			return ipc.SignReply{}
		}
		return ipc.SignReply{Signature: sig}
	case *ipc.ClientCertificate:
		if v.judge == nil {
			return ipc.ClientVerdict{}
		}
		return v.judge(q.Chain)
	}
	return nil
}

// signAs signs the whole message by the scheme that the request names.
func signAs(key crypto.Signer, q *ipc.SignRequest) ([]byte, error) {
	var h crypto.Hash
	switch q.Scheme & 0xff00 {
	case 0x0400:
		h = crypto.SHA256
	case 0x0500:
		h = crypto.SHA384
	case 0x0600:
		h = crypto.SHA512
	case 0x0800:
		h = map[uint16]crypto.Hash{0x0804: crypto.SHA256, 0x0805: crypto.SHA384, 0x0806: crypto.SHA512}[q.Scheme]
	}
	var digest []byte
	switch h {
	case crypto.SHA256:
		d := sha256.Sum256(q.Message)
		digest = d[:]
	case crypto.SHA384:
		d := sha512.Sum384(q.Message)
		digest = d[:]
	case crypto.SHA512:
		d := sha512.Sum512(q.Message)
		digest = d[:]
	default:
		return nil, fmt.Errorf("scheme %#x", q.Scheme)
	}
	var opts crypto.SignerOpts = h
	if q.Scheme&0xff00 == 0x0800 {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}
	}
	return key.Sign(rand.Reader, digest, opts)
}

func (v *vault) counts() (asks, signs int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asks, len(v.signs)
}

// withTLS is ordinary with TLS, as the defaults of the configuration have it.
func withTLS(pairs ...pairOf) (setup, *vault) {
	o := ordinary()
	o.View.TLS = policy.TLSSession{
		Engine: true, Required: "off", Reuse: "require", Protocols: []string{"1.2", "1.3"}, Client: "off", Handshake: 20,
	}
	if pairs == nil {
		pairs = []pairOf{ecdsaPair()}
	}
	v := &vault{pairs: pairs}
	o.Authd = v.answer
	return o, v
}

// hosts answers SelectHost and ProxyHeader.
func (w *world) hosts(q any) {
	if w.o.Lane == nil {
		w.t.Errorf("%T was not expected", q)
		w.answer(ipc.HostSelected{Refused: true})
		return
	}
	r, view := w.o.Lane(w, q)
	if view == nil {
		w.answer(r)
		return
	}
	fd, err := blob.Seal("session", view)
	if err != nil {
		w.t.Error(err)
		return
	}
	w.answer(r, fd)
	unix.Close(fd)
}

// tickets is a client's memory of sessions. With once it is one for single use.
type tickets struct {
	mu   sync.Mutex
	once bool
	last *tls.ClientSessionState
	got  int
}

func (c *tickets) Get(string) (*tls.ClientSessionState, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.last
	if c.once {
		c.last = nil
	}
	return s, s != nil
}

func (c *tickets) Put(_ string, s *tls.ClientSessionState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s != nil {
		c.last = s
		c.got++
	}
}

// tlsClient is what a client of the tests knows and does.
func tlsClient(version uint16) *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, ServerName: "one.test",
		ClientSessionCache: &tickets{}, DynamicRecordSizingDisabled: true,
	}
}

// shake runs AUTH TLS and the handshake.
func (w *world) shake(conf *tls.Config) error {
	w.t.Helper()
	w.want("234 AUTH TLS successful", "AUTH TLS")
	return w.cover(conf)
}

// cover puts the control connection under TLS.
func (w *world) cover(conf *tls.Config) error {
	w.t.Helper()
	_ = w.client.SetDeadline(time.Now().Add(patience))
	c := tls.Client(w.client, conf)
	if err := c.Handshake(); err != nil {
		return err
	}
	w.client, w.in = c, bufio.NewReader(c)
	return nil
}

// privateLogin is everything up to the first transfer.
func (w *world) privateLogin(conf *tls.Config) {
	w.t.Helper()
	must(w.t, w.shake(conf))
	w.login()
	w.want("200 PBSZ 0 successful", "PBSZ 0")
	w.want("200 Protection set to Private", "PROT P")
}

// upload stores a file under TLS. With read it reads the server's end of the
// stream, as some clients do and some do not.
func (w *world) upload(conf *tls.Config, name, data string, read bool) string {
	w.t.Helper()
	raw := w.passive()
	w.want("150", "STOR "+name)
	c := tls.Client(raw, conf)
	if err := c.Handshake(); err != nil {
		raw.Close()
		return w.reply()
	}
	_, err := io.WriteString(c, data)
	if err == nil {
		err = c.CloseWrite()
	}
	if err == nil && read {
		_, err = io.Copy(io.Discard, c)
	}
	if !read {
		raw.(*net.TCPConn).CloseWrite()
	}
	r := w.reply()
	raw.Close()
	if err != nil && strings.HasPrefix(r, "226") {
		w.t.Fatalf("upload: %v", err)
	}
	return r
}

// download fetches by a command under TLS; the stream has to end by a
// close_notify.
func (w *world) download(conf *tls.Config, command string) (data, last string) {
	w.t.Helper()
	raw := &spy{Conn: w.passive()}
	w.want("150", command)
	c := tls.Client(raw, conf)
	defer raw.Close()
	if err := c.Handshake(); err != nil {
		return "", w.reply()
	}
	b, err := io.ReadAll(c)
	last = w.reply()
	if strings.HasPrefix(last, "226") && (err != nil || raw.ended) {
		w.t.Fatalf("download: %v, end of the connection without close_notify: %t", err, raw.ended)
	}
	return string(b), last
}

// spy notes whether the end of a connection was read.
type spy struct {
	net.Conn
	ended bool
}

func (s *spy) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if errors.Is(err, io.EOF) {
		s.ended = true
	}
	return n, err
}

// report waits for an event whose detail holds the text.
func (w *world) report(event, text string) {
	w.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		w.mu.Lock()
		for _, r := range w.reports {
			if r.Event == event && strings.Contains(r.Detail, text) {
				w.mu.Unlock()
				return
			}
		}
		w.mu.Unlock()
		select {
		case <-w.lost:
			if !w.reported(event, text) {
				w.t.Fatalf("no event %s with %q; there are %v", event, text, w.reports)
			}
			return
		default:
		}
	}
	w.t.Fatalf("no event %s with %q", event, text)
}

func (w *world) reported(event, text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.reports {
		if r.Event == event && strings.Contains(r.Detail, text) {
			return true
		}
	}
	return false
}

// random makes bytes that no compression shrinks.
func random(n int) string {
	var b bytes.Buffer
	_, _ = io.CopyN(&b, rand.Reader, int64(n))
	return b.String()
}
