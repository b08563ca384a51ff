package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sallyport/internal/policy"
)

const (
	laterNames = "addresses given by DNS name"
	laterGlobs = "address patterns"
)

// each reads a list item by item. A single value counts as a list of one, with
// a report that says how it is written.
func each(v *value, report func(problem), item func(i *value, s string)) {
	if !v.list {
		report(problem{what: "is no list", near: "[" + v.src + "]"})
		return
	}
	for i := range v.items {
		s, ok := v.items[i].text()
		if !ok {
			report(problem{at: &v.items[i], what: "is no text"})
			continue
		}
		item(&v.items[i], s)
	}
}

// passivePorts is a range of ports; "any" leaves the choice to the kernel.
var passivePorts = &Type{
	Name: "ports", Unit: "port", Form: `a range such as "49152-51151", within 1024-65535, or "any"`,
	read: func(v *value, dst any, report func(problem)) {
		o := dst.(*policy.Passive)
		s, _ := v.text()
		if s == "any" {
			o.Min, o.Max = 0, 0
			return
		}
		lo, hi, err := parseRange(s, 1024, 65535)
		if err != nil {
			report(problem{what: err.Error()})
			return
		}
		o.Min, o.Max = uint16(lo), uint16(hi)
	},
	show: func(src any) string {
		o := src.(*policy.Passive)
		if o.Min == 0 {
			return `"any"`
		}
		return fmt.Sprintf("\"%d-%d\"", o.Min, o.Max)
	},
}

// shownAddress is the address in 227; "local" is the control connection's.
var shownAddress = &Type{
	Name: "address", Form: `an IPv4 address or a host name in quotes, or "local"`,
	read: func(v *value, dst any, report func(problem)) {
		s, ok := v.text()
		if s == "local" {
			*dst.(*string) = ""
			return
		}
		a, err := netip.ParseAddr(s)
		switch {
		case !ok:
			report(problem{what: "is no text"})
		case err == nil && (a.IsUnspecified() || a.Zone() != "" || a.IsMulticast()):
			report(problem{what: "is no address a client could connect to"})
		case err == nil && !a.Unmap().Is4():
			report(problem{what: "is no IPv4 address, and the answer to PASV shows no other; EPSV shows none"})
		case err == nil:
			*dst.(*string) = a.Unmap().String()
		case isHostName(s) && isDomain(strings.TrimSuffix(s, ".")):
			*dst.(*string) = strings.ToLower(strings.TrimSuffix(s, "."))
		default:
			report(problem{what: "is neither an address nor a host name"})
		}
	},
	show: func(src any) string {
		if s := *src.(*string); s != "" {
			return quote(s)
		}
		return `"local"`
	},
}

// isHostName says whether s could be a DNS name.
func isHostName(s string) bool {
	return isWord(s, ".-_", 253) && strings.ContainsFunc(s, func(r rune) bool { return r > '9' })
}

// listenAddresses is a list of "address:port".
var listenAddresses = &Type{
	Name: "list of addresses", Form: `a list such as ["[::]:21"] or ["192.0.2.1:21", "[2001:db8::1]:21"]; port 0 takes a free one`,
	read: func(v *value, dst any, report func(problem)) {
		var out []string
		each(v, report, func(i *value, s string) {
			a, err := netip.ParseAddrPort(s)
			if err != nil {
				p := problem{at: i, what: "is no address with port"}
				if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
					p.near = quote(netip.AddrPortFrom(ip, 21).String())
				} else if host, port, _ := strings.Cut(s, ":"); host == "" || host == "*" {
					p.near = quote("[::]:" + port)
				}
				report(p)
				return
			}
			a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
			if c := a.String(); a.Port() != 0 && slices.Contains(out, c) {
				report(problem{at: i, what: "occurs twice"})
			} else {
				out = append(out, c)
			}
		})
		if v.list && len(v.items) == 0 {
			report(problem{what: "is empty"})
		}
		if len(out) > 64 {
			report(problem{what: "has more than 64 addresses"})
			return
		}
		*dst.(*[]string) = out
	},
	show: func(src any) string { return quoteList(*src.(*[]string)) },
}

// localAddresses is a list of addresses, with or without a port.
var localAddresses = &Type{
	Name: "list of addresses", Form: `a list of addresses clients call, with or without a port: ["192.0.2.21", "[2001:db8::21]:2121"]`,
	read: func(v *value, dst any, report func(problem)) {
		var out []string
		each(v, report, func(i *value, s string) {
			c := ""
			if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" && !a.IsUnspecified() {
				c = a.Unmap().String()
			} else if a, err := netip.ParseAddrPort(s); err == nil && a.Addr().Zone() == "" && !a.Addr().IsUnspecified() && a.Port() > 0 {
				c = netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
			}
			switch {
			case c == "" && isHostName(s):
				report(problem{at: i, what: quote(s), later: laterNames})
			case c == "":
				report(problem{at: i, what: "is no address of this machine"})
			case slices.Contains(out, c):
				report(problem{at: i, what: "occurs twice"})
			default:
				out = append(out, c)
			}
		})
		if v.list && len(v.items) == 0 {
			report(problem{what: "is empty"})
		}
		*dst.(*[]string) = out
	},
	show: func(src any) string { return quoteList(*src.(*[]string)) },
}

// clientAddresses is an address selector's list, someClients one that may be
// empty.
var (
	clientAddresses = addressItems(false)
	someClients     = addressItems(true)
)

func addressItems(empty bool) *Type {
	return &Type{
		Name: "list of addresses", Form: `a list of addresses, networks or "all", each perhaps with "!": ["10.0.0.0/8", "!10.9.9.9"]`,
		read: func(v *value, dst any, report func(problem)) {
			var out []policy.AddressItem
			each(v, report, func(i *value, s string) {
				rest, not := strings.CutPrefix(s, "!")
				prefix, p := prefixOf(rest)
				if p != nil {
					p.at = i
					report(*p)
				}
				if prefix != "" {
					out = append(out, policy.AddressItem{Not: not, Prefix: prefix})
				}
			})
			if v.list && len(v.items) == 0 && !empty {
				report(problem{what: "is empty"})
			}
			*dst.(*[]policy.AddressItem) = out
		},
		show: func(src any) string {
			var s []string
			for _, i := range *src.(*[]policy.AddressItem) {
				s = append(s, bang(i.Not, i.Prefix))
			}
			return quoteList(s)
		},
	}
}

func bang(not bool, s string) string {
	if not {
		return "!" + s
	}
	return s
}

// prefixOf makes an address or a network canonical.
func prefixOf(s string) (string, *problem) {
	if s == "all" {
		return s, nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()).String(), nil
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		if p.Addr().Is4In6() {
			if p.Bits() < 96 {
				return "", &problem{what: "is wider than the IPv4 addresses it maps"}
			}
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		m := p.Masked()
		if m != p {
			return m.String(), &problem{what: "has bits set beyond its length", right: "it means " + quote(m.String()), warn: true}
		}
		return m.String(), nil
	}
	switch {
	case strings.ContainsAny(s, "*?") || strings.HasSuffix(s, "."):
		return "", &problem{what: quote(s), later: laterGlobs, right: `now: a network such as "10.1.0.0/16"`}
	case isHostName(strings.TrimPrefix(s, ".")):
		return "", &problem{what: quote(s), later: laterNames, right: "now: an address or a network"}
	}
	return "", &problem{what: "is neither an address nor a network"}
}
