package ftp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"sallyport/ipc"
)

// TestDataIsBoundToTheControlSession: ten transfers each way with clients that
// use a ticket once, and with clients that never read on an upload.
func TestDataIsBoundToTheControlSession(t *testing.T) {
	t.Parallel()
	for version, id := range versionsUnderTest {
		for _, c := range []struct {
			name       string
			once, read bool
			fails      bool
		}{
			{"tickets used once", true, true, false},
			{"nothing read on uploads", false, false, false},
			{"ordinary", false, true, false},
			{"tickets used once and nothing read on uploads", true, false, true},
		} {
			t.Run(version+" "+c.name, func(t *testing.T) {
				t.Parallel()
				o, v := withTLS()
				w := begin(t, o)
				conf := tlsClient(id)
				memory := conf.ClientSessionCache.(*tickets)
				memory.once = c.once
				w.privateLogin(conf)
				for i := range 10 {
					name, data := fmt.Sprintf("f%d", i), random(100+i*30000)
					if r := w.upload(conf, name, data, c.read); r != "226 Transfer complete" {
						// In 1.2 a ticket comes within the handshake, so this client has one.
						if !c.fails || id == tls.VersionTLS12 || i == 0 {
							t.Fatalf("upload %d: %s", i, r)
						}
						if !strings.HasPrefix(r, "425 Unable to build data connection: Operation not permitted") || !strings.Contains(r, "data_reuse") {
							t.Errorf("upload %d: %s", i, r)
						}
						w.report(ipc.EventDataTheft, "data_reuse")
						w.want("200", "NOOP")
						return
					}
					if w.content(name) != data {
						t.Fatalf("upload %d: other bytes", i)
					}
				}
				for i := range 10 {
					name := fmt.Sprintf("f%d", i)
					if data, last := w.download(conf, "RETR "+name); last != "226 Transfer complete" || data != w.content(name) {
						t.Fatalf("download %d: %d bytes, %s", i, len(data), last)
					}
				}
				if _, signs := v.counts(); signs != 1 {
					t.Errorf("%d signatures for one full handshake", signs)
				}
			})
		}
	}
}

// TestThievesGetNothing: who does not resume this very session gets no byte, and
// the one that is robbed is told.
func TestThievesGetNothing(t *testing.T) {
	t.Parallel()
	for version, id := range versionsUnderTest {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			o, v := withTLS()
			w, other := begin(t, o), begin(t, o)
			conf, theirs := tlsClient(id), tlsClient(id)
			w.privateLogin(conf)
			other.privateLogin(theirs)
			other.want("200", "NOOP") // its ticket has come
			w.put("secret", "the secret")
			w.put("old", "the old content")
			_, before := v.counts()
			for name, thief := range map[string]*tls.Config{"no session": tlsClient(id), "another session": theirs} {
				data, last := w.download(thief, "RETR secret")
				if data != "" || !strings.HasPrefix(last, "425 Unable to build data connection: Operation not permitted") {
					t.Errorf("%s: %q, %s", name, data, last)
				}
				if r := w.upload(thief, "old", "forged", true); !strings.HasPrefix(r, "425") {
					t.Errorf("%s: upload: %s", name, r)
				}
				if _, last := w.download(thief, "MLSD"); !strings.HasPrefix(last, "425") {
					t.Errorf("%s: listing: %s", name, last)
				}
			}
			if got := w.content("old"); got != "the old content" {
				t.Errorf("a thief's upload left %q", got)
			}
			w.report(ipc.EventDataTheft, "client did not reuse TLS session")
			if _, after := v.counts(); after != before {
				t.Errorf("authd signed %d times for thieves", after-before)
			}
			if data, last := w.download(conf, "RETR secret"); data != "the secret" || last != "226 Transfer complete" {
				t.Errorf("afterwards: %q, %s", data, last)
			}
		})
	}
}

// TestReuseIsAChoice: without it a full handshake does, signed by authd.
func TestReuseIsAChoice(t *testing.T) {
	t.Parallel()
	for _, reuse := range []string{"prefer", "off"} {
		for version, id := range versionsUnderTest {
			t.Run(reuse+" "+version, func(t *testing.T) {
				t.Parallel()
				o, v := withTLS()
				o.View.TLS.Reuse = reuse
				w := begin(t, o)
				w.privateLogin(tlsClient(id))
				w.put("a", "hello")
				for range 3 {
					if data, last := w.download(tlsClient(id), "RETR a"); data != "hello" || last != "226 Transfer complete" {
						t.Fatalf("%q, %s", data, last)
					}
				}
				if _, signs := v.counts(); signs != 4 {
					t.Errorf("%d signatures for four full handshakes", signs)
				}
			})
		}
	}
}

