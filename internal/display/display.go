// Package display fills in the variables of display files: the texts in front of a
// greeting, of which master knows some, and of other replies, which are a session's.
package display

import (
	"strings"
	"time"

	"sallyport/internal/strftime"
)

// Expand replaces the variables of text: %C, say, is value("C"), and
// %{total_bytes_in} value("{total_bytes_in}"). The time is the same for all:
// %T, %{time:FORMAT}; "-" where FORMAT is none. %% is a percent sign, as is one that
// begins no variable. Nothing is replaced behind the first max bytes of the result.
func Expand(text string, max int, value func(name string) string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text) && b.Len() <= max; i++ {
		if text[i] != '%' || i+1 == len(text) || !begins(text[i+1]) {
			b.WriteByte(text[i])
			continue
		}
		i++
		name := text[i : i+1]
		if name == "{" {
			long, _, ok := strings.Cut(text[i+1:], "}")
			if !ok {
				b.WriteString("%{")
				continue
			}
			name = text[i : i+len(long)+2]
			i += len(long) + 1
		}
		b.WriteString(unbroken(common(name, value)))
	}
	return b.String()
}

// begins tells whether a percent sign in front of c is the beginning of a variable;
// "50 % off" has none.
func begins(c byte) bool {
	return c == '%' || c == '{' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

func common(name string, value func(string) string) string {
	format, ok := strings.CutPrefix(name, "{time:")
	switch {
	case name == "%":
		return "%"
	case name == "T":
		format = "%a %b %d %H:%M:%S %Y"
	case ok:
		format = strings.TrimSuffix(format, "}")
	default:
		return value(name)
	}
	f, err := strftime.Compile(format)
	if err != nil {
		return "-"
	}
	return string(f.Append(nil, time.Now().UTC()))
}

// unbroken keeps a value from ending its line: a directory's name may hold a LF.
func unbroken(v string) string { return strings.ReplaceAll(v, "\n", "?") }

// Printable shows the control bytes of a line, which may come from a stranger's file,
// as '?'. In what encoding the others are, is the file's affair.
func Printable(line string) string {
	control := func(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }
	b := []byte(line)
	for i, c := range b {
		if control(c) {
			b[i] = '?'
		}
	}
	return string(b)
}
