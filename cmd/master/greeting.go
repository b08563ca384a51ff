package main

import (
	"strconv"
	"strings"

	"sallyport/internal/display"
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
			b = append(b, display.Printable(m.fillIn(strings.TrimRight(line, "\r\n"), c))...)
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
	return display.Expand(line, maxGreeting, func(name string) string {
		switch name {
		case "E":
			return c.set.Session.Admin
		case "L":
			return c.local.Addr().String()
		case "M":
			return countOrNone(c.set.Max.Clients.Count)
		case "N":
			return itoa(m.places.all[realm{c.host, ""}])
		case "R":
			return c.peer.Addr().String()
		case "V":
			return c.set.Session.ServerName
		case "x":
			return c.class
		case "y":
			return itoa(m.places.byClass[hostName{c.host, c.class}])
		case "z":
			return countOrNone(c.set.Max.PerClass.Count)
		}
		return ""
	})
}

func countOrNone(n uint32) string {
	if n == 0 {
		return "none"
	}
	return itoa(n)
}

func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
