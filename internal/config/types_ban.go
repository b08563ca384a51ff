package config

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/ban"
	"sallyport/internal/policy"
)

// longestBan is the longest time of a ban that ends, in seconds: ten years.
const longestBan = 3650 * 86400

// long is a time of seconds, kept in nanoseconds; "none" is 0.
func long(least, most uint64, none bool) *Type {
	whole := seconds(least, most, none)
	return &Type{
		Name: whole.Name, Unit: "nanoseconds", Form: whole.Form,
		read: func(v *value, dst any, report func(problem)) {
			var n uint32
			ok := true
			whole.read(v, &n, func(p problem) {
				if s, isText := v.text(); isText && p.near == "" {
					if secs, isClock := clock(s); isClock && secs >= least && secs <= most {
						p.near = quote(formatSeconds(secs))
					}
				}
				ok = ok && p.warn
				report(p)
			})
			if ok {
				*dst.(*int64) = int64(n) * 1e9
			}
		},
		show: func(src any) string {
			n := uint32(*src.(*int64) / 1e9)
			return whole.show(&n)
		},
	}
}

// clock reads hh:mm:ss, the reference's way to write a time, to suggest ours.
func clock(s string) (secs uint64, ok bool) {
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return 0, false
	}
	for _, p := range parts {
		n, err := strconv.ParseUint(p, 10, 8)
		if err != nil || len(p) > 2 {
			return 0, false
		}
		secs = secs*60 + n
	}
	return secs, true
}

// ruleRate is how often an event must happen within what time.
var ruleRate = &Type{
	Name: "rate", Unit: "events per time", Form: `a rate such as "2/10m" or "100/1h", within at most 7d`,
	read: func(v *value, dst any, report func(problem)) {
		s, _ := v.text()
		n, nanos, err := parseRate(s)
		switch {
		case err != nil:
			p := problem{what: err.Error()}
			if num, per, _ := strings.Cut(s, "/"); num != "" {
				if secs, ok := clock(per); ok && secs > 0 {
					p.near = quote(num + "/" + formatSeconds(secs))
				}
			}
			report(p)
		case n > maxEvents:
			report(problem{what: "is out of range", right: fmt.Sprintf("at most %d events are counted", maxEvents)})
		default:
			r := dst.(*policy.BanRule)
			r.Count, r.Window = n, nanos
		}
	},
	show: func(src any) string {
		r := src.(*policy.BanRule)
		if r.Count == 0 {
			return ""
		}
		return quote(formatRate(r.Count, r.Window))
	},
}

const maxEvents = 1_000_000

// times is by how much a ban grows: "x4"; "none" is 0.
var times = &Type{
	Name: "factor", Form: `a factor from "x2" to "x1000", or "none"`,
	read: func(v *value, dst any, report func(problem)) {
		if isNone(v) {
			*dst.(*uint32) = 0
			return
		}
		s, _ := v.text()
		num, ok := strings.CutPrefix(s, "x")
		n, err := strconv.ParseUint(num, 10, 32)
		switch {
		case !ok || err != nil:
			p := problem{what: "is no factor"}
			if n, isNumber := v.number(); isNumber && n >= 2 && n <= 1000 {
				p.near = quote(fmt.Sprint("x", n))
			}
			report(p)
		case n < 2 || n > 1000:
			report(problem{what: "is out of range"})
		default:
			*dst.(*uint32) = uint32(n)
		}
	},
	show: func(src any) string {
		if n := *src.(*uint32); n > 1 {
			return quote(fmt.Sprint("x", n))
		}
		return `"none"`
	},
}

// observing is ban.mode.
var observing = &Type{
	Name: "word", Form: `one of "enforce" "observe"`,
	read: func(v *value, dst any, report func(problem)) {
		word := "enforce"
		if *dst.(*bool) {
			word = "observe"
		}
		choice([]string{"enforce", "observe"}, nil).read(v, &word, report)
		*dst.(*bool) = word == "observe"
	},
	show: func(src any) string {
		if *src.(*bool) {
			return `"observe"`
		}
		return `"enforce"`
	},
}

// bits is the length of a prefix.
func bits(least, most uint64) *Type {
	n := count(least, most, false)
	return &Type{
		Name: n.Name, Unit: "bits", Form: n.Form,
		read: func(v *value, dst any, report func(problem)) {
			x := uint32(*dst.(*uint8))
			n.read(v, &x, report)
			*dst.(*uint8) = uint8(x)
		},
		show: func(src any) string { return strconv.Itoa(int(*src.(*uint8))) },
	}
}

