package clients

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sallyport/test/daemon"
)

// tlsConfig demands TLS everywhere and data connections that resume their
// control session; the certificate is the one the daemon makes for itself.
const tlsConfig = common + `
tls {
  required   = "on"
  data_reuse = "require"
}
listener "ftps" {
  tls     = "implicit"
  address = ["127.0.0.1:0"]
}
`

// addressOf returns the address of a listener from the ready line.
func addressOf(t *testing.T, d *daemon.Daemon, label string) string {
	t.Helper()
	for f := range strings.FieldsSeq(d.Ready) {
		if a, ok := strings.CutPrefix(f, label+"="); ok {
			a, _, _ = strings.Cut(a, ",")
			return a
		}
	}
	t.Fatalf("no listener %q in %q", label, d.Ready)
	return ""
}

func TestCurlOverTLS(t *testing.T) {
	modes(t, func(t *testing.T, rootless bool) {
		data := random(3<<20+17, 11)
		up := file(t, "up.bin", data)
		strict := daemon.Start(t, daemon.Options{Config: tlsConfig, Rootless: rootless})
		// curl takes no tickets in TLS 1.2, so it cannot resume there.
		lenient := daemon.Start(t, daemon.Options{Config: strings.Replace(tlsConfig, `"require"`, `"prefer"`, 1), Rootless: rootless})
		for max, d := range map[string]*daemon.Daemon{"1.2": lenient, "1.3": strict} {
			explicit := "ftp://alice:wonder%20land@" + d.Addr + "/"
			implicit := "ftps://alice:wonder%20land@" + addressOf(t, d, "ftps") + "/"
			for name, url := range map[string]string{"explicit": explicit, "implicit": implicit} {
				t.Run(name+" "+max, func(t *testing.T) {
					args := []string{"-sS", "-k", "--ssl-reqd", "--tls-max", max, "--tlsv" + max}
					for i := range 10 { // ten transfers on one control connection
						args = append(args, "-T", up, fmt.Sprint(url, "curl", i))
					}
					run(t, "", "curl", args...)
					for i := range 10 {
						same(t, d.Home("alice", fmt.Sprint("curl", i)), data)
					}
					args = args[:6]
					dir := t.TempDir()
					for i := range 10 {
						args = append(args, "-o", filepath.Join(dir, fmt.Sprint(i)), fmt.Sprint(url, "curl", i))
					}
					run(t, "", "curl", args...)
					for i := range 10 {
						same(t, filepath.Join(dir, fmt.Sprint(i)), data)
					}
					out := run(t, "", "curl", "-sS", "-k", "--ssl-reqd", "--tls-max", max, url)
					if !strings.Contains(out, "curl9") {
						t.Errorf("listing: %q", out)
					}
					half := filepath.Join(dir, "half")
					if err := os.WriteFile(half, data[:777], 0o600); err != nil {
						t.Fatal(err)
					}
					run(t, "", "curl", "-sS", "-k", "--ssl-reqd", "--tls-max", max, "-C", "-", "-o", half, url+"curl0")
					same(t, half, data)
				})
			}
		}
		t.Run("1.2 without a ticket is told the option", func(t *testing.T) {
			out, err := exec.Command("curl", "-sv", "-k", "--ssl-reqd", "--tls-max", "1.2", "-T", up, "ftp://alice:wonder%20land@"+strict.Addr+"/no").CombinedOutput()
			if err == nil {
				t.Errorf("it was let in:\n%s", out)
			}
			daemon.Until(t, "the log to name the option", func() bool { return strings.Contains(strict.Log(), "data_reuse") })
		})
		t.Run("plain is refused", func(t *testing.T) {
			c := strict.Raw()
			c.Line()
			c.Send("USER alice\r\n")
			if line, _ := c.Line(); !strings.HasPrefix(line, "550 SSL/TLS required") {
				t.Errorf("USER in clear: %q", line)
			}
		})
	})
}

// TestLftpOverTLS mirrors a tree up and down with lftp, whose TLS is GnuTLS.
func TestLftpOverTLS(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: tlsConfig})
	src := t.TempDir()
	for i := range 120 {
		sub := filepath.Join(src, fmt.Sprint("dir", i%7))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("file %d", i)), random(1000*i, uint64(i)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, proto := range []struct{ name, url, extra string }{
		{"explicit", "ftp://" + d.Addr, "set ssl:priority NORMAL; "},
		{"explicit, TLS 1.2", "ftp://" + d.Addr, `set ssl:priority "NORMAL:-VERS-TLS1.3"; `},
		{"implicit", "ftps://" + addressOf(t, d, "ftps"), ""},
	} {
		t.Run(proto.name, func(t *testing.T) {
			back := t.TempDir()
			script := "set ssl:verify-certificate no; set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ftp:ssl-protect-list yes; set net:max-retries 1; set net:timeout 20; " + proto.extra +
				"open -u alice,'wonder land' " + proto.url + "; mirror -R " + src + " tree; mirror tree " + back + "; rm -r tree"
			run(t, "", "lftp", "-c", script)
			out := run(t, "", "diff", "-r", src, back)
			if out != "" {
				t.Error(out)
			}
		})
	}
}

