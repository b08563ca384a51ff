package logging

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/version"
)

// textOf makes a variable of a string; "" has the value none.
func textOf(none string, get func(e *Entry) string) *variable {
	return &variable{none, func(b []byte, e *Entry) []byte { return append(b, get(e)...) }}
}

// numberOf makes a variable of a number that is there where ok says so.
func numberOf(get func(e *Entry) (n int64, ok bool)) *variable {
	return &variable{"-", func(b []byte, e *Entry) []byte {
		if n, ok := get(e); ok {
			b = strconv.AppendInt(b, n, 10)
		}
		return b
	}}
}

func addressOf(get func(e *Entry) netip.AddrPort) *variable {
	return &variable{"-", func(b []byte, e *Entry) []byte { return appendAddress(b, get(e)) }}
}

func appendAddress(b []byte, p netip.AddrPort) []byte {
	if a := p.Addr(); a.IsValid() {
		b = a.Unmap().WithZone("").AppendTo(b)
	}
	return b
}

func timeOf(layout string) *variable {
	return &variable{"-", func(b []byte, e *Entry) []byte { return e.Time.AppendFormat(b, layout) }}
}

func client(e *Entry) netip.AddrPort { return e.Peer }
func server(e *Entry) netip.AddrPort { return e.Local }

// letters are the variables of one letter.
var letters = map[byte]*variable{
	'a': addressOf(client),
	'h': addressOf(client), // no name is looked up
	'A': textOf("UNKNOWN", func(e *Entry) string {
		if !e.Anonymous {
			return ""
		}
		return e.Rec.Secret
	}),
	'b': numberOf(func(e *Entry) (int64, bool) { return e.Moved(), e.Rec.Transfer }),
	'c': textOf("-", func(e *Entry) string { return e.Class }),
	'C': textOf("-", func(e *Entry) string { return e.Rec.Cwd }),
	'd': textOf("", func(e *Entry) string { return lastElement(directory(e)) }),
	'D': textOf("", func(e *Entry) string { return e.HostPath(directory(e)) }),
	'E': textOf("-", func(e *Entry) string { return e.Reason }),
	'f': textOf("-", func(e *Entry) string { return e.HostPath(e.Rec.Path) }),
	'F': textOf("-", func(e *Entry) string { return e.Rec.Path }),
	'g': textOf("-", func(e *Entry) string { return e.Group }),
	'H': addressOf(server),
	'I': numberOf(func(e *Entry) (int64, bool) { return int64(e.In), true }),
	'J': textOf("-", (*Entry).argument),
	'l': textOf("UNKNOWN", func(*Entry) string { return "" }), // nobody is asked
	'L': addressOf(server),
	'm': textOf("-", func(e *Entry) string { return e.Rec.Verb }),
	'O': numberOf(func(e *Entry) (int64, bool) { return int64(e.Out), true }),
	'p': numberOf(func(e *Entry) (int64, bool) { return int64(e.Local.Port()), e.Local.IsValid() }),
	'P': numberOf(func(e *Entry) (int64, bool) { return int64(e.PID), true }),
	'r': {"-", func(b []byte, e *Entry) []byte {
		b = append(b, e.Rec.Verb...)
		if a := e.argument(); a != "" {
			b = append(append(b, ' '), a...)
		}
		return b
	}},
	'R': numberOf(func(e *Entry) (int64, bool) { return max(e.Rec.Nanos, 0) / int64(time.Millisecond), true }),
	's': {"-", func(b []byte, e *Entry) []byte {
		if e.Rec.Code == 0 {
			return b
		}
		return appendPadded(b, int(e.Rec.Code), 3)
	}},
	'S': textOf("-", func(e *Entry) string { return clip(e.Rec.Text, maxArgument) }),
	't': {"-", func(b []byte, e *Entry) []byte { return e.Time.AppendFormat(b, "[02/Jan/2006:15:04:05 -0700]") }},
	'T': {"-", func(b []byte, e *Entry) []byte {
		if !e.transfer() {
			return b
		}
		return strconv.AppendFloat(b, time.Duration(max(e.Rec.Took, 0)).Seconds(), 'f', 3, 64)
	}},
	'u': textOf("UNKNOWN", func(e *Entry) string { return e.User }),
	'U': textOf("-", func(e *Entry) string { return e.Rec.Named }),
	'v': textOf("-", func(e *Entry) string { return e.ServerName }),
	'V': {"-", func(b []byte, e *Entry) []byte {
		if e.Host == "" {
			return appendAddress(b, e.Local)
		}
		return append(b, e.Host...)
	}},
	'w': textOf("-", func(e *Entry) string { return e.Rec.From }),
	'x': textOf("-", func(*Entry) string { return "" }),
}

