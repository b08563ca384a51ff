package keys

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ocsp"
)

// staple reads the OCSP response of a slot. One that cannot be used is never an
// error of the configuration: it is fetched by somebody else, perhaps later.
func (sl *slot) staple(s *Set, now time.Time) {
	if sl.c.Staple == "" {
		return
	}
	p := *sl.pair
	data, until, err := readStaple(sl.c.Staple, &p, now)
	text := ""
	if err != nil {
		text = fmt.Sprintf("OCSP response of certificate %q: %v; nothing is stapled", sl.c.File, err)
		if p.Staple(now) != nil {
			text = fmt.Sprintf("OCSP response of certificate %q: %v; the former one stays in force", sl.c.File, err)
		}
	} else {
		p.staple, p.until = data, until
		sl.pair = &p // the pair that was offered stays as it is
	}
	if text != "" && text != sl.stale {
		s.opt.Say(text)
	}
	sl.stale = text
}

func readStaple(path string, p *Pair, now time.Time) ([]byte, time.Time, error) {
	data, err := read(path, maxStaple, public, nil)
	if err != nil {
		return nil, time.Time{}, err
	}
	return checkStaple(path, data, p, now)
}

// checkStaple holds a response against the certificate that it is for.
func checkStaple(path string, data []byte, p *Pair, now time.Time) ([]byte, time.Time, error) {
	none := time.Time{}
	r, err := ocsp.ParseResponseForCert(data, p.leaf, p.issuer)
	switch {
	case err != nil:
		return nil, none, fmt.Errorf("%q: %w (a DER response for the first certificate of the chain is wanted)", path, err)
	case p.issuer == nil && r.SerialNumber.Cmp(p.leaf.SerialNumber) != 0:
		return nil, none, fmt.Errorf("%q is for another certificate", path)
	case r.Status != ocsp.Good:
		return nil, none, fmt.Errorf("%q does not say that the certificate is good", path)
	case r.ThisUpdate.After(now.Add(5 * time.Minute)):
		return nil, none, fmt.Errorf("%q is not valid yet", path)
	case !r.NextUpdate.IsZero() && now.After(r.NextUpdate):
		return nil, none, errors.New("it was to be replaced by " + r.NextUpdate.UTC().Format(time.DateTime))
	}
	return data, r.NextUpdate, nil
}
