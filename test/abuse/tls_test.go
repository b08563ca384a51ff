package abuse

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport/test/daemon"
)

const overTLS = `
allow_overwrite = true
tls {
  required          = "on"
  timeout_handshake = "5s"
}
`

// secured is a control connection under TLS.
type secured struct {
	*daemon.Conn
	conf *tls.Config
}

// secure dials, negotiates TLS and logs alice in. Data connections that use the
// same configuration resume its session.
func secure(t *testing.T, d *daemon.Daemon) *secured {
	t.Helper()
	c := d.Dial()
	c.Expect("234", "AUTH TLS")
	s := &secured{c, &tls.Config{InsecureSkipVerify: true, ServerName: "x", ClientSessionCache: tls.NewLRUClientSessionCache(4)}}
	control := tls.Client(c.Conn, s.conf)
	if err := control.Handshake(); err != nil {
		t.Fatal(err)
	}
	c.Conn = control
	c.Expect("331", "USER alice")
	c.Expect("230", "PASS "+d.Users["alice"].Password)
	c.Expect("200", "PBSZ 0")
	c.Expect("200", "PROT P")
	return s
}

func port(t *testing.T, reply string) string {
	t.Helper()
	n := daemon.PassivePort(reply)
	if n == 0 {
		t.Fatalf("no port in %q", reply)
	}
	return strconv.Itoa(n)
}

func dialFrom(t *testing.T, from, port string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	c, err := dialer.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestAThiefOnTheDataPort comes first to a passive port: from another address,
// from the same address in clear, and from the same address with a TLS session
// of his own. He gets no byte of the file and changes none; the owner is told,
// and his next transfer works.
func TestAThiefOnTheDataPort(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: overTLS})
	d.Put("alice", "secret", []byte("the owner's"))
	owner := secure(t, d)
	stolen := secure(t, d).conf // a ticket of another control connection
	fetch := func() string {
		t.Helper()
		p := port(t, owner.Expect("229", "EPSV"))
		data := tls.Client(dialFrom(t, "127.0.0.1", p), owner.conf)
		owner.Expect("150", "RETR secret")
		b, err := io.ReadAll(data)
		if err != nil {
			t.Fatal(err)
		}
		if r := owner.Reply(); !strings.HasPrefix(r, "226") {
			t.Fatalf("%q", r)
		}
		return string(b)
	}
	for name, thief := range map[string]func(net.Conn) net.Conn{
		"in clear":              func(c net.Conn) net.Conn { return c },
		"with a session of his": func(c net.Conn) net.Conn { return tls.Client(c, &tls.Config{InsecureSkipVerify: true}) },
		"with another's ticket": func(c net.Conn) net.Conn { return tls.Client(c, stolen) },
		"in TLS 1.2": func(c net.Conn) net.Conn {
			return tls.Client(c, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
		},
		"with words of TLS's": func(c net.Conn) net.Conn { _, _ = c.Write([]byte("\x16\x03\x01\x02\x00")); return c },
	} {
		t.Run(name, func(t *testing.T) {
			for _, command := range []string{"RETR secret", "STOR secret", "LIST"} {
				p := port(t, owner.Expect("229", "EPSV"))
				c := thief(dialFrom(t, "127.0.0.1", p))
				owner.Send(command + "\r\n")
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				_, _ = c.Write([]byte("the thief's"))
				got, _ := io.ReadAll(io.LimitReader(c, 1<<16))
				c.Close()
				if strings.Contains(string(got), "owner") || strings.Contains(string(got), "secret") {
					t.Errorf("%s: the thief read %q", command, got)
				}
				r := owner.Reply()
				if strings.HasPrefix(r, "150") {
					r = owner.Reply()
				}
				if !strings.HasPrefix(r, "425") {
					t.Errorf("%s: the owner was told %q", command, r)
				}
			}
			if got := fetch(); got != "the owner's" {
				t.Errorf("afterwards the file is %q", got)
			}
		})
	}
	t.Run("from another address", func(t *testing.T) {
		p := port(t, owner.Expect("229", "EPSV"))
		c := dialFrom(t, "127.0.0.2", p)
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("the thief was served: %d %v", n, err)
		}
		data := tls.Client(dialFrom(t, "127.0.0.1", p), owner.conf) // the port waited for its owner
		owner.Expect("150", "RETR secret")
		if b, err := io.ReadAll(data); err != nil || string(b) != "the owner's" {
			t.Errorf("%q %v", b, err)
		}
		owner.Reply()
	})
	if b, err := os.ReadFile(d.Home("alice", "secret")); err != nil || string(b) != "the owner's" {
		t.Errorf("the file is %q %v", b, err)
	}
}

