package logging

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Identifier is SYSLOG_IDENTIFIER in every record.
const Identifier = "sallyport"

// journal encodes the journal's native protocol: FIELD=value lines, or FIELD, a
// 64-bit little-endian length and the bytes where the value has a line feed.
// Values are raw; MESSAGE alone is escaped, because it is shown.
type journal struct{ version string }

func (j journal) encode(r *record) []byte {
	b := make([]byte, 0, 512)
	m := appendHeader(make([]byte, 0, 256), r)
	m = appendEscaped(m, r.message, false)
	for _, a := range r.attrs {
		switch a.key {
		case KeyPeer, KeySession, KeyEvent, KeyUser, KeyClaimed:
		default:
			m = appendPair(m, a)
		}
	}
	b = appendField(b, "MESSAGE", string(m))
	b = append(b, "PRIORITY="...)
	b = appendInt(b, priority(r.level))
	b = append(b, "\nSYSLOG_IDENTIFIER="+Identifier+"\n"...)
	if id := Event(r.get(KeyEvent)).MessageID(); id != "" {
		b = appendField(b, "MESSAGE_ID", id)
	}
	if j.version != "" {
		b = appendField(b, "SALLYPORT_VERSION", j.version)
	}
	if ap, err := netip.ParseAddrPort(r.get(KeyPeer)); err == nil {
		b = appendField(b, "REMOTE_ADDR", ap.Addr().Unmap().WithZone("").String())
		b = append(b, "REMOTE_PORT="...)
		b = append(appendInt(b, int(ap.Port())), '\n')
	}
	for _, a := range r.attrs {
		b = appendField(b, field(a.key), a.value)
	}
	return b
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	if strings.IndexByte(value, '\n') < 0 {
		b = append(b, '=')
	} else {
		b = append(b, '\n')
		b = binary.LittleEndian.AppendUint64(b, uint64(len(value)))
	}
	b = append(b, value...)
	return append(b, '\n')
}

// journalWriter sends records as datagrams, a large one as a sealed memfd. A
// journal that cannot be reached gets its records on the fallback, as text the
// journal's stream understands.
type journalWriter struct {
	fd       int
	addr     *unix.SockaddrUnix
	fallback *os.File
}

func dialJournal(path string, fallback *os.File) (*journalWriter, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("journal socket: %w", err)
	}
	w := &journalWriter{fd: fd, addr: &unix.SockaddrUnix{Name: path}, fallback: fallback}
	if err := unix.Connect(fd, w.addr); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("connect to the journal at %s: %w", path, err)
	}
	return w, nil
}

// Write sends one record.
func (w *journalWriter) Write(b []byte) (int, error) {
	err := w.send(b)
	if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ECONNRESET) {
		if err = unix.Connect(w.fd, w.addr); err == nil { // the journal was restarted
			err = w.send(b)
		}
	}
	if err == nil {
		return len(b), nil
	}
	if m, ok := strings.CutPrefix(string(b), "MESSAGE="); ok {
		line, _, _ := strings.Cut(m, "\n")
		if _, err := fmt.Fprintln(w.fallback, line); err == nil {
			return len(b), nil
		}
	}
	return 0, fmt.Errorf("send to the journal: %w", err)
}

func (w *journalWriter) send(b []byte) error {
	err := ignoringEINTR(func() error { return unix.Sendmsg(w.fd, b, nil, nil, unix.MSG_NOSIGNAL) })
	if !errors.Is(err, unix.EMSGSIZE) && !errors.Is(err, unix.ENOBUFS) {
		return err
	}
	m, err := unix.MemfdCreate("sallyport-record", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return err
	}
	defer unix.Close(m)
	for rest := b; len(rest) > 0; {
		n, err := unix.Write(m, rest)
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	seals := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(m), unix.F_ADD_SEALS, seals); err != nil {
		return err
	}
	return ignoringEINTR(func() error {
		return unix.Sendmsg(w.fd, nil, unix.UnixRights(m), nil, unix.MSG_NOSIGNAL)
	})
}

func ignoringEINTR(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
