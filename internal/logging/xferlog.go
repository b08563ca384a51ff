package logging

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sallyport/ipc"
)

// InTransferLog tells whether a record has a line in the transfer log: every
// upload and download that began, every deletion that was made.
func InTransferLog(r *ipc.Record) bool {
	switch {
	case !r.Transfer:
	case r.Way == "i" || r.Way == "o":
		return true
	case r.Way == "d":
		return r.Code >= 200 && r.Code < 300
	}
	return false
}

// AppendTransfer adds the xferlog line of a transfer to b, without a line feed:
//
//	Fri Jan 02 03:04:05 2026 0 192.0.2.7 1024 /home/alice/a_b.txt b _ i r alice ftp 0 * c
//
// Blanks and what is not printable become "_", so that a line has as many
// fields as it must.
func AppendTransfer(b []byte, e *Entry) []byte {
	r := e.Rec
	b = e.Time.AppendFormat(b, "Mon Jan 02 15:04:05 2006 ")
	b = strconv.AppendInt(b, max(r.Took, 0)/int64(time.Second), 10)
	b = append(b, ' ')
	b = appendAddress(b, e.Peer)
	b = append(b, ' ')
	b = strconv.AppendInt(b, e.Moved(), 10)
	b = append(b, ' ')
	b = appendWord(b, e.HostPath(r.Path))
	kind, status := " b", "c"
	if r.ASCII {
		kind = " a"
	}
	if r.Status != "success" && r.Way != "d" {
		status = "i"
	}
	b = append(append(b, kind...), " _ "...)
	b = append(b, r.Way...)
	if e.Anonymous {
		who := r.Secret
		if who == "" { // a guest account has a password that is one, which nobody logs
			who = e.User
		}
		b = appendWord(append(b, " a "...), who)
	} else {
		b = appendWord(append(b, " r "...), e.User)
	}
	b = append(b, ' ')
	b = append(b, e.Service()...)
	b = append(b, " 0 * "...) // nobody is asked for an ident name
	return append(b, status...)
}

// appendWord adds s as one field; an empty one would move those behind it.
func appendWord(b []byte, s string) []byte {
	if s == "" {
		return append(b, "UNKNOWN"...)
	}
	s = clip(s, 2*maxValue)
	return append(b, strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == utf8.RuneError || !strconv.IsPrint(r) {
			return '_'
		}
		return r
	}, s)...)
}
