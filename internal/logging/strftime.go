package logging

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
	'C': func(b []byte, t time.Time) []byte { return appendPadded(b, t.Year()/100, 2, '0') },
	'g': func(b []byte, t time.Time) []byte { y, _ := t.ISOWeek(); return appendPadded(b, y%100, 2, '0') },
	'G': func(b []byte, t time.Time) []byte { y, _ := t.ISOWeek(); return appendPadded(b, y, 4, '0') },
	'k': func(b []byte, t time.Time) []byte { return appendPadded(b, t.Hour(), 2, ' ') },
	'l': func(b []byte, t time.Time) []byte { return appendPadded(b, (t.Hour()+11)%12+1, 2, ' ') },
	's': func(b []byte, t time.Time) []byte { return strconv.AppendInt(b, t.Unix(), 10) },
	'u': func(b []byte, t time.Time) []byte { return appendPadded(b, (int(t.Weekday())+6)%7+1, 1, '0') },
	'U': func(b []byte, t time.Time) []byte { return appendPadded(b, (t.YearDay()+6-int(t.Weekday()))/7, 2, '0') },
	'V': func(b []byte, t time.Time) []byte { _, w := t.ISOWeek(); return appendPadded(b, w, 2, '0') },
	'w': func(b []byte, t time.Time) []byte { return appendPadded(b, int(t.Weekday()), 1, '0') },
	'W': func(b []byte, t time.Time) []byte {
		return appendPadded(b, (t.YearDay()+6-(int(t.Weekday())+6)%7)/7, 2, '0')
	},
}

// Strftime returns t in a format of strftime(3), as the variable %{FORMAT}t has it.
func Strftime(format string, t time.Time) (string, error) {
	ops, err := compileTime(format)
	if err != nil {
		return "", err
	}
	return string(runTime(nil, ops, t)), nil
}

// timeVariable compiles the variable %{FORMAT}t.
func timeVariable(s string) (*variable, error) {
	ops, err := compileTime(s)
	if err != nil {
		return nil, err
	}
	return &variable{"-", func(b []byte, e *Entry) []byte { return runTime(b, ops, e.Time) }}, nil
}

type timeOp func(b []byte, t time.Time) []byte

func runTime(b []byte, ops []timeOp, t time.Time) []byte {
	for _, op := range ops {
		b = op(b, t)
	}
	return b
}

// compileTime compiles a format of strftime(3), without those conversions that
// make a line feed or a tabulator.
func compileTime(s string) ([]timeOp, error) {
	if s == "" {
		return nil, errors.New("an empty time format")
	}
	var ops []timeOp
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