// TestDownloadWithAnEarlyGoodbye: a client that sends nothing more may say so
// before it reads, and gets all of the file.
func TestDownloadWithAnEarlyGoodbye(t *testing.T) {
	t.Parallel()
	for _, id := range versionsUnderTest {
		o, _ := withTLS()
		w := begin(t, o)
		conf := tlsClient(id)
		w.privateLogin(conf)
		file := random(400 << 10) // more than the client's socket takes, less than the server's holds
		w.put("a", file)
		for range 2 {
			raw := w.passive()
			w.want("150", "RETR a")
			c := tls.Client(raw, conf)
			must(t, c.Handshake())
			w.next("226")
			must(t, c.CloseWrite())
			if b, err := io.ReadAll(c); err != nil || string(b) != file {
				t.Errorf("%d bytes of %d, %v", len(b), len(file), err)
			}
		}
	}
}

// TestProtocolOfData: clients that name a protocol on data connections call it
// ftp or ftp-data.
func TestProtocolOfData(t *testing.T) {
	t.Parallel()
	for version, id := range versionsUnderTest {
		o, _ := withTLS()
		w := begin(t, o)
		conf := tlsClient(id)
		conf.NextProtos = []string{"ftp"}
		w.privateLogin(conf)
		w.put("a", "hello")
		for name, want := range map[string]string{"ftp": "226", "ftp-data": "226", "http/1.1": "425"} {
			conf := conf.Clone()
			conf.NextProtos = []string{name}
			if _, last := w.download(conf, "RETR a"); !strings.HasPrefix(last, want) {
				t.Errorf("%s, %s: %s, want %s", version, name, last, want)
			}
		}
	}
}

// TestUploadWithoutGoodbye: whether the end of a connection without close_notify
// is one of the file is configured. It is told of: once where it is allowed.
func TestUploadWithoutGoodbye(t *testing.T) {
	t.Parallel()
	for version, id := range versionsUnderTest {
		for strict, want := range map[bool]string{false: "226", true: "426"} {
			o, _ := withTLS()
			o.View.TLS.StrictEOF = strict
			w := begin(t, o)
			conf := tlsClient(id)
			w.privateLogin(conf)
			for _, name := range []string{"a", "b"} {
				raw := w.passive()
				w.want("150", "STOR "+name)
				c := tls.Client(raw, conf)
				must(t, c.Handshake())
				_, err := io.WriteString(c, "hello")
				must(t, err)
				must(t, raw.(*net.TCPConn).CloseWrite())
				w.next(want)
				if w.content(name) != "hello" {
					t.Errorf("%s: %q", version, w.content(name))
				}
			}
			w.want("221", "QUIT")
			<-w.lost
			told := 0
			for _, e := range w.events() {
				if e == ipc.EventTLSUnclosed {
					told++
				}
			}
			if told != map[bool]int{false: 1, true: 2}[strict] {
				t.Errorf("%s, strict %v: told %d times", version, strict, told)
			}
		}
	}
}

// TestUploadCutWithinARecord is never a whole file.
func TestUploadCutWithinARecord(t *testing.T) {
	t.Parallel()
	o, _ := withTLS()
	w := begin(t, o)
	conf := tlsClient(tls.VersionTLS13)
	w.privateLogin(conf)
	cut := &cutter{Conn: w.passive(), left: 1 << 20}
	w.want("150", "STOR a")
	c := tls.Client(cut, conf)
	must(t, c.Handshake())
	cut.left = 20000
	_, _ = io.WriteString(c, random(40000))
	w.next("426")
}

// cutter lets so many bytes through and closes its half.
type cutter struct {
	net.Conn
	left int
}

func (c *cutter) Write(b []byte) (int, error) {
	if len(b) <= c.left {
		c.left -= len(b)
		return c.Conn.Write(b)
	}
	_, _ = c.Conn.Write(b[:c.left])
	_ = c.Conn.(*net.TCPConn).CloseWrite()
	c.left = 0
	return 0, errors.New("cut")
}

