package logging

import (
	"log/slog"
	"strconv"
)

// text is one line a record:
//
//	2026-11-23T21:30:00.123Z NOTICE 192.0.2.7:40000 #42 USER bob: no such user event=login.failed user_claimed=bob
//
// Time, level, address and session are the daemon's own words; what a client
// chose comes after them, escaped.
type text struct {
	prefixed bool // the reader is the journal's stream: <N> instead of time and level
}

func (t text) encode(r *record) []byte {
	b := make([]byte, 0, 256)
	if t.prefixed {
		b = append(b, '<', '0'+byte(priority(r.level)), '>')
	} else {
		b = r.time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
		b = append(b, ' ')
		b = append(b, levelName(r.level)...)
		b = append(b, ' ')
	}
	b = appendHeader(b, r)
	b = appendEscaped(b, r.message, false)
	for _, a := range r.attrs {
		if a.key != KeyPeer && a.key != KeySession {
			b = appendPair(b, a)
		}
	}
	return append(b, '\n')
}

// appendHeader puts the client's address and the session before anything that
// the client could have chosen.
func appendHeader(b []byte, r *record) []byte {
	if p := r.get(KeyPeer); p != "" {
		b = appendEscaped(b, p, false)
		b = append(b, ' ')
	}
	if s := r.get(KeySession); s != "" {
		b = append(b, '#')
		b = appendEscaped(b, s, false)
		b = append(b, ' ')
	}
	return b
}

func appendPair(b []byte, a pair) []byte {
	b = append(b, ' ')
	b = appendEscaped(b, a.key, true)
	b = append(b, '=')
	if bare(a.value) {
		return append(b, a.value...)
	}
	b = append(b, '"')
	b = appendEscaped(b, a.value, true)
	return append(b, '"')
}

// bare tells whether a value needs no quotes.
func bare(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '"' || s[i] == '\\' || s[i] == '=' {
			return false
		}
	}
	return s != ""
}

// priority is the syslog severity of a level.
func priority(l slog.Level) int {
	switch {
	case l >= LevelCrit:
		return 2
	case l >= slog.LevelError:
		return 3
	case l >= slog.LevelWarn:
		return 4
	case l >= LevelNotice:
		return 5
	case l >= slog.LevelInfo:
		return 6
	}
	return 7
}

var levelNames = [...]string{2: "CRIT", 3: "ERROR", 4: "WARN", 5: "NOTICE", 6: "INFO", 7: "DEBUG"}

func levelName(l slog.Level) string { return levelNames[priority(l)] }

func appendInt(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }
