package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"sallyport/internal/policy"
)

// bytes64 is a number of bytes in an int64; "none" is 0, no limit.
var bytes64 = &Type{
	Name: "size", Unit: "bytes", Form: `a size such as 512 or "2GiB", at least 1 byte, or "none"`,
	read: func(v *value, dst any, report func(problem)) {
		if isNone(v) {
			*dst.(*int64) = 0
			return
		}
		n, p := sizeOf(v)
		switch {
		case p != nil:
			report(*p)
		case n == 0 || n > math.MaxInt64:
			report(problem{what: "is out of range"})
		default:
			*dst.(*int64) = int64(n)
		}
	},
	show: func(src any) string {
		if n := *src.(*int64); n > 0 {
			return quote(formatSize(uint64(n)))
		}
		return `"none"`
	},
}

// bytesFree is a number of bytes in a uint64, 0 included.
var bytesFree = &Type{
	Name: "size", Unit: "bytes", Form: `a size such as 512 or "2GiB"`,
	read: func(v *value, dst any, report func(problem)) {
		n, p := sizeOf(v)
		switch {
		case p != nil:
			report(*p)
		case n > 1<<60:
			report(problem{what: "is out of range"})
		default:
			*dst.(*uint64) = n
		}
	},
	show: func(src any) string { return quote(formatSize(*src.(*uint64))) },
}

// sizeOf reads a size, bare or with a unit.
func sizeOf(v *value) (uint64, *problem) {
	if s, isText := v.text(); isText {
		n, err := parseSize(s)
		if err != nil {
			return 0, &problem{what: err.Error(), near: quoteIf(nearSize(s))}
		}
		return n, nil
	}
	n, ok := v.number()
	if !ok {
		return 0, &problem{what: "is no size"}
	}
	return n, nil
}

// nearSize is what "20G", "5 MB" or "14" was meant to be.
func nearSize(s string) string {
	num := strings.TrimRight(s, "kKMmGgTtBbi ")
	if _, err := strconv.ParseUint(num, 10, 64); err != nil {
		return ""
	}
	switch unit := strings.ToUpper(strings.TrimSpace(s[len(num):])); {
	case unit == "", unit[0] == 'B':
		return num + "B"
	default:
		return num + unit[:1] + "iB"
	}
}

// speed is bytes a second; "none" is 0, no limit.
var speed = &Type{
	Name: "speed", Unit: "bytes a second", Form: `a speed such as "10KiB/s" or "2MiB/s", or "none"`,
	read: func(v *value, dst any, report func(problem)) {
		if isNone(v) {
			*dst.(*uint64) = 0
			return
		}
		s, _ := v.text()
		num, ok := strings.CutSuffix(s, "/s")
		n, err := parseSize(num)
		switch {
		case !ok && err == nil:
			report(problem{what: "is no speed", near: quote(s + "/s")})
		case err != nil:
			report(problem{what: "is no speed"})
		case n == 0 || n > 1<<50:
			report(problem{what: "is out of range"})
		default:
			*dst.(*uint64) = n
		}
	},
	show: func(src any) string {
		if n := *src.(*uint64); n > 0 {
			return quote(formatSize(n) + "/s")
		}
		return `"none"`
	},
}

// octal is a mode of files or directories.
var octal = &Type{
	Name: "mode", Unit: "octal", Form: `a mode such as "0700"`,
	read: func(v *value, dst any, report func(problem)) {
		s, ok := v.text()
		n, err := parseMode(s)
		if !ok || err != nil {
			p := problem{what: errMode.Error()}
			if _, isNumber := v.number(); isNumber {
				p.near = quote(v.src)
			}
			report(p)
			return
		}
		*dst.(*uint32) = n
	},
	show: func(src any) string { return fmt.Sprintf("\"%04o\"", *src.(*uint32)) },
}

var errNanos = errors.New("is no time")

// nanoUnits are the units of short times, the largest first; "ms" before "m".
var nanoUnits = []struct {
	name  string
	nanos int64
}{{"ms", 1e6}, {"us", 1e3}, {"h", 3600e9}, {"m", 60e9}, {"s", 1e9}}

