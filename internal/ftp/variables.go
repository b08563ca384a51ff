package ftp

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/policy"
)

// sums are what display files tell of a session's transfers.
type sums struct {
	filesIn, filesOut uint64
	bytesIn, bytesOut uint64
}

// expand replaces the variables of a display file. What is not known is "-":
// %u, and before the login the counts of clients, %M %N %y %z.
func (s *Session) expand(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text) && b.Len() <= maxDisplayText; i++ {
		if text[i] != '%' || i+1 == len(text) || !policy.BeginsVariable(text[i+1]) {
			b.WriteByte(text[i])
			continue
		}
		i++
		if text[i] != '{' {
			b.WriteString(s.variable(text[i]))
			continue
		}
		n := strings.IndexByte(text[i:], '}')
		if n < 0 {
			b.WriteString("%{")
			continue
		}
		b.WriteString(unbroken(s.longVariable(text[i+1 : i+n])))
		i += n
	}
	return b.String()
}

// unbroken keeps a value from ending its line: a directory's name may hold a LF.
func unbroken(v string) string { return strings.ReplaceAll(v, "\n", "?") }

func (s *Session) variable(letter byte) string {
	v := "-"
	switch letter {
	case '%':
		v = "%"
	case 'C':
		v = s.cwd
	case 'E':
		v = s.admin()
	case 'F':
		if free, ok := s.free(); ok {
			v = strconv.FormatUint(free/1024, 10)
		}
	case 'f':
		if free, ok := s.free(); ok {
			v = withUnits(free)
		}
	case 'i':
		v = strconv.FormatUint(s.sums.filesIn, 10)
	case 'o':
		v = strconv.FormatUint(s.sums.filesOut, 10)
	case 't':
		v = strconv.FormatUint(s.sums.filesIn+s.sums.filesOut, 10)
	case 'K':
		v = strconv.FormatUint(s.sums.bytesIn+s.sums.bytesOut, 10)
	case 'k':
		v = withUnits(s.sums.bytesIn + s.sums.bytesOut)
	case 'L':
		v = s.local.Addr().WithZone("").String()
	case 'M':
		v = s.head(s.company.Most)
	case 'N':
		v = s.head(s.company.Clients)
	case 'y':
		v = s.head(s.company.OfClass)
	case 'z':
		v = s.head(s.company.MostOfClass)
	case 'R':
		v = s.peer.Addr().WithZone("").String()
	case 'T':
		v = time.Now().UTC().Format("Mon Jan 02 15:04:05 2006")
	case 'U':
		v = orDash(s.typed)
	case 'V':
		v = orDash(s.view.ServerName)
	case 'x':
		v = orDash(s.class)
	}
	return unbroken(v)
}

// head is a number of clients, as master told it at the login; a limit that is
// none is a word.
func (s *Session) head(n uint32) string {
	switch {
	case s.user == "":
		return "-"
	case n == 0:
		return "none"
	}
	return strconv.FormatUint(uint64(n), 10)
}

func (s *Session) longVariable(name string) string {
	if format, ok := strings.CutPrefix(name, "time:"); ok {
		return strftime(format, time.Now().UTC())
	}
	n := uint64(0)
	switch name {
	case "total_bytes_in":
		n = s.sums.bytesIn
	case "total_bytes_out":
		n = s.sums.bytesOut
	case "total_bytes_xfer":
		n = s.sums.bytesIn + s.sums.bytesOut
	case "total_files_in":
		n = s.sums.filesIn
	case "total_files_out":
		n = s.sums.filesOut
	case "total_files_xfer":
		n = s.sums.filesIn + s.sums.filesOut
	default:
		return "-"
	}
	return strconv.FormatUint(n, 10)
}

func orDash(v string) string {
	if v == "" {
		return "-"
	}
	return v
}

// free is the room in the working directory.
func (s *Session) free() (bytes uint64, ok bool) {
	if s.files == nil || s.over() {
		return 0, false
	}
	free, _, err := s.files.Space(s.cwd)
	return free, err == nil
}

// withUnits shows bytes in the largest unit of which there is one.
func withUnits(n uint64) string {
	unit := 0
	f := float64(n)
	for ; f >= 1024 && unit < 5; unit++ {
		f /= 1024
	}
	return fmt.Sprintf("%.2f%sB", f, [...]string{"", "K", "M", "G", "T", "P"}[unit])
}

// strftime knows the letters that make sense in a display file.
func strftime(format string, t time.Time) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		layout := ""
		if format[i] == '%' && i+1 < len(format) {
			i++
			if layout = strftimeLetters[format[i]]; layout == "" && format[i] != '%' {
				b.WriteByte('%')
			}
		}
		if layout == "" {
			b.WriteByte(format[i])
			continue
		}
		b.WriteString(t.Format(layout))
	}
	return b.String()
}

var strftimeLetters = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'b': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday",
	'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'Z': "MST", 'z': "-0700", 'j': "002",
	'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06", 'R': "15:04",
}
