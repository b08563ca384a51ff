package ftp

import "bytes"

// Telnet bytes (RFC 854).
const (
	telIAC  = 0xff
	telDont = 0xfe
	telDo   = 0xfd
	telWont = 0xfc
	telWill = 0xfb
	telIP   = 0xf4
	telDM   = 0xf2
)

// lineKind tells what a line is.
type lineKind byte

const (
	lineGood lineKind = 'g'
	lineBad  lineKind = 'b' // holds a NUL or a CR that is neither CR LF nor CR NUL
	lineLong lineKind = 'l' // was longer than the limit; its bytes are gone
)

// reader turns the bytes of a control connection into command lines. It knows
// no connection: bytes go in by space and fed, lines come out by next, and how
// the bytes were cut makes no difference to the lines.
//
//   - A line ends with LF; one CR before it belongs to the end. CR NUL is a CR
//     within the line (RFC 2640 §3.1).
//   - IAC WILL and WONT x are answered IAC DONT x, DO and DONT x IAC WONT x. IAC
//     IP and IAC DM vanish, IAC IAC is one byte 0xff, any other IAC stays.
//   - A line of more than limit bytes is reported once, as soon as it is that
//     long, and dropped through its LF.
//
// Memory is the buffer, whatever comes. Decoded lines lie in it one behind the
// other, each as its bytes, its kind and a LF; a LF within a line cannot be.
type reader struct {
	buf     []byte
	r       int // the next line to hand out
	line    int // the line being read
	w       int // its end so far
	limit   int // longest line in bytes, without its end
	tel     byte
	cr      bool // a CR is held back
	bad     bool
	skip    bool // the rest of an over-long line is being dropped
	dropped int  // bytes of it so far
	answers []byte
	first   bool // a byte has been read
	tls     bool // the first of all bytes was that of a TLS record
}

const (
	readSize = 2048 // bytes that space offers at least, where lines do not wait
	slack    = 4    // bytes held back that a following read may release
)

func newReader(limit int) *reader {
	return &reader{buf: make([]byte, limit+2*readSize), limit: limit}
}

// setLimit changes the longest line; the buffer may grow, it never shrinks.
func (l *reader) setLimit(limit int) {
	l.limit = limit
	if n := limit + 2*readSize; n > len(l.buf) {
		old := l.buf
		l.buf = make([]byte, n)
		l.move(old)
	}
}

// move takes what waits in b to the beginning of the buffer.
func (l *reader) move(b []byte) {
	n := copy(l.buf, b[l.r:l.w])
	l.line -= l.r
	l.r, l.w = 0, n
}

// space is where to read the next bytes to; it is empty while lines that wait
// fill the buffer. It invalidates lines that were handed out.
func (l *reader) space() []byte {
	if l.r > 0 && (l.r == l.w || len(l.buf)-l.w < len(l.buf)/2) {
		l.move(l.buf)
	}
	// A LF takes two bytes, so bytes are read to the end of the buffer and
	// decoded to its middle; the writing never overtakes the reading.
	n := (len(l.buf) - l.w - slack) / 2
	return l.buf[len(l.buf)-max(n, 0):]
}

// fed says that n bytes were read into space.
func (l *reader) fed(n int) {
	at := len(l.buf) - (len(l.buf)-l.w-slack)/2
	raw := l.buf[at : at+n]
	if !l.first && n > 0 {
		l.first, l.tls = true, raw[0] == 0x16
	}
	for _, c := range raw {
		l.decode(c)
	}
}

// decode takes a byte through the telnet state: tel is 0, or IAC, or the verb
// of a negotiation whose option comes next.
func (l *reader) decode(c byte) {
	switch l.tel {
	case 0:
		if c == telIAC {
			l.tel = telIAC
			return
		}
		l.text(c)
	case telIAC:
		l.tel = 0
		switch c {
		case telWill, telWont, telDo, telDont:
			l.tel = c
		case telIP, telDM:
		case telIAC:
			l.text(telIAC)
		default:
			l.text(telIAC)
			l.text(c)
		}
	case telWill, telWont:
		l.tel = 0
		l.answers = append(l.answers, telIAC, telDont, c)
	default:
		l.tel = 0
		l.answers = append(l.answers, telIAC, telWont, c)
	}
}

// text takes a byte of the line itself.
func (l *reader) text(c byte) {
	switch {
	case l.skip:
		l.dropped++
		if c == '\n' {
			l.skip, l.dropped, l.cr = false, 0, false
		}
	case c == '\n':
		l.cr = false
		l.end()
	case l.cr && c == 0:
		l.cr = false
		l.put('\r')
	case l.cr: // the held CR was a bare one
		l.cr, l.bad = c == '\r', true
		l.put('\r')
		if c != '\r' {
			l.plain(c)
		}
	case c == '\r':
		l.cr = true
	default:
		l.plain(c)
	}
}

func (l *reader) plain(c byte) {
	if l.skip { // the put before it was one too many
		l.dropped++
		return
	}
	if c == 0 {
		l.bad = true
	}
	l.put(c)
}

func (l *reader) put(c byte) {
	if l.w-l.line < l.limit {
		l.buf[l.w] = c
		l.w++
		return
	}
	l.w = l.line
	l.finish(lineLong)
	l.skip, l.dropped, l.cr = true, 1, false
}

func (l *reader) end() {
	if l.bad {
		l.finish(lineBad)
		return
	}
	l.finish(lineGood)
}

func (l *reader) finish(k lineKind) {
	l.buf[l.w], l.buf[l.w+1] = byte(k), '\n'
	l.w += 2
	l.line, l.bad = l.w, false
}

// next hands out the next line. It is valid until space is called.
func (l *reader) next() (line []byte, kind lineKind, ok bool) {
	line, kind, n := l.at(l.r)
	l.r += n
	return line, kind, n > 0
}

// waits tells whether a line waits.
func (l *reader) waits() bool { return l.r < l.line }

// at looks at the line at offset i, r being the first; n is the distance to the
// following one, 0 if there is no line.
func (l *reader) at(i int) (line []byte, kind lineKind, n int) {
	if i >= l.line {
		return nil, 0, 0
	}
	n = bytes.IndexByte(l.buf[i:l.line], '\n') + 1
	return l.buf[i : i+n-2], lineKind(l.buf[i+n-2]), n
}