// aggregates is how many banned prefixes make a wider one, the narrower first.
var aggregates = &Type{
	Name: "list", Form: `a list such as ["8 of /56", "16 of /48"]: 2 to 65536 bans, of /16 to /127; []: none`,
	read: func(v *value, dst any, report func(problem)) {
		var out []policy.BanAggregate
		each(v, report, func(i *value, s string) {
			num, length, ok := strings.Cut(s, " of /")
			n, err := strconv.ParseUint(num, 10, 32)
			b, err2 := strconv.ParseUint(length, 10, 8)
			switch {
			case !ok || err != nil || err2 != nil:
				report(problem{at: i, what: "is no number of bans of a prefix"})
			case n < 2 || n > 65536 || b < 16 || b > 127:
				report(problem{at: i, what: "is out of range"})
			case slices.ContainsFunc(out, func(a policy.BanAggregate) bool { return uint64(a.Bits) == b }):
				report(problem{at: i, what: "has a length that occurs twice"})
			default:
				out = append(out, policy.BanAggregate{Bits: uint8(b), Count: uint32(n)})
			}
		})
		slices.SortFunc(out, func(a, b policy.BanAggregate) int { return cmp.Compare(b.Bits, a.Bits) })
		*dst.(*[]policy.BanAggregate) = out
	},
	show: func(src any) string {
		var s []string
		for _, a := range *src.(*[]policy.BanAggregate) {
			s = append(s, fmt.Sprintf("%d of /%d", a.Count, a.Bits))
		}
		return quoteList(s)
	},
}

// spared is a list of addresses and networks that are never banned.
var spared = &Type{
	Name: prefixes.Name, Form: prefixes.Form,
	read: func(v *value, dst any, report func(problem)) {
		var out []policy.AddressItem
		each(v, report, func(i *value, s string) {
			prefix, p := prefixOf(s)
			switch {
			case s == "all":
				p = &problem{what: "is everybody", right: "where nobody is to be banned, write engine = false"}
			case strings.HasPrefix(s, "!"):
				p = &problem{what: "is no network; the list says who is never banned"}
			case slices.Contains(out, policy.AddressItem{Prefix: prefix}):
				p = &problem{what: "occurs twice"}
			case prefix != "":
				out = append(out, policy.AddressItem{Prefix: prefix})
			}
			if p != nil {
				p.at = i
				report(*p)
			}
		})
		if len(out) > maxSpared {
			report(problem{what: fmt.Sprintf("has more than %d networks", maxSpared)})
			return
		}
		*dst.(*[]policy.AddressItem) = out
	},
	show: func(src any) string {
		var s []string
		for _, i := range *src.(*[]policy.AddressItem) {
			s = append(s, i.Prefix)
		}
		return quoteList(s)
	},
}

// classNames is a list of classes, perhaps an empty one.
var classNames = &Type{
	Name: names.Name, Form: `a list of classes: ["trusted"]`,
	read: names.read,
	show: func(src any) string { return quoteList(*src.(*[]string)) },
}

// maxSpared bounds ban.never: every event looks through it.
const maxSpared = 1024

// eventName is what a rule is about; case does not matter, and the reference's
// internal names are those of its rules. What nothing raises is told.
var eventName = &Type{
	Name: "event", Form: `an event of docs/BANS.md`,
	read: func(v *value, dst any, report func(problem)) {
		s, _ := v.text()
		if what := badName(s); what != "" {
			report(problem{what: what})
			return
		}
		event, known := ban.Canonical(s)
		if !known {
			report(problem{
				what: "is no event of this server", warn: true, near: quoteIf(nearestFold(s, ban.EventNames())), right: "the rule waits for an event of that name, which nothing raises by itself",
			})
		}
		*dst.(*string) = event
	},
	show: func(src any) string { return quote(*src.(*string)) },
}

// nearestFold is nearest whatever the case.
func nearestFold(word string, candidates []string) string {
	lower := make([]string, len(candidates))
	for i, c := range candidates {
		lower[i] = strings.ToLower(c)
	}
	if i := slices.Index(lower, nearest(strings.ToLower(word), lower)); i >= 0 {
		return candidates[i]
	}
	return ""
}

// peer is the address of a store: an address or name, and a port.
var peer = &Type{
	Name: "address", Form: `an address or host name with a port: "192.0.2.5:6379" "[2001:db8::5]:6379" "redis.example.org:6379"`,
	read: func(v *value, dst any, report func(problem)) {
		s, ok := v.text()
		if !ok {
			report(problem{what: "is no text"})
			return
		}
		host, port, err := net.SplitHostPort(s)
		n, err2 := strconv.ParseUint(port, 10, 16)
		if err != nil || err2 != nil || n == 0 {
			report(problem{what: "is no address with a port"})
			return
		}
		if a, err := netip.ParseAddr(host); err == nil && a.Zone() == "" && !a.IsUnspecified() && !a.IsMulticast() {
			host = a.Unmap().String()
		} else if isHostName(host) && isDomain(strings.TrimSuffix(host, ".")) {
			host = strings.ToLower(strings.TrimSuffix(host, "."))
		} else {
			report(problem{what: "names no machine"})
			return
		}
		*dst.(*string) = net.JoinHostPort(host, strconv.FormatUint(n, 10))
	},
	show: func(src any) string { return quote(*src.(*string)) },
}

// keyPrefix is what keys in a store begin with: memcached takes neither blanks
// nor long keys.
var keyPrefix = &Type{
	Name: "text", Form: "a text in quotes without blanks, at most 64 bytes of ASCII",
	read: func(v *value, dst any, report func(problem)) {
		s, ok := v.text()
		switch {
		case !ok:
			report(problem{what: "is no text"})
		case len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
			report(problem{what: "is no beginning of keys"})
		default:
			*dst.(*string) = s
		}
	},
	show: func(src any) string { return quote(*src.(*string)) },
}
