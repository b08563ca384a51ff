package logging

import (
	"fmt"
	"strings"

	"sallyport/internal/strftime"
)

// DefaultFormat is the format of an extended log that names none.
const DefaultFormat = `%h %l %u %t "%r" %s %b`

// maxFormat bounds a format's text, in bytes.
const maxFormat = 4096

// Format is a format of extended logs, parsed once and run for every line.
// docs/LOGGING.md lists the variables.
type Format struct {
	ops    []op
	totals bool
}

// op is a piece of a format: text as it is, or a variable.
type op struct {
	text string
	v    *variable
}

// variable appends its value, raw; what appends nothing has none.
type variable struct {
	none string
	put  func(b []byte, e *Entry) []byte
}

// ParseFormat reads a format ("" is [DefaultFormat]). The error names what is
// wrong and where: the byte, counted from 1.
func ParseFormat(s string) (*Format, error) {
	if s == "" {
		s = DefaultFormat
	}
	if len(s) > maxFormat {
		return nil, fmt.Errorf("format of %d bytes, at most %d", len(s), maxFormat)
	}
	f := &Format{}
	start := 0 // of the text not yet taken
	for i := 0; i < len(s); {
		if s[i] < ' ' || s[i] == 0x7f {
			return nil, fmt.Errorf("format: control character \\x%02x at byte %d", s[i], i+1)
		}
		if s[i] != '%' {
			i++
			continue
		}
		f.literal(s[start:i])
		n, err := f.variable(s[i:], i+1)
		if err != nil {
			return nil, err
		}
		i += n
		start = i
	}
	f.literal(s[start:])
	return f, nil
}

func (f *Format) literal(s string) {
	if s != "" {
		f.ops = append(f.ops, op{text: s})
	}
}

// variable takes what begins with "%" at byte pos and returns its length.
func (f *Format) variable(s string, pos int) (int, error) {
	switch {
	case len(s) < 2:
		return 0, fmt.Errorf("format: %q at byte %d: a variable is missing", "%", pos)
	case s[1] == '%':
		f.literal("%")
		return 2, nil
	case s[1] != '{':
		v := letters[s[1]]
		if v == nil {
			return 0, fmt.Errorf("format: unknown variable %q at byte %d", s[:2], pos)
		}
		f.add(v, s[1] == 'I' || s[1] == 'O')
		return 2, nil
	}
	end := strings.IndexByte(s, '}')
	if end < 0 {
		return 0, fmt.Errorf("format: %q at byte %d has no %q", clip(s, 32), pos, "}")
	}
	name := s[2:end]
	if v := names[name]; v != nil {
		f.add(v, false)
		return end + 1, nil
	}
	if v := note(name); v != nil {
		f.add(v, false)
		return end + 1, nil
	}
	if end+1 < len(s) {
		switch s[end+1] {
		case 't':
			t, err := strftime.Compile(name)
			if err != nil {
				return 0, fmt.Errorf("format: %q at byte %d: %w", s[:end+2], pos, err)
			}
			f.add(&variable{"-", func(b []byte, e *Entry) []byte { return t.Append(b, e.Time) }}, false)
			return end + 2, nil
		case 'e':
			if name == "" {
				break
			}
			f.add(environment(name), false)
			return end + 2, nil
		}
	}
	return 0, fmt.Errorf("format: unknown variable %q at byte %d", s[:end+1], pos)
}

func (f *Format) add(v *variable, totals bool) {
	f.ops = append(f.ops, op{v: v})
	f.totals = f.totals || totals
}

// Totals tells whether the format shows the bytes of the session (%I, %O).
func (f *Format) Totals() bool { return f.totals }

// Append adds one line to b, without a line feed. Whatever a variable holds,
// the line stays one line of printable characters: values are escaped as by
// [Quote], each is cut at 4 KiB, the line at about 16 KiB.
func (f *Format) Append(b []byte, e *Entry) []byte { return f.run(b, e, true) }

// AppendRaw is Append for a reader that escapes itself, such as a [Log].
func (f *Format) AppendRaw(b []byte, e *Entry) []byte { return f.run(b, e, false) }

func (f *Format) run(b []byte, e *Entry, escape bool) []byte {
	start := len(b)
	for i := range f.ops {
		o := &f.ops[i]
		if o.v == nil {
			b = append(b, o.text...)
			continue
		}
		if len(b)-start > maxLine {
			return append(b, "…"...)
		}
		n := len(b)
		if b = o.v.put(b, e); len(b) == n {
			b = append(b, o.v.none...)
			continue
		}
		if len(b)-n > maxValue || escape && !harmless(b[n:]) {
			v := clip(string(b[n:]), maxValue)
			if b = b[:n]; escape {
				b = appendEscaped(b, v, true)
			} else {
				b = append(b, v...)
			}
		}
	}
	return b
}

// harmless tells whether v can stand in a line as it is.
func harmless(v []byte) bool {
	for _, c := range v {
		if c < ' ' || c >= 0x7f || c == '\\' || c == '"' {
			return false
		}
	}
	return true
}
