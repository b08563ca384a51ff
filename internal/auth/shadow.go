package auth

import (
	"strconv"
	"strings"
	"time"

	"sallyport/internal/userfile"
)

// shadowEntry is a line of shadow(5). Days count from 1970; -1 is "not set".
type shadowEntry struct {
	hash     string
	changed  int64 // day of the last password change; 0: must be changed now
	max      int64 // days a password lives
	inactive int64 // days it is accepted after that
	expire   int64 // day from which the account is disabled
}

// parseShadow reads shadow(5). A line that cannot be read locks its account:
// skipping it would fall back to the hash in passwd.
func parseShadow(file string, data []byte) (map[string]shadowEntry, []userfile.Warning) {
	out := make(map[string]shadowEntry)
	var warnings []userfile.Warning
	n := 0
	for line := range strings.SplitSeq(string(data), "\n") {
		n++
		if line == "" || line[0] == '#' || line[0] == '+' || line[0] == '-' {
			continue
		}
		name, rest, _ := strings.Cut(line, ":")
		if _, again := out[name]; again || name == "" {
			continue
		}
		e, ok := parseShadowFields(rest)
		if !ok {
			e = shadowEntry{hash: "!", changed: -1, max: -1, inactive: -1, expire: -1}
			if len(warnings) < 50 {
				warnings = append(warnings, userfile.Warning{File: file, Line: n, Reason: "malformed; the account is locked"})
			}
		}
		out[name] = e
	}
	return out, warnings
}

func parseShadowFields(rest string) (shadowEntry, bool) {
	f := strings.Split(rest, ":") // hash lstchg min max warn inact expire flag
	if len(f) != 8 {
		return shadowEntry{}, false
	}
	e := shadowEntry{hash: f[0]}
	for _, x := range []struct {
		to *int64
		s  string
	}{{&e.changed, f[1]}, {&e.max, f[3]}, {&e.inactive, f[5]}, {&e.expire, f[6]}} {
		*x.to = -1
		if x.s == "" {
			continue
		}
		n, err := strconv.ParseInt(x.s, 10, 32)
		if err != nil {
			return shadowEntry{}, false
		}
		*x.to = max(n, -1)
	}
	return e, true
}

// refusal says why the account may not be used on this day, "" where it may.
// A password past its life is refused, since FTP has no way to change it;
// the days of grace (inactive) are granted.
func (e shadowEntry) refusal(now time.Time) string {
	day := now.Unix() / 86400
	switch {
	case e.expire >= 0 && day >= e.expire:
		return ReasonDisabled
	case e.changed == 0:
		return ReasonExpired
	case e.changed > 0 && e.max >= 0 && day > e.changed+e.max+max(e.inactive, 0):
		return ReasonExpired
	}
	return ""
}
