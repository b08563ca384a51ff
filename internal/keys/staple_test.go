package keys

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

func (h *house) response(by *entity, r ocsp.Response) []byte {
	h.t.Helper()
	r.IssuerHash = crypto.SHA256
	if r.ThisUpdate.IsZero() {
		r.ThisUpdate, r.NextUpdate = today.Add(-time.Hour), today.Add(24*time.Hour)
	}
	der, err := ocsp.CreateResponse(by.cert, by.cert, r, by.key)
	if err != nil {
		h.t.Fatal(err)
	}
	return der
}

func TestStaples(t *testing.T) {
	h := newHouse(t)
	ca, other := newCA(t, "CA", nil), newCA(t, "CA", nil)
	e, second := issue(t, ca, ecKey(elliptic.P256()), nil), issue(t, ca, ecKey(elliptic.P256()), nil)
	good := h.response(ca, ocsp.Response{SerialNumber: e.cert.SerialNumber})
	for _, x := range []struct {
		name string
		data []byte // nil: no file
		want string // said; "": it is stapled
	}{
		{"good", good, ""},
		{"missing", nil, "no such file"},
		{"of another certificate", h.response(ca, ocsp.Response{SerialNumber: second.cert.SerialNumber}), "nothing is stapled"},
		{"of another CA", h.response(other, ocsp.Response{SerialNumber: e.cert.SerialNumber}), "nothing is stapled"},
		{"revoked", h.response(ca, ocsp.Response{SerialNumber: e.cert.SerialNumber, Status: ocsp.Revoked, RevokedAt: today}), "does not say that the certificate is good"},
		{"old", h.response(ca, ocsp.Response{SerialNumber: e.cert.SerialNumber, ThisUpdate: today.Add(-48 * time.Hour), NextUpdate: today.Add(-time.Hour)}), "was to be replaced by 2026-03-04 11:00:00"},
		{"of the future", h.response(ca, ocsp.Response{SerialNumber: e.cert.SerialNumber, ThisUpdate: today.Add(time.Hour), NextUpdate: today.Add(2 * time.Hour)}), "is not valid yet"},
		{"garbage", []byte("hello"), "nothing is stapled"},
		{"PEM", append([]byte("-----BEGIN OCSP RESPONSE-----\n"), good...), "a DER response for the first certificate of the chain is wanted"},
		{"too long", make([]byte, maxStaple+1), "at most 8192 are allowed"},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := h.pair("a", e, ca)
			c.Staple = h.path("none")
			if x.data != nil {
				c.Staple = h.path("staple")
				h.write("staple", 0o644, x.data)
			}
			h.said = nil
			got := h.open(c).Offer()[0].Staple(h.now)
			if x.want == "" {
				if !bytes.Equal(got, x.data) || len(h.said) > 0 {
					t.Errorf("%d bytes are stapled; %q", len(got), h.said)
				}
				return
			}
			if got != nil {
				t.Error("it is stapled")
			}
			h.hear(x.want)
		})
	}
}

func TestAStapleIsRenewedAndRunsOut(t *testing.T) {
	h := newHouse(t)
	ca := newCA(t, "CA", nil)
	e := issue(t, ca, ecKey(elliptic.P256()), nil)
	c := h.pair("a", e, ca)
	c.Staple = h.path("staple")
	host := h.open(c)
	h.hear("nothing is stapled")
	first := h.response(ca, ocsp.Response{SerialNumber: e.cert.SerialNumber})
	h.write("staple", 0o644, first)
	h.later()
	if got := host.Offer()[0].Staple(h.now); !bytes.Equal(got, first) {
		t.Error("a response that came later is not stapled")
	}
	h.write("staple", 0o644, []byte("nonsense"))
	h.later()
	if got := host.Offer()[0].Staple(h.now); !bytes.Equal(got, first) {
		t.Error("a bad response took away the good one")
	}
	h.hear("the former one stays in force")
	h.now = today.Add(25 * time.Hour)
	if got := host.Offer()[0].Staple(h.now); got != nil {
		t.Error("a response is stapled after its time")
	}
	// a new certificate does not get the old one's response
	h.now = today
	h.write("staple", 0o644, first)
	h.later()
	h.write("a.pem", 0o644, certPEM(issue(t, ca, e.key, nil), ca))
	h.later()
	if got := host.Offer()[0].Staple(h.now); got != nil {
		t.Error("the response of the former certificate is stapled")
	}
}

func FuzzStaple(f *testing.F) {
	h := newHouse(f)
	ca := newCA(f, "CA", nil)
	e := issue(f, ca, ecKey(elliptic.P256()), nil)
	f.Add(h.response(ca, ocsp.Response{SerialNumber: e.cert.SerialNumber}))
	f.Add([]byte{0x30, 0x03, 0x0a, 0x01, 0x06})
	p, err := loadPair(h.pair("a", e, ca), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		if len(der) == 0 || len(der) > maxStaple {
			return
		}
		if data, _, err := checkStaple("staple", der, p, today); err == nil {
			r, err := ocsp.ParseResponseForCert(data, e.cert, ca.cert)
			if err != nil || r.Status != ocsp.Good {
				t.Fatal("a response is stapled that is not good")
			}
		}
	})
}

// FuzzPEM: whatever lies in a certificate file, reading it ends.
func FuzzPEM(f *testing.F) {
	e := issue(f, nil, ecKey(elliptic.P256()), nil)
	f.Add(append(certPEM(e), keyPEM(f, e.key)...))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		chain, key, err := parsePEM(data)
		if err != nil && (chain != nil || key != nil) {
			t.Fatal("an error and a result")
		}
		if len(chain) > maxCerts {
			t.Fatal("too many certificates")
		}
	})
}
