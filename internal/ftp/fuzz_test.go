package ftp

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/internal/policy"
)

// replyLine is what every line of every reply looks like.
var replyLine = regexp.MustCompile(`^(?:[1-5]\d\d[ -]| )[^\r\n\x00]*$`)

// FuzzSession sends arbitrary bytes to a whole session. Replies are well-formed,
// no line asks for more than one final reply (ABOR of a transfer and a stall
// aside, which the data connections of this test rule out), and the session ends
// when its client does.
func FuzzSession(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	must(f, err)
	for _, name := range files { // every conversation is a seed
		b, err := os.ReadFile(name)
		must(f, err)
		for _, part := range strings.Split("\n"+string(b), "\n== ")[1:] {
			var in []byte
			for line := range strings.Lines(part) {
				if c, ok := strings.CutPrefix(line, "> "); ok {
					in = append(in, c...)
				}
			}
			f.Add(in, strings.Contains(part, "\nlogin\n"))
		}
	}
	f.Add([]byte("MKD a\rb\r\nMKD a\r\x00b\r\nCWD a\r\x00b\r\nPWD\r\nSTAT .\r\nMLST\r\n"), true)
	f.Add([]byte("\xff\xfb\x01\xff\xfd\x02NO\xff\xf4OP\r\nQUIT\r\nNOOP\r\n"), false)
	f.Add([]byte("HASH f\r\nXCRC f 0 5\r\nMD5 f\r\nRANG 2 5\r\nHASH f\r\nOPTS HASH MD5\r\nXSHA512 f\r\nABOR\r\n"), true)
	f.Add([]byte("MODE Z\r\nOPTS MODE Z LEVEL 9\r\nEPSV\r\nRETR f\r\nRANG 0 3\r\nEPSV\r\nSTOR f\r\nMODE S\r\n"), true)
	f.Add([]byte("SITE COPY f g\r\nSITE CPFR f\r\nSITE CPTO h\r\nSITE RMDIR /\r\nSITE MKDIR a/b\r\nSITE SYMLINK f l\r\nABOR\r\n"), true)
	f.Add([]byte("MFF modify=20240102030405;UNIX.mode=600; f\r\nMFMT 20240102030405 f\r\nSITE UTIME 202401020304 f\r\nSITE CHMOD u+x,g= f\r\n"), true)
	f.Add([]byte(strings.Repeat("EPSV\r\nLIST\r\nABOR\r\nSTAT\r\n", 20)), true)
	f.Fuzz(func(t *testing.T, in []byte, login bool) {
		if len(in) > 4096 {
			return
		}
		o := ordinary()
		o.Unconnected = true
		settings["digests"](&o)
		settings["modez"](&o)
		settings["display"](&o)
		o.View.Log.Classes, o.View.Log.Transfer = policy.LogAll, true
		o.Active = func(netip.AddrPort) string { return "not in this test" }
		w := begin(t, o)
		w.put("f", tenBytes)
		if login {
			w.login()
		}
		w.send(string(in))
		must(t, w.client.(*net.TCPConn).CloseWrite())
		_ = w.client.SetReadDeadline(time.Now().Add(patience))
		out, err := io.ReadAll(w.in)
		if err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		checkReplies(t, in, out)
	})
}

// checkReplies looks at all that a session said to in.
func checkReplies(t *testing.T, in, out []byte) {
	t.Helper()
	if _, answers := feed(4096, in); answers != "" {
		return // telnet answers stand between the replies
	}
	if len(out) > 0 && !bytes.HasSuffix(out, []byte("\r\n")) {
		t.Fatalf("%q does not end in CR LF", out)
	}
	final := 0
	for line := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte("\r\n")), []byte("\r\n")) {
		if len(out) > 0 && !replyLine.Match(line) {
			t.Fatalf("reply line %q", line)
		}
		if len(line) > 3 && line[3] == ' ' && line[0] != ' ' && line[0] != '1' {
			final++
		}
	}
	if n := bytes.Count(in, []byte{'\n'}); final > n+1 {
		t.Fatalf("%d replies to %d lines: %q", final, n, out)
	}
}