// directory is the directory that a command is about, as the client sees it.
func directory(e *Entry) string {
	switch strings.TrimPrefix(e.Rec.Verb, "X") {
	case "CWD", "CDUP", "CUP", "LIST", "NLST", "MLSD", "MLST", "MKD", "RMD", "PWD", "SITE MKDIR", "SITE RMDIR":
		return e.Rec.Path
	}
	return ""
}

// names are the variables in braces.
var names = map[string]*variable{
	"basename": textOf("-", func(e *Entry) string { return lastElement(e.Rec.Path) }),
	"epoch":    numberOf(func(e *Entry) (int64, bool) { return e.Time.Unix(), true }),
	"file-modified": textOf("-", func(e *Entry) string {
		if !e.file() || e.Rec.Way != "i" {
			return ""
		}
		return strconv.FormatBool(e.Rec.Existed)
	}),
	"file-offset":      numberOf(func(e *Entry) (int64, bool) { return max(e.Rec.Offset, 0), e.file() && e.transfer() }),
	"file-size":        numberOf(func(e *Entry) (int64, bool) { return e.Rec.Size, e.file() && e.Rec.Size >= 0 }),
	"gid":              numberOf(func(e *Entry) (int64, bool) { return int64(e.GID), e.Open }),
	"iso8601":          timeOf("2006-01-02 15:04:05,000"),
	"microsecs":        {"-", func(b []byte, e *Entry) []byte { return appendPadded(b, e.Time.Nanosecond()/1000, 6) }},
	"millisecs":        {"-", func(b []byte, e *Entry) []byte { return appendPadded(b, e.Time.Nanosecond()/1e6, 3) }},
	"protocol":         textOf("-", (*Entry).Service),
	"remote-port":      numberOf(func(e *Entry) (int64, bool) { return int64(e.Peer.Port()), e.Peer.IsValid() }),
	"transfer-failure": textOf("-", (*Entry).failure),
	"transfer-millisecs": numberOf(func(e *Entry) (int64, bool) {
		return max(e.Rec.Took, 0) / int64(time.Millisecond), e.transfer()
	}),
	"transfer-port": numberOf(func(e *Entry) (int64, bool) { return int64(e.Rec.Port), e.transfer() && e.Rec.Port > 0 }),
	"transfer-speed": {"-", func(b []byte, e *Entry) []byte {
		if !e.transfer() || e.Rec.Took <= 0 {
			return b
		}
		kib := float64(e.Moved()) / 1024
		return strconv.AppendFloat(b, kib/time.Duration(e.Rec.Took).Seconds(), 'f', 2, 64)
	}},
	"transfer-status": textOf("-", (*Entry).status),
	"transfer-type": textOf("-", func(e *Entry) string {
		switch {
		case !e.transfer() && e.status() != "failed":
			return ""
		case e.Rec.ASCII:
			return "ASCII"
		}
		return "binary"
	}),
	"uid":     numberOf(func(e *Entry) (int64, bool) { return int64(e.UID), e.Open }),
	"version": textOf("-", func(*Entry) string { return version.Version }),
}

// Service is the session's protocol; what is none of ours is not repeated.
func (e *Entry) Service() string {
	switch e.Rec.Protocol {
	case "ftps", "sftp", "scp":
		return e.Rec.Protocol
	}
	return "ftp"
}

// note is the variable of a session's note; nil for another name.
func note(name string) *variable {
	key, ok := strings.CutPrefix(name, "note:")
	if !ok || key == "" {
		return nil
	}
	return textOf("-", func(e *Entry) string {
		if key == "mod_tls.cipher" || key == "tls.cipher" {
			return e.Rec.Cipher
		}
		return ""
	})
}

// environment is a variable of the daemon's environment.
func environment(name string) *variable {
	value := os.Getenv(name)
	return textOf("-", func(*Entry) string { return value })
}

// appendPadded writes n, not negative, in at least width places.
func appendPadded(b []byte, n, width int) []byte {
	for rest := n / 10; width > 1; width-- {
		if rest == 0 {
			b = append(b, '0')
		}
		rest /= 10
	}
	return strconv.AppendInt(b, int64(n), 10)
}
