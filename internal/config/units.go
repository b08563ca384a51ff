package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units of time in seconds, the largest first.
var timeUnits = []struct {
	name string
	secs uint64
}{{"w", 7 * 86400}, {"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}}

var (
	errTime = errors.New("is no time")
	errSize = errors.New("is no size")
	errRate = errors.New("is no rate")
	errMode = errors.New("is no octal mode")
	errPort = errors.New("is no range of ports")
)

// parseSeconds reads "90s", "10m", "1h30m", "7d".
func parseSeconds(s string) (uint64, error) {
	var total uint64
	rest, last := s, uint64(math.MaxUint64)
	for rest != "" {
		i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if i <= 0 || i > 10 {
			return 0, errTime
		}
		n, err := strconv.ParseUint(rest[:i], 10, 64)
		if err != nil {
			return 0, errTime
		}
		rest = rest[i:]
		var secs uint64
		for _, u := range timeUnits {
			if strings.HasPrefix(rest, u.name) {
				secs, rest = u.secs, rest[len(u.name):]
				break
			}
		}
		if secs == 0 || secs >= last { // each unit once, the largest first
			return 0, errTime
		}
		last = secs
		total += n * secs // at most 10 digits times a week: no overflow
	}
	if s == "" {
		return 0, errTime
	}
	return total, nil
}

// formatSeconds writes seconds the shortest way: "1h30m".
func formatSeconds(n uint64) string {
	if n == 0 {
		return "0s"
	}
	var b strings.Builder
	for _, u := range timeUnits[1:] { // weeks are read, never written
		if q := n / u.secs; q > 0 {
			fmt.Fprintf(&b, "%d%s", q, u.name)
			n %= u.secs
		}
	}
	return b.String()
}

var sizeUnits = []struct {
	name  string
	shift uint
}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}}

// parseSize reads "512KiB", "2GiB", "100B".
func parseSize(s string) (uint64, error) {
	for _, u := range sizeUnits {
		num, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(num, 10, 64)
		if err != nil || n > math.MaxUint64>>u.shift {
			return 0, errSize
		}
		return n << u.shift, nil
	}
	return 0, errSize
}

func formatSize(n uint64) string {
	for _, u := range sizeUnits {
		if n != 0 && n%(1<<u.shift) == 0 {
			return fmt.Sprintf("%d%s", n>>u.shift, u.name)
		}
	}
	return "0B"
}

// parseRate reads "20/1s", "100/m": events per time.
func parseRate(s string) (count uint32, nanos int64, err error) {
	num, per, ok := strings.Cut(s, "/")
	if !ok {
		return 0, 0, errRate
	}
	if per != "" && (per[0] < '0' || per[0] > '9') {
		per = "1" + per
	}
	n, err := strconv.ParseUint(num, 10, 32)
	if err != nil || n == 0 {
		return 0, 0, errRate
	}
	secs, err := parseSeconds(per)
	if err != nil || secs == 0 || secs > 7*86400 {
		return 0, 0, errRate
	}
	return uint32(n), int64(secs) * 1e9, nil
}

func formatRate(count uint32, nanos int64) string {
	return fmt.Sprintf("%d/%s", count, formatSeconds(uint64(nanos/1e9)))
}

// parseMode reads the digits of an octal mode: "022".
func parseMode(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n > 0o777 || len(s) < 3 || len(s) > 4 {
		return 0, errMode
	}
	return uint32(n), nil
}

// parseRange reads "49152-51151".
func parseRange(s string, least, most uint64) (lo, hi uint64, err error) {
	a, b, ok := strings.Cut(s, "-")
	if !ok {
		return 0, 0, errPort
	}
	lo, err = strconv.ParseUint(a, 10, 32)
	if err != nil {
		return 0, 0, errPort
	}
	hi, err = strconv.ParseUint(b, 10, 32)
	if err != nil {
		return 0, 0, errPort
	}
	if lo < least || hi > most || lo > hi {
		return 0, 0, fmt.Errorf("must be a range between %d and %d", least, most)
	}
	return lo, hi, nil
}

// quote writes s as an HCL string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case (r == '$' || r == '%') && strings.HasPrefix(s[i+1:], "{"):
			if i > 0 && s[i-1] == s[i] { // "$${" cannot be doubled clearly
				fmt.Fprintf(&b, `\u%04x`, r)
				continue
			}
			b.WriteRune(r)
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// quoteList writes a list of strings.
func quoteList(items []string) string {
	q := make([]string, len(items))
	for i, s := range items {
		q[i] = quote(s)
	}
	return "[" + strings.Join(q, ", ") + "]"
}