// parseNanos reads "1500ms", "2s", "1m30s": at most a day.
func parseNanos(s string) (int64, error) {
	var total int64
	rest, last := s, int64(math.MaxInt64)
	for rest != "" {
		i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if i <= 0 || i > 9 {
			return 0, errNanos
		}
		n, err := strconv.ParseInt(rest[:i], 10, 64)
		if err != nil {
			return 0, errNanos
		}
		rest = rest[i:]
		unit := int64(0)
		for _, u := range nanoUnits {
			if strings.HasPrefix(rest, u.name) {
				unit, rest = u.nanos, rest[len(u.name):]
				break
			}
		}
		if unit == 0 || unit >= last || n > 86400e9/unit {
			return 0, errNanos
		}
		last = unit
		total += n * unit
	}
	if s == "" || total > 86400e9 {
		return 0, errNanos
	}
	return total, nil
}

func formatNanos(n int64) string {
	var b strings.Builder
	for _, u := range []struct {
		name  string
		nanos int64
	}{{"h", 3600e9}, {"m", 60e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}} {
		if q := n / u.nanos; q > 0 {
			fmt.Fprintf(&b, "%d%s", q, u.name)
			n %= u.nanos
		}
	}
	if b.Len() == 0 {
		return "0s"
	}
	return b.String()
}

// nanos is a short time.
func nanos(least, most int64) *Type {
	return &Type{
		Name: "duration", Unit: "nanoseconds",
		Form: fmt.Sprintf("a time such as \"500ms\" \"2s\", from %s to %s", formatNanos(least), formatNanos(most)),
		read: func(v *value, dst any, report func(problem)) {
			s, ok := v.text()
			if !ok {
				report(problem{what: "has no unit"})
				return
			}
			n, err := parseNanos(s)
			switch {
			case err != nil:
				report(problem{what: err.Error()})
			case n < least || n > most:
				report(problem{what: "is out of range"})
			default:
				*dst.(*int64) = n
			}
		},
		show: func(src any) string { return quote(formatNanos(*src.(*int64))) },
	}
}

// span is a time, or a range of times; "none" is no wait.
var span = &Type{
	Name: "durations", Unit: "nanoseconds", Form: `a time such as "500ms" "2s", a range such as "1s-2s", at most 1m, or "none"`,
	read: func(v *value, dst any, report func(problem)) {
		o := dst.(*policy.DelayEvent)
		if isNone(v) {
			o.Min, o.Max = 0, 0
			return
		}
		s, ok := v.text()
		if !ok {
			report(problem{what: "has no unit"})
			return
		}
		from, to, isRange := strings.Cut(s, "-")
		if !isRange {
			to = from
		}
		lo, err := parseNanos(from)
		hi, err2 := parseNanos(to)
		switch {
		case err != nil || err2 != nil:
			p := problem{what: "is neither a time nor a range of times"}
			if err != nil && err2 == nil && isRange { // "1-2s"
				if unit := strings.TrimLeft(to, "0123456789"); strings.TrimLeft(from, "0123456789") == "" && from != "" {
					p.near = quote(from + unit + "-" + to)
				}
			}
			report(p)
		case hi > 60e9:
			report(problem{what: "is longer than 1m"})
		case lo > hi || isRange && lo == hi:
			report(problem{what: "is a range from the longer to the shorter"})
		default:
			o.Min, o.Max = lo, hi
		}
	},
	show: func(src any) string {
		switch o := src.(*policy.DelayEvent); {
		case o.Max == 0:
			return `"none"`
		case o.Min == o.Max:
			return quote(formatNanos(o.Max))
		default:
			return quote(formatNanos(o.Min) + "-" + formatNanos(o.Max))
		}
	},
}

// sessionTime is timeout.session as a single value; with selectors it is blocks.
var sessionTime = &Type{
	Name: "duration", Unit: "seconds", Form: seconds(1, 30*86400, true).Form,
	read: func(v *value, dst any, report func(problem)) {
		var n uint32
		seconds(1, 30*86400, true).read(v, &n, report)
		o := dst.(*[]policy.TimeoutFor)
		*o = nil
		if n > 0 {
			*o = []policy.TimeoutFor{{Seconds: n, Selector: policy.Selector{Match: "any"}}}
		}
	},
	show: func(src any) string {
		switch o := *src.(*[]policy.TimeoutFor); {
		case len(o) == 0:
			return `"none"`
		case len(o) == 1 && everybody(&o[0].Selector):
			return quote(formatSeconds(uint64(o[0].Seconds)))
		}
		return ""
	},
}
