package main

import (
	"strconv"
	"strings"
	"time"

	"sallyport/internal/logging"
	"sallyport/internal/policy"
)

// maxGreeting bounds the first reply in bytes, display file included: what the
// socket of a new connection takes without waiting.
const maxGreeting = 8192

// greeting is the first reply: the lines of the display file (connect), then the
// constant line. It is appended to b.
func (m *master) greeting(b []byte, c *client) []byte {
	if text := c.set.Session.Display.Connect; text != "" {
		room := maxGreeting - len(c.set.Session.Ident) - len("220 \r\n")
		for line := range strings.Lines(text) {
			from := len(b)
			b = append(b, "220-"...)
			b = append(b, oneLine(m.fillIn(strings.TrimRight(line, "\r\n"), c))...)
			b = append(b, "\r\n"...)
			if len(b) > room {
				b = b[:from]
				break
			}
		}
	}
	b = append(b, "220 "...)
	b = append(b, c.set.Session.Ident...)
	return append(b, "\r\n"...)
}

// fillIn replaces the variables of a display file that are known of a client
// that has just connected; other ones stand for nothing.
func (m *master) fillIn(line string, c *client) string {
	if !strings.Contains(line, "%") {
		return line
	}
	max := &c.set.Max
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		if line[i] != '%' || i+1 == len(line) || !policy.BeginsVariable(line[i+1]) {
			b.WriteByte(line[i])
			continue
		}
		i++
		switch line[i] {
		case '%':
			b.WriteByte('%')
		case 'E':
			b.WriteString(c.set.Session.Admin)
		case 'L':
			b.WriteString(c.local.Addr().String())
		case 'M':
			b.WriteString(countOrNone(max.Clients.Count))
		case 'N':
			b.WriteString(itoa(m.places.all[realm{c.host, ""}]))
		case 'R':
			b.WriteString(c.peer.Addr().String())
		case 'T':
			b.WriteString(time.Now().UTC().Format("Mon Jan 02 15:04:05 2006"))
		case 'V':
			b.WriteString(c.set.Session.ServerName)
		case 'x':
			b.WriteString(c.class)
		case 'y':
			b.WriteString(itoa(m.places.byClass[hostName{c.host, c.class}]))
		case 'z':
			b.WriteString(countOrNone(max.PerClass.Count))
		case '{':
			name, _, ok := strings.Cut(line[i+1:], "}")
			if !ok {
				b.WriteString("%{")
				continue
			}
			i += len(name) + 1
			if format, ok := strings.CutPrefix(name, "time:"); ok {
				text, _ := logging.Strftime(format, time.Now().UTC())
				b.WriteString(text)
			}
		}
	}
	return b.String()
}

func countOrNone(n uint32) string {
	if n == 0 {
		return "none"
	}
	return itoa(n)
}

func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
