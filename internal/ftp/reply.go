package ftp

import (
	"strconv"
	"strings"
)

// Replies (RFC 959 §4.2) are appended to the session's output buffer and leave
// when no other command waits. Whatever a reply is made of, one line stays one
// line: CR, LF and NUL are shown as '?'. All other bytes go out as they are,
// since a path in a reply is in the client's own character set.

// reply appends a reply of one line.
func (s *Session) reply(code int, text ...string) {
	s.coded(code, ' ', text...)
	s.spill()
}

// multi appends a reply of several lines: "NNN-first", each of middle behind a
// space (so that none begins with a digit), "NNN last".
func (s *Session) multi(code int, first string, middle []string, last string) {
	s.coded(code, '-', first)
	for _, m := range middle {
		s.middle(m)
	}
	s.reply(code, last)
}

func (s *Session) coded(code int, sep byte, text ...string) {
	if s.over() {
		return
	}
	if s.rec.on && sep == ' ' {
		s.heard(code, text)
	}
	s.out = strconv.AppendInt(s.out, int64(code), 10)
	s.out = append(s.out, sep)
	s.text(text...)
}

// middle appends a line between the first and the last of a reply.
func (s *Session) middle(text ...string) {
	if s.over() {
		return
	}
	s.out = append(s.out, ' ')
	s.text(text...)
	s.spill()
}

func (s *Session) text(text ...string) {
	for _, t := range text {
		s.out = appendClean(s.out, t)
	}
	s.out = append(s.out, '\r', '\n')
}

func appendClean(b []byte, t string) []byte {
	start := len(b)
	b = append(b, t...)
	for i, c := range b[start:] {
		switch c {
		case '\r', '\n', 0:
			b[start+i] = '?'
		}
	}
	return b
}

// quoted doubles the quotes of a path in a 257 reply (RFC 959 appendix II).
func quoted(path string) string { return strings.ReplaceAll(path, `"`, `""`) }
