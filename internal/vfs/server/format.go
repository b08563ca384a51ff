package server

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// appendRow appends the line of a row, CRLF included.
func (l *listing) appendRow(b []byte, r *row) []byte {
	switch {
	case r.header:
		b = append(b, "\r\n"...)
		b = appendName(b, r.name, true)
		b = append(b, ':')
	case l.form == ipc.FormMLSD || l.form == ipc.FormMLST:
		b = l.appendFacts(b, r)
		b = append(b, ' ')
		b = appendName(b, r.name, false)
	case l.o.long:
		b = l.appendLong(b, r)
	default:
		b = appendName(b, r.name, l.form == ipc.FormList)
		if l.o.classify && l.form == ipc.FormList {
			b = appendMark(b, r, &r.st)
		}
	}
	return append(b, '\r', '\n')
}

// appendName appends a name so that it cannot end its line: CR and LF become
// "?". A line for the eye (LIST) has the other control characters replaced as
// well, those that UTF-8 writes in two bytes (U+0080 to U+009F) included; where a
// program reads the name (NLST, MLSD, MLST) they stay.
func appendName(b []byte, name string, forEyes bool) []byte {
	start := len(b)
	b = append(b, name...)
	for i := start; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\r' || c == '\n' || c == 0:
			b[i] = '?'
		case !forEyes:
		case c < ' ' || c == 0x7f:
			b[i] = '?'
		case c == 0xc2 && i+1 < len(b) && b[i+1]&0xe0 == 0x80:
			b[i], b[i+1] = '?', '?'
		}
	}
	return b
}

// appendLong appends an ls -l line:
//
//	-rw-r--r--   1 user     group       12345 Jan  2 15:04 name
func (l *listing) appendLong(b []byte, r *row) []byte {
	st := &r.st
	b = appendMode(b, st.Mode)
	b = append(b, ' ')
	b = appendRight(b, int64(st.Nlink), 3)
	b = append(b, ' ')
	user, group := "", ""
	if !l.o.numeric {
		user, group = l.s.names.users[st.Uid], l.s.names.groups[st.Gid]
	}
	b = appendOwner(b, user, st.Uid)
	b = append(b, ' ')
	b = appendOwner(b, group, st.Gid)
	b = append(b, ' ')
	b = l.appendSize(b, st.Size)
	b = append(b, ' ')
	b = l.appendTime(b, l.o.timeOf(st))
	b = append(b, ' ')
	b = appendName(b, r.name, true)
	if r.isLink && r.link != "" {
		b = append(b, " -> "...)
		b = appendName(b, r.link, true)
		if l.o.classify && r.found {
			b = appendMark(b, &row{}, &r.target)
		}
	} else if l.o.classify {
		b = appendMark(b, r, st)
	}
	return b
}

func appendMode(b []byte, mode uint32) []byte {
	kind := byte('-')
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		kind = 'd'
	case unix.S_IFLNK:
		kind = 'l'
	case unix.S_IFIFO:
		kind = 'p'
	case unix.S_IFSOCK:
		kind = 's'
	case unix.S_IFCHR:
		kind = 'c'
	case unix.S_IFBLK:
		kind = 'b'
	}
	b = append(b, kind)
	for i, bit := range "rwxrwxrwx" {
		if mode&(1<<(8-i)) != 0 {
			b = append(b, byte(bit))
		} else {
			b = append(b, '-')
		}
	}
	for _, s := range []struct {
		bit   uint32
		place int // from the end
		on    byte
	}{{unix.S_ISUID, 7, 's'}, {unix.S_ISGID, 4, 's'}, {unix.S_ISVTX, 1, 't'}} {
		if mode&s.bit == 0 {
			continue
		}
		p := &b[len(b)-s.place]
		if *p == 'x' {
			*p = s.on
		} else {
			*p = s.on - 'a' + 'A'
		}
	}
	return b
}

// appendRight appends n right-aligned in a column.
func appendRight(b []byte, n int64, width int) []byte {
	start := len(b)
	b = strconv.AppendInt(b, n, 10)
	return alignRight(b, start, width)
}

func alignRight(b []byte, start, width int) []byte {
	have := len(b) - start
	for i := have; i < width; i++ {
		b = append(b, ' ')
	}
	if have < width {
		copy(b[start+width-have:], b[start:start+have])
		for i := start; i < start+width-have; i++ {
			b[i] = ' '
		}
	}
	return b
}

// appendOwner appends a name, or the id where there is none, in eight columns.
func appendOwner(b []byte, name string, id uint32) []byte {
	start := len(b)
	if name != "" {
		b = append(b, name...)
	} else {
		b = strconv.AppendUint(b, uint64(id), 10)
	}
	for len(b)-start < 8 {
		b = append(b, ' ')
	}
	return b
}

func (l *listing) appendSize(b []byte, n int64) []byte {
	if !l.o.human || n < 1000 {
		return appendRight(b, n, 8)
	}
	f, unit := float64(n), 0
	for f >= 1024 && unit < 5 {
		f, unit = f/1024, unit+1
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'f', 1, 64)
	if unit > 0 {
		b = append(b, "kMGTP"[unit-1])
	}
	return alignRight(b, start, 8)
}

// halfYear is how far from now a time shows its hour, in seconds: 180 days.
const halfYear = 180 * 24 * 3600

const monthNames = "JanFebMarAprMayJunJulAugSepOctNovDec"

// appendTime appends "Jan  2 15:04", or "Jan  2  2006" far from now.
func (l *listing) appendTime(b []byte, sec int64) []byte {
	t := time.Unix(sec, 0)
	if l.s.rules.TimesGMT {
		t = t.UTC()
	}
	year, month, day := t.Date()
	b = append(b, monthNames[3*month-3:3*month]...)
	b = append(b, ' ')
	b = appendRight(b, int64(day), 2)
	b = append(b, ' ')
	if d := l.now - sec; d > halfYear || d < -halfYear {
		return appendRight(b, int64(year), 5)
	}
	hour, minute, _ := t.Clock()
	b = appendDigits(b, hour, 2)
	b = append(b, ':')
	return appendDigits(b, minute, 2)
}

// appendDigits appends n with leading zeros.
func appendDigits(b []byte, n, width int) []byte {
	if width == 2 && uint(n) < 100 {
		return append(b, byte('0'+n/10), byte('0'+n%10))
	}
	start := len(b)
	b = strconv.AppendInt(b, int64(n), 10)
	have := len(b) - start
	b = alignRight(b, start, width)
	for i := start; have < width && i < start+width-have; i++ {
		b[i] = '0'
	}
	return b
}

// appendMark appends what -F shows.
func appendMark(b []byte, r *row, st *unix.Stat_t) []byte {
	switch {
	case r.isLink:
		return append(b, '@')
	case isDir(st):
		return append(b, '/')
	case isRegular(st) && st.Mode&0o111 != 0:
		return append(b, '*')
	}
	return b
}