// TestUploadGoodbyeIsAnswered: many clients wait for the server's close_notify.
func TestUploadGoodbyeIsAnswered(t *testing.T) {
	t.Parallel()
	for _, id := range versionsUnderTest {
		o, _ := withTLS()
		w := begin(t, o)
		conf := tlsClient(id)
		w.privateLogin(conf)
		raw := &spy{Conn: w.passive()}
		w.want("150", "STOR a")
		c := tls.Client(raw, conf)
		_, err := io.WriteString(c, "hello")
		must(t, err)
		must(t, c.CloseWrite()) // and the connection stays open
		if _, err := io.Copy(io.Discard, c); err != nil || raw.ended {
			t.Errorf("%v, ended without close_notify: %t", err, raw.ended)
		}
		w.next("226")
	}
}

// TestAbortDuringADataHandshake: the control connection is heard.
func TestAbortDuringADataHandshake(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(w *world)
		want []string
	}{
		"ABOR": {func(w *world) { w.send("ABOR\r\n") }, []string{"426", "226", "200"}},
		"QUIT": {func(w *world) { w.send("QUIT\r\n") }, []string{"426", "221"}},
		"End":  {func(w *world) { w.tell(ipc.End{Code: 421, Text: "Bye"}) }, []string{"426", "421 Bye"}},
		"STAT": {func(w *world) { w.send("STAT\r\nABOR\r\n") }, []string{"211", "426", "226", "200"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, _ := withTLS()
			w := begin(t, o)
			w.privateLogin(tlsClient(tls.VersionTLS13))
			w.put("a", "hello")
			w.passive() // connected, and silent
			w.want("150", "RETR a")
			c.do(w)
			for i, want := range c.want {
				if i == len(c.want)-1 && want == "200" {
					w.want(want, "NOOP")
					return
				}
				w.next(want)
			}
			w.ended()
		})
	}
}

// TestSlowDataHandshake ends by itself, and changes no file.
func TestSlowDataHandshake(t *testing.T) {
	t.Parallel()
	o, _ := withTLS()
	o.View.TLS.Handshake = 4 // of the control connection, too
	w := begin(t, o)
	w.privateLogin(tlsClient(tls.VersionTLS13))
	w.put("a", "the old content")
	w.passive()
	w.want("150", "STOR a")
	w.next("425 Unable to build data connection: TLS handshake timed out")
	if got := w.content("a"); got != "the old content" {
		t.Errorf("%q", got)
	}
	raw := w.passive()
	w.want("150", "STOR a")
	_, err := io.WriteString(raw, "plain bytes in a private session")
	must(t, err)
	w.next("425 Unable to build data connection: TLS handshake failed")
	w.want("200", "NOOP")
	if got := w.content("a"); got != "the old content" {
		t.Errorf("%q", got)
	}
	w.report(ipc.EventTLSFailed, "data connection: ")
}

// TestBigFilesUnderTLS: sizes around those of records and pieces, in TYPE I and A.
func TestBigFilesUnderTLS(t *testing.T) {
	t.Parallel()
	for _, id := range versionsUnderTest {
		o, _ := withTLS()
		w := begin(t, o)
		conf := tlsClient(id)
		w.privateLogin(conf)
		w.want("200", "TYPE I")
		for _, n := range []int{0, 1, recordMax - 1, recordMax, recordMax + 1, sealMax, sealMax + 1, 5<<20 + 7} {
			data := random(n)
			if r := w.upload(conf, "big", data, true); r != "226 Transfer complete" || w.content("big") != data {
				t.Fatalf("upload of %d bytes: %s", n, r)
			}
			if got, last := w.download(conf, "RETR big"); last != "226 Transfer complete" || got != data {
				t.Fatalf("download of %d bytes: %d, %s", n, len(got), last)
			}
		}
		w.want("200", "TYPE A")
		w.put("text", strings.Repeat("a line\n", 30000))
		if got, last := w.download(conf, "RETR text"); got != strings.Repeat("a line\r\n", 30000) {
			t.Fatalf("text: %d bytes, %s", len(got), last)
		}
	}
}

// TestSlowReaderUnderTLS: what the socket does not take waits, and is not lost.
func TestSlowReaderUnderTLS(t *testing.T) {
	t.Parallel()
	o, _ := withTLS()
	w := begin(t, o)
	conf := tlsClient(tls.VersionTLS13)
	w.privateLogin(conf)
	data := random(16 << 20)
	w.put("big", data)
	raw := w.passive()
	w.want("150", "RETR big")
	w.want("211-", "STAT") // answered while data waits
	c := tls.Client(raw, conf)
	var got strings.Builder
	b := make([]byte, 300000)
	for {
		n, err := c.Read(b)
		got.Write(b[:n])
		if err == io.EOF {
			break
		}
		must(t, err)
	}
	w.next("226")
	if got.String() != data {
		t.Errorf("%d bytes came, and not the same", got.Len())
	}
}

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
