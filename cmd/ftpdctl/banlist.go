package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/control"
	"sallyport/internal/logging"
)

// Lists of bans in files: the daemon's own plain form, which also reads lists of
// bare addresses as others publish them, and sets of nftables.

const (
	maxList    = 64 << 20 // bytes of a file
	maxEntries = 1 << 20
)

var errTime = errors.New(`no time such as "90s" "10m" "1h30m" "7d"`)

// banUnits are the units of times, the largest first; nft writes milliseconds.
var banUnits = []struct {
	name  string
	milli int64
}{{"w", 7 * 86400e3}, {"d", 86400e3}, {"h", 3600e3}, {"ms", 1}, {"m", 60e3}, {"s", 1e3}}

// banTime reads a time in seconds, rounded up: "1h30m", "3d4h23s500ms"; "" is 0.
func banTime(s string) (int64, error) {
	var total int64
	rest, last := s, int64(1<<62)
	for rest != "" {
		i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if i <= 0 || i > 10 {
			return 0, errTime
		}
		n, _ := strconv.ParseInt(rest[:i], 10, 64)
		rest = rest[i:]
		unit := int64(0)
		for _, u := range banUnits {
			if strings.HasPrefix(rest, u.name) {
				unit, rest = u.milli, rest[len(u.name):]
				break
			}
		}
		if unit == 0 || unit >= last {
			return 0, errTime
		}
		last = unit
		total += n * unit // at most 10 digits times a week: no overflow
	}
	if s != "" && total == 0 {
		return 0, errTime
	}
	return (total + 999) / 1000, nil
}

// parseList reads a list of bans. Whatever is wrong with a line is an error: half
// a list would look like a whole one.
func parseList(name, text string, nft bool) ([]control.BanImportEntry, error) {
	if nft {
		return parseNft(name, text)
	}
	var out []control.BanImportEntry
	n := 0
	for line := range strings.Lines(text) {
		n++
		e, err := parseLine(strings.TrimRight(line, "\r\n"))
		if err == nil && e != nil && len(out) == maxEntries {
			err = fmt.Errorf("more than %d bans", maxEntries)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		if e != nil {
			out = append(out, *e)
		}
	}
	return out, nil
}

// words splits a line at blanks; a word in quotes is as Go writes it. '#' and ';'
// begin a comment where a word might.
func words(line string) ([]string, error) {
	var out []string
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' || line[0] == ';' {
			return out, nil
		}
		if line[0] == '"' {
			q, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, errors.New("a quote that does not end")
			}
			w, err := strconv.Unquote(q)
			if err != nil {
				return nil, err
			}
			out, line = append(out, w), line[len(q):]
			continue
		}
		i := strings.IndexAny(line, " \t")
		if i < 0 {
			i = len(line)
		}
		out, line = append(out, line[:i]), line[i:]
	}
}

// parseLine reads `[KIND] NAME [server NAME] [timeout TIME]`; a comment alone is
// nothing.
func parseLine(line string) (*control.BanImportEntry, error) {
	w, err := words(line)
	if err != nil || len(w) == 0 {
		return nil, err
	}
	e := &control.BanImportEntry{}
	e.Kind = control.BanHost
	if slices.Contains(control.BanKinds(), w[0]) {
		if e.Kind, w = w[0], w[1:]; len(w) == 0 {
			return nil, fmt.Errorf("%s: a name is missing", e.Kind)
		}
	}
	if e.Name, w = w[0], w[1:]; e.Name == "" || len(e.Name) > control.MaxName {
		return nil, fmt.Errorf("a name of %d bytes: 1 to %d are possible", len(e.Name), control.MaxName)
	}
	if e.Kind == control.BanHost {
		p, err := control.ParseHost(e.Name)
		if err != nil {
			return nil, err
		}
		e.Name = hostName(p)
	}
	for ; len(w) > 1; w = w[2:] {
		switch w[0] {
		case "server":
			if e.Server = w[1]; len(e.Server) > control.MaxName {
				return nil, fmt.Errorf("a virtual host of %d bytes: at most %d are possible", len(e.Server), control.MaxName)
			}
		case "timeout":
			if e.Seconds, err = banTime(w[1]); err != nil || e.Seconds == 0 {
				return nil, fmt.Errorf("timeout %s: %w", logging.Quote(w[1]), errTime)
			}
		default:
			return nil, fmt.Errorf("unknown word %s", logging.Quote(w[0]))
		}
	}
	if len(w) > 0 {
		return nil, fmt.Errorf("unknown word %s", logging.Quote(w[0]))
	}
	return e, nil
}

