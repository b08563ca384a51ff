package control

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"sallyport/internal/logging"
)

// quote bounds and escapes what a client sent, for an error's text.
func quote(s string) string {
	if len(s) > MaxName {
		s = s[:MaxName]
	}
	return logging.Quote(s)
}

func (r *KickRequest) validate() error {
	if n := len(r.Names); n == 0 || n > MaxNames {
		return fmt.Errorf("kick takes 1 to %d names, not %d", MaxNames, n)
	}
	if r.Max < 0 {
		return fmt.Errorf("at most %d sessions: not a positive number", r.Max)
	}
	if len(r.Text) > MaxName {
		return fmt.Errorf("text of %d bytes: the limit is %d", len(r.Text), MaxName)
	}
	if strings.ContainsFunc(r.Text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return errors.New("text with control characters")
	}
	for i, n := range r.Names {
		if n == "" || len(n) > MaxName {
			return fmt.Errorf("name %d has %d bytes: 1 to %d are allowed", i+1, len(n), MaxName)
		}
		switch r.By {
		case KickUser, KickClass:
		case KickSession:
			if _, err := strconv.ParseUint(n, 10, 64); err != nil {
				return fmt.Errorf("session %s: not a number", quote(n))
			}
		case KickHost:
			if _, err := ParseHost(n); err != nil {
				return err
			}
		default:
			return fmt.Errorf("kick by %s: not one of user, host, class, session", quote(r.By))
		}
	}
	return nil
}

// ParseHost reads an address or a prefix as kick host takes it: an address is
// the prefix of its full length, v4-mapped ones are IPv4. Names are not
// resolved: the daemon asks no name server.
func ParseHost(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("host %s: neither an address nor a prefix", quote(s))
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("host %s: a v4-mapped prefix shorter than 96 bits", quote(s))
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

func (r *ShutdownRequest) validate() error {
	if r.GraceSeconds < 0 || r.GraceSeconds > MaxGrace {
		return fmt.Errorf("grace of %d seconds: 0 to %d are allowed", r.GraceSeconds, MaxGrace)
	}
	return nil
}

func (r *TraceRequest) validate() error {
	if len(r.Set) > MaxNames {
		return fmt.Errorf("%d trace channels: at most %d are allowed", len(r.Set), MaxNames)
	}
	for _, l := range r.Set {
		if l.Channel == "" || len(l.Channel) > MaxName {
			return fmt.Errorf("trace channel of %d bytes: 1 to %d are allowed", len(l.Channel), MaxName)
		}
		if l.Level < 0 || l.Level > MaxTraceLevel {
			return fmt.Errorf("trace channel %s: level %d is not within 0 to %d", quote(l.Channel), l.Level, MaxTraceLevel)
		}
	}
	return nil
}
