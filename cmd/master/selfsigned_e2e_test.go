package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/policy"
)

// TestACertificateIsMadeAtTheFirstStart, and kept at the second; without rights,
// too.
func TestACertificateIsMadeAtTheFirstStart(t *testing.T) {
	for _, rootless := range []bool{false, true} {
		t.Run(fmt.Sprintf("rootless %v", rootless), func(t *testing.T) {
			h := prepare(t, rootless, "").start()
			path := filepath.Join(h.dir, "state", "tls", "self-signed.pem")
			first, err := os.ReadFile(path)
			must(t, err)
			for _, x := range []struct {
				path string
				mode os.FileMode
			}{{path, 0o600}, {filepath.Dir(path), 0o700}} {
				st, err := os.Stat(x.path)
				must(t, err)
				own := os.Geteuid()
				if rootless && own == 0 {
					own = nobody
				}
				if st.Mode().Perm() != x.mode || int(st.Sys().(*syscall.Stat_t).Uid) != own {
					t.Errorf("%s: mode %o of uid %d", x.path, st.Mode().Perm(), st.Sys().(*syscall.Stat_t).Uid)
				}
			}
			if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
				t.Errorf("left beside it: %v", entries)
			}
			h.waitLog("a self-signed one was made")
			seen := h.certificate(t)
			if pair, err := tls.X509KeyPair(first, first); err != nil || !bytes.Equal(pair.Certificate[0], seen) {
				t.Errorf("the server shows another certificate: %v", err)
			}
			h.stop()

			h.again().start()
			if second, _ := os.ReadFile(path); !bytes.Equal(first, second) {
				t.Error("it was made anew")
			}
			h.stop()
		})
	}
}

// certificate is what a client is shown after AUTH TLS.
func (h *house) certificate(t *testing.T) []byte {
	t.Helper()
	c, err := net.Dial("tcp", h.addr)
	must(t, err)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	lines := bufio.NewReader(c)
	for _, want := range []string{"220", "234"} {
		line, err := lines.ReadString('\n')
		must(t, err)
		if !strings.HasPrefix(line, want) {
			t.Fatalf("%q, want %s", line, want)
		}
		if want == "220" {
			_, err = c.Write([]byte("AUTH TLS\r\n"))
			must(t, err)
		}
	}
	s := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	must(t, s.Handshake())
	return s.ConnectionState().PeerCertificates[0].Raw
}

// again is a second daemon in the same place.
func (h *house) again() *house {
	cmd := exec.Command(h.cmd.Path, h.cmd.Args[1:]...)
	cmd.Stderr, cmd.SysProcAttr = &h.log, h.cmd.SysProcAttr
	h.cmd, h.done = cmd, make(chan error, 1)
	return h
}

func TestWhichCertificatesAreMissing(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	must(t, os.WriteFile(there, []byte("x"), 0o600))
	host := func(engine bool, self string, names ...string) policy.Host {
		return policy.Host{Names: names, TLS: policy.TLSHost{Engine: engine, SelfSigned: self}}
	}
	own := host(true, filepath.Join(dir, "own"), "own")
	own.TLS.Certificates = []policy.Certificate{{File: "x", Key: "x"}}
	p := &policy.Policy{Hosts: []policy.Host{
		host(true, filepath.Join(dir, "a"), "a.example.org", "*.a.example.org"), host(true, there, "b"), host(false, filepath.Join(dir, "c"), "c"), own,
		host(true, filepath.Join(dir, "a"), "a2.example.org", "a.example.org"), host(true, "", "d"), host(true, filepath.Join(dir, "e")),
	}}
	got := missingCertificates(p)
	if len(got) != 2 || strings.Join(got[0].names, " ") != "a.example.org *.a.example.org a2.example.org" || len(got[1].names) != 1 || got[1].names[0] != ownName() {
		t.Errorf("%+v", got)
	}
}

func TestAKeyFileIsPutInPlaceOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state", "tls", "self.pem")
	must(t, writeKeyFile(path, []byte("one")))
	must(t, writeKeyFile(path, []byte("two")))
	if got, _ := os.ReadFile(path); string(got) != "one" {
		t.Errorf("%q", got)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", st.Mode().Perm())
	}
	open := filepath.Join(dir, "open")
	must(t, os.Mkdir(open, 0o777))
	must(t, os.Chmod(open, 0o777))
	if err := writeKeyFile(filepath.Join(open, "self.pem"), []byte("x")); err == nil {
		t.Error("a key in a directory where everybody may write")
	}
	must(t, os.Symlink(dir, filepath.Join(dir, "link")))
	if err := writeKeyFile(filepath.Join(dir, "link", "self.pem"), []byte("x")); err == nil {
		t.Error("a key behind a link")
	}
}
