package ftp

import (
	"compress/zlib"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHandshakeIsAcknowledgedAtOnce: GnuTLS writes its last flight in two pieces,
// and Nagle's algorithm keeps the second until the first is acknowledged.
func TestHandshakeIsAcknowledgedAtOnce(t *testing.T) {
	t.Parallel()
	client, fd := tcpPair(t, "127.0.0.1")
	defer client.Close()
	defer unix.Close(fd)
	// As after an answer: acknowledgements go with the next one.
	must(t, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0))
	done := make(chan error, 1)
	start := sync.OnceFunc(func() {
		go func() { done <- tls.Client(client, tlsClient(tls.VersionTLS13)).Handshake() }()
	})
	p := ecdsaPair()
	conf := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{p.der}, PrivateKey: p.key}}}
	_, err := secure(&wire{c: sock(fd)}, conf, func(events int16) error {
		if prompt, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK); err != nil || prompt == 0 {
			t.Errorf("the handshake waits, and acknowledges late (%v)", err)
		}
		start()
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, int(patience.Milliseconds()))
		return err
	})
	must(t, err)
	must(t, <-done)
}

// records counts the records of application data that a client reads.
type records struct {
	net.Conn
	frame frame
	n     int
}

func (r *records) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b[:min(len(b), r.frame.left())])
	was := r.frame.n
	r.frame.take(b[:n])
	if was > 0 && r.frame.n == 0 && r.frame.body > 0 && r.frame.header[0] == 23 {
		r.n++
	}
	return n, err
}

// TestCompressedPiecesAreGathered: the compressor gives away 240 bytes at a time,
// each of which would be a record and a packet.
func TestCompressedPiecesAreGathered(t *testing.T) {
	t.Parallel()
	o, _ := withTLS()
	o.View.ModeZ = true
	w := begin(t, o)
	conf := tlsClient(tls.VersionTLS13)
	w.privateLogin(conf)
	w.want("200", "TYPE I")
	w.want("200", "MODE Z")
	text := random(8 << 10)
	w.put("f", text)
	raw := &records{Conn: w.passive()}
	w.want("150", "RETR f")
	c := tls.Client(raw, conf)
	z, err := zlib.NewReader(c)
	must(t, err)
	b, err := io.ReadAll(z)
	must(t, err)
	_, err = io.Copy(io.Discard, c)
	must(t, err)
	w.next("226")
	if string(b) != text {
		t.Errorf("%d bytes that are not those of the file", len(b))
	}
	// The handshake's own, the ticket, the data and the close_notify.
	if raw.n > 8 {
		t.Errorf("%d records for %d bytes", raw.n, len(text))
	}
}