// hostName writes a prefix as a ban's name.
func hostName(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// isNft tells sets of nftables, as "nft list" and "ban export" write them, from
// plain lists.
func isNft(text string) bool {
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if len(w) == 0 || strings.HasPrefix(w[0], "#") {
			continue
		}
		return slices.Contains([]string{"table", "set"}, w[0])
	}
	return false
}

// parseNft reads the elements of every set in the text.
func parseNft(name, text string) ([]control.BanImportEntry, error) {
	var out []control.BanImportEntry
	for rest := text; ; {
		i := strings.Index(rest, "elements")
		if i < 0 {
			break
		}
		rest = strings.TrimLeft(rest[i+len("elements"):], " \t\r\n")
		body, ok := strings.CutPrefix(rest, "=")
		if ok {
			body, ok = strings.CutPrefix(strings.TrimLeft(body, " \t\r\n"), "{")
		}
		if !ok {
			continue // the word in a comment
		}
		end := strings.IndexByte(body, '}')
		if end < 0 {
			return nil, fmt.Errorf("%s: a set that does not end", name)
		}
		for item := range strings.SplitSeq(body[:end], ",") {
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			entries, err := parseElement(item)
			if err != nil {
				return nil, fmt.Errorf("%s: element %s: %w", name, logging.Quote(item[:min(len(item), 80)]), err)
			}
			if out = append(out, entries...); len(out) > maxEntries {
				return nil, fmt.Errorf("%s: more than %d bans", name, maxEntries)
			}
		}
		rest = body[end:]
	}
	return out, nil
}

// parseElement reads an address, a prefix or a range, and what is left of its
// time; counters and comments do not matter.
func parseElement(item string) ([]control.BanImportEntry, error) {
	w := strings.Fields(item)
	var secs, whole int64
	var err error
	for i := 1; i+1 < len(w); i++ {
		switch w[i] {
		case "expires":
			secs, err = banTime(w[i+1])
		case "timeout":
			whole, err = banTime(w[i+1])
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", w[i], logging.Quote(w[i+1]), err)
		}
	}
	if secs == 0 {
		secs = whole
	}
	prefixes, err := parseRange(w[0])
	if err != nil {
		return nil, err
	}
	var out []control.BanImportEntry
	for _, p := range prefixes {
		e := control.BanImportEntry{Seconds: secs}
		e.Kind, e.Name = control.BanHost, hostName(p)
		out = append(out, e)
	}
	return out, nil
}

// parseRange turns "10.0.0.1-10.0.0.6" into the prefixes that make it up.
func parseRange(s string) ([]netip.Prefix, error) {
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		p, err := control.ParseHost(s)
		return []netip.Prefix{p}, err
	}
	a, err := netip.ParseAddr(from)
	b, err2 := netip.ParseAddr(to)
	if err != nil || err2 != nil || a.Is4() != b.Is4() || a.Zone() != "" || b.Zone() != "" || b.Less(a) {
		return nil, errors.New("no range of addresses")
	}
	var out []netip.Prefix
	for {
		p := netip.PrefixFrom(a, a.BitLen())
		for p.Bits() > 0 { // the widest that begins at a and does not pass b
			wider, _ := a.Prefix(p.Bits() - 1)
			if wider.Addr() != a || b.Less(last(wider)) {
				break
			}
			p = wider
		}
		out = append(out, p)
		if last(p) == b {
			return out, nil
		}
		a = last(p).Next()
	}
}

// last is the highest address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
