// Package strftime writes times in the formats of strftime(3), in English and for
// formats that a stranger may have written: what it does not know is an error.
package strftime

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// layouts are the conversions of strftime(3) that time.Format can do; names are
// English.
var layouts = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'c': "Mon Jan _2 15:04:05 2006", 'd': "02",
	'D': "01/02/06", 'e': "_2", 'F': "2006-01-02", 'h': "Jan", 'H': "15", 'I': "03", 'j': "002", 'm': "01",
	'M': "04", 'p': "PM", 'P': "pm", 'r': "03:04:05 PM", 'R': "15:04", 'S': "05", 'T': "15:04:05", 'x': "01/02/06",
	'X': "15:04:05", 'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST",
}

// computed are the others.
var computed = map[byte]func(b []byte, t time.Time) []byte{
	'C': func(b []byte, t time.Time) []byte { return fmt.Appendf(b, "%02d", t.Year()/100) },
	'g': func(b []byte, t time.Time) []byte { y, _ := t.ISOWeek(); return fmt.Appendf(b, "%02d", y%100) },
	'G': func(b []byte, t time.Time) []byte { y, _ := t.ISOWeek(); return fmt.Appendf(b, "%04d", y) },
	'k': func(b []byte, t time.Time) []byte { return fmt.Appendf(b, "%2d", t.Hour()) },
	'l': func(b []byte, t time.Time) []byte { return fmt.Appendf(b, "%2d", (t.Hour()+11)%12+1) },
	's': func(b []byte, t time.Time) []byte { return strconv.AppendInt(b, t.Unix(), 10) },
	'u': func(b []byte, t time.Time) []byte { return fmt.Appendf(b, "%d", (int(t.Weekday())+6)%7+1) },
	'U': func(b []byte, t time.Time) []byte { return fmt.Appendf(b, "%02d", (t.YearDay()+6-int(t.Weekday()))/7) },
	'V': func(b []byte, t time.Time) []byte { _, w := t.ISOWeek(); return fmt.Appendf(b, "%02d", w) },
	'w': func(b []byte, t time.Time) []byte { return fmt.Appendf(b, "%d", int(t.Weekday())) },
	'W': func(b []byte, t time.Time) []byte {
		return fmt.Appendf(b, "%02d", (t.YearDay()+6-(int(t.Weekday())+6)%7)/7)
	},
}

// A Format is a compiled format.
type Format []func(b []byte, t time.Time) []byte

// Append appends t.
func (f Format) Append(b []byte, t time.Time) []byte {
	for _, op := range f {
		b = op(b, t)
	}
	return b
}

// Compile reads a format of strftime(3). An empty one is an error, and so are control
// characters and those conversions that make a line feed or a tabulator.
func Compile(s string) (Format, error) {
	if s == "" {
		return nil, errors.New("an empty time format")
	}
	var ops Format
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c < ' ' || c == 0x7f:
			return nil, fmt.Errorf("control character \\x%02x", c)
		case c != '%':
			ops = append(ops, func(b []byte, _ time.Time) []byte { return append(b, c) })
			continue
		case i+1 == len(s):
			return nil, errors.New("the time format ends in %")
		}
		i++
		c = s[i]
		layout, ok := layouts[c]
		switch {
		case c == '%':
			ops = append(ops, func(b []byte, _ time.Time) []byte { return append(b, '%') })
		case ok:
			ops = append(ops, func(b []byte, t time.Time) []byte { return t.AppendFormat(b, layout) })
		case computed[c] != nil:
			ops = append(ops, computed[c])
		default:
			return nil, fmt.Errorf("unknown time conversion %q", "%"+string(rune(c)))
		}
	}
	return ops, nil
}
