package logging

import (
	"strconv"
	"unicode/utf8"
)

// Limits of what one attribute brings into a record, in bytes before escaping.
// What is longer ends in "…" and its full length in brackets.
const (
	maxMessage = 4096
	maxValue   = 4096
	maxAttrs   = 64
)

const hex = "0123456789abcdef"

// Escape makes s safe for one line of text: printable Unicode and blanks stay,
// the backslash is doubled, and every byte of anything else - control bytes,
// DEL, C1, line separators, bidirectional and invisible characters, invalid
// UTF-8 - becomes \xNN. Nothing is lost: the original can be read back.
func Escape(s string) string {
	if plain(s) {
		return s
	}
	return string(appendEscaped(make([]byte, 0, len(s)+16), s, false))
}

// Quote is Escape between double quotes, with those inside escaped.
func Quote(s string) string {
	b := append(make([]byte, 0, len(s)+16), '"')
	return string(append(appendEscaped(b, s, true), '"'))
}

func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7f || s[i] == '\\' {
			return false
		}
	}
	return true
}

func appendEscaped(b []byte, s string, quotes bool) []byte {
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '\\', r == '"' && quotes:
			b = append(b, '\\', s[0])
		case r == utf8.RuneError && n == 1, !strconv.IsPrint(r):
			for i := range n {
				b = append(b, '\\', 'x', hex[s[i]>>4], hex[s[i]&15])
			}
		default:
			b = append(b, s[:n]...)
		}
		s = s[n:]
	}
	return b
}

// clip bounds s to limit bytes, at a character where it has one.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	cut := limit
	for i := range utf8.UTFMax {
		if utf8.RuneStart(s[limit-i]) {
			cut = limit - i
			break
		}
	}
	return s[:cut] + "… (" + strconv.Itoa(len(s)) + " bytes)"
}