// TestPlainTextBehindAuthIsNotRun sends commands in the segment of AUTH TLS, where
// somebody in the middle could have put them.
func TestPlainTextBehindAuthIsNotRun(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: "allow_overwrite = true\n"})
	for _, behind := range []string{"USER alice\r\n", "NOOP\r\n", "x"} {
		c := d.Dial()
		c.Send("AUTH TLS\r\n" + behind)
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		got := c.Ended()
		if strings.Contains(got, "331") || strings.Contains(got, "200") {
			t.Errorf("%q was run: %q", behind, got)
		}
	}
}

// TestASilentHandshakeEnds stalls after AUTH and within a handshake: both end at
// the handshake's deadline, and the daemon serves others meanwhile.
func TestASilentHandshakeEnds(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: overTLS})
	for _, words := range []string{"", "\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03"} {
		c := d.Dial()
		c.Expect("234", "AUTH TLS")
		c.Send(words)
		other := secure(t, d)
		other.Expect("200", "NOOP")
		c.Ended() // within the 30 s that a line may take; without a deadline it would not come
	}
}

// TestFileZillasConversation plays what FileZilla 3 sends when it connects with
// explicit TLS, lists, uploads and downloads, in its order.
func TestFileZillasConversation(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: overTLS})
	c := d.Dial()
	c.Expect("234", "AUTH TLS")
	conf := &tls.Config{InsecureSkipVerify: true, ServerName: "127.0.0.1", NextProtos: []string{"x-filezilla-ftp", "ftp"}, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	control := tls.Client(c.Conn, conf)
	if err := control.Handshake(); err != nil {
		t.Fatal(err)
	}
	c.Conn = control
	c.Expect("331", "USER alice")
	c.Expect("230", "PASS "+d.Users["alice"].Password)
	c.Expect("215", "SYST")
	feat := c.Expect("211", "FEAT")
	for _, f := range []string{" UTF8\r\n", " MLST ", " CLNT\r\n", " AUTH TLS\r\n", " PBSZ\r\n", " PROT\r\n", " MFMT\r\n", " TVFS\r\n"} {
		if !strings.Contains(feat, f) {
			t.Errorf("FEAT has no %q: %q", f, feat)
		}
	}
	c.Expect("200", "CLNT FileZilla")
	c.Expect("200", "OPTS UTF8 ON")
	c.Expect("200", "PBSZ 0")
	c.Expect("200", "PROT P")
	c.Expect("200", "OPTS MLST type;size;modify;perm;UNIX.mode;UNIX.owner;UNIX.group;")
	c.Expect(`257 "/"`, "PWD")
	transfer := func(command string, send []byte) string {
		t.Helper()
		p := port(t, c.Expect("227", "PASV"))
		raw := dialFrom(t, "127.0.0.1", p)
		c.Expect("150", command)
		data := tls.Client(raw, conf)
		if send != nil {
			if _, err := data.Write(send); err != nil {
				t.Fatal(err)
			}
			_ = data.CloseWrite()
		}
		b, err := io.ReadAll(data)
		if err != nil {
			t.Fatal(err)
		}
		data.Close()
		if r := c.Reply(); !strings.HasPrefix(r, "226") {
			t.Fatalf("%s: %q", command, r)
		}
		return string(b)
	}
	c.Expect("200", "TYPE I")
	transfer("MLSD", nil)
	transfer("STOR up.txt", []byte("hello"))
	c.Expect("213", "MFMT 20260102030405 up.txt")
	if list := transfer("MLSD", nil); !strings.Contains(list, "size=5;") || !strings.Contains(list, "modify=20260102030405;") {
		t.Errorf("%q", list)
	}
	if got := transfer("RETR up.txt", nil); got != "hello" {
		t.Errorf("%q", got)
	}
	c.Expect("200", "SITE CHMOD 644 up.txt")
	c.Expect("350", "RNFR up.txt")
	c.Expect("250", "RNTO renamed.txt")
	c.Expect("250", "DELE renamed.txt")
	c.Expect("200", "NOOP")
	c.Expect("221", "QUIT")
}
