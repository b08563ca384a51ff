package keys

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// revocations is the configured CRLs (RFC 5280 §5).
type revocations struct{ lists []*list }

type list struct {
	crl     *x509.RevocationList
	serials map[string]bool
	signer  []byte // the certificate that the signature was found to be by
}

func readLists(paths []string) (*revocations, error) {
	r := &revocations{}
	for _, path := range paths {
		data, err := read(path, maxLists, decides, nil)
		if err != nil {
			return nil, fmt.Errorf("CRL: %w", err)
		}
		before := len(r.lists)
		if !bytes.Contains(data, []byte("-----BEGIN")) {
			err = r.add(data)
		}
		for bytes.Contains(data, []byte("-----BEGIN")) && err == nil {
			var b *pem.Block
			if b, data = pem.Decode(data); b == nil {
				break
			}
			if b.Type == "X509 CRL" {
				err = r.add(b.Bytes)
			}
		}
		if err == nil && len(r.lists) == before {
			err = errors.New("no revocation list in it (PEM wants a line -----BEGIN X509 CRL-----)")
		}
		if err != nil {
			return nil, fmt.Errorf("CRL %q: %w", path, err)
		}
	}
	return r, nil
}

func (r *revocations) add(der []byte) error {
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		return err
	}
	for _, e := range crl.Extensions { // a list for part of the certificates, or a difference to another list
		if e.Critical {
			return fmt.Errorf("its extension %s is critical and not understood: a complete list of one CA is wanted", e.Id)
		}
	}
	l := &list{crl: crl, serials: make(map[string]bool, len(crl.RevokedCertificateEntries))}
	for _, e := range crl.RevokedCertificateEntries {
		for _, x := range e.Extensions {
			if x.Critical {
				return fmt.Errorf("the extension %s of an entry is critical and not understood: a complete list of one CA is wanted", x.Id)
			}
		}
		l.serials[e.SerialNumber.String()] = true
	}
	r.lists = append(r.lists, l)
	return nil
}

// check holds every certificate of a verified chain but the root against the
// list of its issuer. No list that is valid now refuses.
func (r *revocations) check(chain []*x509.Certificate, now time.Time) error {
	for i, c := range chain[:len(chain)-1] {
		by, current, old := chain[i+1], false, false
		for _, l := range r.lists {
			if !l.by(by) {
				continue
			}
			if l.serials[c.SerialNumber.String()] {
				return fmt.Errorf("it is revoked (serial %x of %s)", c.SerialNumber, subject(by))
			}
			if l.crl.NextUpdate.IsZero() || now.After(l.crl.NextUpdate) || now.Before(l.crl.ThisUpdate) {
				old = true
				continue
			}
			current = true
		}
		switch {
		case current:
		case old:
			return fmt.Errorf("the revocation list of %s has expired", subject(by))
		default:
			return fmt.Errorf("there is no revocation list of %s", subject(by))
		}
	}
	return nil
}

// by tells whether c has signed the list; a long one is hashed for that once.
func (l *list) by(c *x509.Certificate) bool {
	switch {
	case !bytes.Equal(l.crl.RawIssuer, c.RawSubject):
		return false
	case bytes.Equal(l.signer, c.Raw):
		return true
	case l.crl.CheckSignatureFrom(c) != nil:
		return false
	}
	l.signer = c.Raw
	return true
}
