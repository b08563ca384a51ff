package ftp

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
)

// recordReader reads no more than a record at a time, as OpenSSL does; crypto/tls
// reads what follows as well.
type recordReader struct {
	net.Conn
	frame frame
}

func (r *recordReader) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b[:min(len(b), r.frame.left())])
	r.frame.take(b[:n])
	return n, err
}

// TestUploadClosedUnread: where nobody needs the ticket of an upload, a client that
// reads nothing there ends by a close and not by a reset. It may resume all the same,
// and gets a new ticket where it reads.
func TestUploadClosedUnread(t *testing.T) {
	t.Parallel()
	for version, id := range versionsUnderTest {
		for _, reuse := range []string{"prefer", "off"} {
			o, _ := withTLS()
			o.View.TLS.Reuse = reuse
			w := begin(t, o)
			conf := tlsClient(id)
			w.privateLogin(conf)
			for i := range 3 {
				name, data := fmt.Sprintf("f%d", i), random(200_000)
				raw := w.passive()
				w.want("150", "STOR "+name)
				if i == 2 {
					conf = tlsClient(id) // which knows no ticket
				}
				c := tls.Client(&recordReader{Conn: raw}, conf)
				must(t, c.Handshake())
				if c.ConnectionState().DidResume != (i < 2) {
					t.Errorf("%s, %s: the upload resumes: %t", version, reuse, i >= 2)
				}
				_, err := io.WriteString(c, data)
				must(t, err)
				must(t, raw.Close())
				w.next("226")
				if w.content(name) != data {
					t.Errorf("%s: other bytes", version)
				}
			}
			got := conf.ClientSessionCache.(*tickets).got
			if _, last := w.download(conf, "RETR f0"); last[:3] != "226" || conf.ClientSessionCache.(*tickets).got <= got {
				t.Errorf("%s, %s: %s, and no ticket", version, reuse, last)
			}
		}
	}
}