func TestFtplibOverTLS(t *testing.T) {
	for _, reuse := range []string{"require", "off"} {
		d := daemon.Start(t, daemon.Options{Config: strings.Replace(tlsConfig, `"require"`, `"`+reuse+`"`, 1)})
		for _, version := range []string{"1.2", "1.3"} {
			t.Run(reuse+" "+version, func(t *testing.T) {
				host, port, _ := strings.Cut(d.Addr, ":")
				out := run(t, "", "python3", filepath.Join(daemon.Repo(t), "test", "clients", "ftps_session.py"), host, port, "alice", "wonder land", version, reuse)
				if !strings.HasSuffix(strings.TrimSpace(out), "all good") {
					t.Error(out)
				}
			})
		}
	}
}

// TestTLSTools speaks the control connection with the tools of both libraries.
func TestTLSTools(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: tlsConfig})
	script := "USER alice\nPASS wonder land\nPWD\nQUIT\n"
	for name, c := range map[string][]string{
		"openssl 1.3": {"openssl", "s_client", "-quiet", "-crlf", "-tls1_3", "-starttls", "ftp", "-connect", d.Addr},
		"openssl 1.2": {"openssl", "s_client", "-quiet", "-crlf", "-tls1_2", "-starttls", "ftp", "-connect", d.Addr},
		"implicit":    {"openssl", "s_client", "-quiet", "-crlf", "-connect", addressOf(t, d, "ftps")},
		"alpn":        {"openssl", "s_client", "-quiet", "-crlf", "-alpn", "ftp", "-starttls", "ftp", "-connect", d.Addr},
	} {
		t.Run(name, func(t *testing.T) {
			out := run(t, script, c[0], c[1:]...)
			if !strings.Contains(out, "230 ") || !strings.Contains(out, `257 "/"`) {
				t.Errorf("%s", out)
			}
		})
	}
	t.Run("gnutls", func(t *testing.T) {
		talk(t, "gnutls-cli", "--insecure", "--crlf", "--starttls-proto=ftp", "-p", d.Port, "127.0.0.1")
	})
	for name, c := range map[string][]string{
		"TLS 1.1":          {"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"},
		"another protocol": {"-alpn", "h2"},
		"weak cipher":      {"-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"},
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			args := append([]string{"30", "openssl", "s_client", "-starttls", "ftp", "-connect", d.Addr}, c...)
			out, err := exec.Command("timeout", args...).CombinedOutput()
			if err == nil && !bytes.Contains(out, []byte("alert")) {
				t.Errorf("it was let in:\n%s", out)
			}
			if bytes.Contains(out, []byte("Cipher is TLS_")) || bytes.Contains(out, []byte("Cipher is ECDHE")) {
				t.Errorf("a session was made:\n%s", out)
			}
		})
	}
}

// talk types a login into a tool that leaves at the end of its input.
func talk(t *testing.T, name string, args ...string) {
	t.Helper()
	c := exec.Command(name, args...)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out lockedBuffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() }) // where it has not ended
	for _, step := range [][2]string{{"", "Handshake was completed"}, {"USER alice\n", "331 "}, {"PASS wonder land\n", "230 "}, {"PWD\n", `257 "/"`}, {"QUIT\n", "221 "}} {
		if _, err := io.WriteString(in, step[0]); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		daemon.Until(t, step[1], func() bool { return strings.Contains(out.String(), step[1]) })
	}
	in.Close()
	_ = c.Wait()
}

// lockedBuffer is a buffer that a process writes while a test reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestOtherClientsOverTLS: wget fetches, rclone copies a tree there and back.
func TestOtherClientsOverTLS(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: tlsConfig})
	data := random(1<<20+3, 12)
	d.Put("alice", "w.bin", data)
	t.Run("wget", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "w")
		run(t, "", "wget", "-q", "--no-check-certificate", "--ftps-implicit", "--user=alice", "--password=wonder land", "-O", out, "ftps://"+addressOf(t, d, "ftps")+"/w.bin")
		same(t, out, data)
		run(t, "", "wget", "-q", "--no-check-certificate", "--user=alice", "--password=wonder land", "-O", out, "ftps://"+d.Addr+"/w.bin")
		same(t, out, data)
	})
	t.Run("rclone", func(t *testing.T) {
		// Its connections share one cache of tickets, so that each would resume
		// another's session: it gets one connection, or a server that does not insist.
		src, back := t.TempDir(), t.TempDir()
		for i := range 30 {
			if err := os.WriteFile(filepath.Join(src, fmt.Sprint("f", i)), random(5000*i, uint64(i)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		pass := strings.TrimSpace(run(t, "", "rclone", "obscure", "wonder land"))
		host, port, _ := strings.Cut(d.Addr, ":")
		remote := fmt.Sprintf(":ftp,host=%s,port=%s,user=alice,pass=%s,explicit_tls=true,no_check_certificate=true,concurrency=1:", host, port, pass)
		run(t, "", "rclone", "--config=", "--transfers=1", "--checkers=1", "copy", src, remote+"rc")
		run(t, "", "rclone", "--config=", "--transfers=1", "--checkers=1", "copy", remote+"rc", back)
		if out := run(t, "", "diff", "-r", src, back); out != "" {
			t.Error(out)
		}
	})
}
