// Package clients drives the real daemon with the FTP clients people use. Each
// test says which client proves what. The clients come from Debian packages
// (see test/run/deps.sh); a missing one is a failure, not a skip.
package clients

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/test/daemon"
)

const common = `
allow_overwrite     = true
allow_store_restart = true
max {
  connections_per_host       = 400
  unauthenticated_per_address = 400
}
`

// run executes a client and fails the test with its output if it fails.
func run(t *testing.T, stdin string, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = t.TempDir()
	c.Env = append(os.Environ(), "HOME="+c.Dir, "LC_ALL=C.UTF-8")
	c.Stdin = strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func random(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
	return b
}

func same(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(got) != sha256.Sum256(want) {
		t.Fatalf("%s: %d bytes that differ from the %d sent", path, len(got), len(want))
	}
}

func file(t *testing.T, name string, data []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// modes are the ways a daemon may run: both must behave alike.
func modes(t *testing.T, f func(t *testing.T, rootless bool)) {
	t.Helper()
	if os.Geteuid() == 0 {
		t.Run("root", func(t *testing.T) { f(t, false) })
	}
	t.Run("rootless", func(t *testing.T) { f(t, true) })
}

func TestCurl(t *testing.T) {
	modes(t, func(t *testing.T, rootless bool) {
		d := daemon.Start(t, daemon.Options{Config: common, Rootless: rootless, Listen: []string{"127.0.0.1:0", "[::1]:0"}})
		url := "ftp://alice:wonder%20land@" + d.Addr + "/"
		addr6 := d.Ready[strings.LastIndexByte(d.Ready, '['):]
		addr6 = strings.FieldsFunc(addr6, func(r rune) bool { return r == ' ' || r == ',' })[0]
		data := random(3<<20+17, 1)
		up := file(t, "up.bin", data)
		t.Run("upload and download", func(t *testing.T) {
			run(t, "", "curl", "-sS", "-T", up, url+"a%20file.bin")
			same(t, d.Home("alice", "a file.bin"), data)
			out := filepath.Join(t.TempDir(), "out")
			run(t, "", "curl", "-sS", "-o", out, url+"a%20file.bin")
			same(t, out, data)
		})
		t.Run("IPv6", func(t *testing.T) {
			u6 := "ftp://alice:wonder%20land@" + addr6 + "/"
			run(t, "", "curl", "-sS", "-g", "-T", up, u6+"six")
			same(t, d.Home("alice", "six"), data)
			run(t, "", "curl", "-sS", "-g", "-P", "-", "-T", up, u6+"six-active")
			same(t, d.Home("alice", "six-active"), data)
		})
		t.Run("active mode by EPRT and by PORT", func(t *testing.T) {
			run(t, "", "curl", "-sS", "-P", "-", "-T", up, url+"eprt")
			same(t, d.Home("alice", "eprt"), data)
			run(t, "", "curl", "-sS", "-P", "-", "--disable-eprt", "-T", up, url+"port")
			same(t, d.Home("alice", "port"), data)
		})
		t.Run("PASV without EPSV", func(t *testing.T) {
			run(t, "", "curl", "-sS", "--disable-epsv", "-T", up, url+"pasv")
			same(t, d.Home("alice", "pasv"), data)
		})
		t.Run("resumed upload and download", func(t *testing.T) {
			d.Put("alice", "half", data[:1<<20])
			run(t, "", "curl", "-sS", "-C", "-", "-T", up, url+"half")
			same(t, d.Home("alice", "half"), data)
			out := file(t, "out", data[:777])
			run(t, "", "curl", "-sS", "-C", "-", "-o", out, url+"half")
			same(t, out, data)
			got := run(t, "", "curl", "-sS", "-r", "100-199", url+"half")
			if got != string(data[100:200]) {
				t.Errorf("range 100-199 is %d bytes that differ", len(got))
			}
		})
		t.Run("quote commands", func(t *testing.T) {
			run(t, "", "curl", "-sS", "-Q", "MKD new dir", "-Q", "RNFR pasv", "-Q", "RNTO new dir/moved", "-Q", "DELE port", url)
			same(t, d.Home("alice", "new dir", "moved"), data)
			if _, err := os.Stat(d.Home("alice", "port")); err == nil {
				t.Error("DELE left the file")
			}
			run(t, "", "curl", "-sS", "--ftp-create-dirs", "-T", up, url+"x/y/z/deep")
			same(t, d.Home("alice", "x", "y", "z", "deep"), data)
		})
		t.Run("listing", func(t *testing.T) {
			out := run(t, "", "curl", "-sS", url)
			if !strings.Contains(out, "a file.bin\n") && !strings.Contains(out, "a file.bin\r\n") {
				t.Errorf("no line for the file in\n%s", out)
			}
			out = run(t, "", "curl", "-sS", "-X", "MLSD", url)
			if !strings.Contains(out, "type=file;") {
				t.Errorf("no facts in\n%s", out)
			}
			if out = run(t, "", "curl", "-sS", "-l", url); !strings.Contains(out, "half") {
				t.Errorf("no name in\n%s", out)
			}
		})
		t.Run("ASCII both ways", func(t *testing.T) {
			run(t, "", "curl", "-sS", "-B", "-T", file(t, "text", []byte("a\nb\r\nc\n")), url+"text;type=a")
			out := run(t, "", "curl", "-sS", "-B", url+"text;type=a")
			if strings.ReplaceAll(out, "\r\n", "\n") != "a\nb\nc\n" {
				t.Errorf("came back as %q", out)
			}
		})
		t.Run("wrong password", func(t *testing.T) {
			out, err := exec.Command("curl", "-sS", "ftp://alice:wrong@"+d.Addr+"/").CombinedOutput()
			if err == nil || !bytes.Contains(out, []byte("530")) && !bytes.Contains(out, []byte("denied")) {
				t.Errorf("%v %s", err, out)
			}
		})
		t.Run("another user's files", func(t *testing.T) {
			d.Put("bob", "secret", []byte("bob's"))
			out := run(t, "", "curl", "-sS", "ftp://bob:builder@"+d.Addr+"/secret")
			if out != "bob's" {
				t.Errorf("bob reads %q", out)
			}
			for _, p := range []string{"../bob/secret", "%2f" + d.Home("bob", "secret"), "..%2f..%2f..%2fetc/passwd"} {
				if out, err := exec.Command("curl", "-sS", "--path-as-is", url+p).CombinedOutput(); err == nil {
					t.Errorf("%s came: %.80s", p, out)
				}
			}
		})
	})
}

func TestLftpMirrorsAThousandFiles(t *testing.T) {
	modes(t, func(t *testing.T, rootless bool) {
		d := daemon.Start(t, daemon.Options{Config: common, Rootless: rootless})
		src := t.TempDir()
		want := map[string][]byte{}
		for i := range 1000 {
			name := fmt.Sprintf("d%02d/sub %d/file-%04d.bin", i%20, i%3, i)
			want[name] = random(i*7%5000, uint64(i))
			if err := os.MkdirAll(filepath.Dir(filepath.Join(src, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(src, name), want[name], 0o644); err != nil {
				t.Fatal(err)
			}
		}
		dst := filepath.Join(t.TempDir(), "back")
		run(t, fmt.Sprintf(`set ftp:ssl-allow no
set net:max-retries 1
set cmd:fail-exit yes
open -u alice,"wonder land" -p %s 127.0.0.1
mirror -R --parallel=4 %s tree
mirror --parallel=4 tree %s
bye
`, d.Port, src, dst), "lftp")
		for name, data := range want {
			same(t, d.Home("alice", "tree", name), data)
			same(t, filepath.Join(dst, name), data)
		}
	})
}

func TestNcftp(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: common})
	data := random(1<<20, 3)
	up := file(t, "with space.bin", data)
	for _, mode := range []string{"-F", "-E"} { // passive, active
		run(t, "", "ncftpput", mode, "-u", "alice", "-p", "wonder land", "-P", d.Port, "127.0.0.1", "/", up)
		same(t, d.Home("alice", "with space.bin"), data)
	}
	run(t, "", "ncftpput", "-m", "-u", "alice", "-p", "wonder land", "-P", d.Port, "127.0.0.1", "/made", up)
	same(t, d.Home("alice", "made", "with space.bin"), data)
	out := t.TempDir()
	run(t, "", "ncftpget", "-u", "alice", "-p", "wonder land", "-P", d.Port, "127.0.0.1", out, "/made/with space.bin")
	same(t, filepath.Join(out, "with space.bin"), data)
	if l := run(t, "", "ncftpls", "-l", "-u", "alice", "-p", "wonder land", "-P", d.Port, "ftp://127.0.0.1/made/"); !strings.Contains(l, "with space.bin") {
		t.Errorf("listing: %s", l)
	}
}

func TestTnftp(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: common})
	data := random(1<<20, 4)
	up := file(t, "tn.bin", data)
	back := filepath.Join(t.TempDir(), "back")
	out := run(t, fmt.Sprintf(`user alice "wonder land"
binary
put %s tn.bin
get tn.bin %s
rename tn.bin moved.bin
size moved.bin
modtime moved.bin
mkdir dir
cd dir
pwd
cdup
passive
put %s active.bin
ls
delete moved.bin
rmdir dir
quit
`, up, back, up), "tnftp", "-n", "127.0.0.1", d.Port)
	same(t, back, data)
	same(t, d.Home("alice", "active.bin"), data)
	if !strings.Contains(out, "active.bin") {
		t.Errorf("no listing in\n%s", out)
	}
	for _, gone := range []string{"moved.bin", "tn.bin", "dir"} {
		if _, err := os.Stat(d.Home("alice", gone)); err == nil {
			t.Errorf("%s is still there\n%s", gone, out)
		}
	}
}

func TestWget(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: common})
	data := random(2<<20, 5)
	d.Put("alice", "big.bin", data)
	_ = os.MkdirAll(d.Home("alice", "tree", "below"), 0o755)
	d.Put("alice", "tree/below/leaf", []byte("leaf"))
	out := t.TempDir()
	url := "ftp://127.0.0.1:" + d.Port + "/"
	auth := []string{"-q", "--ftp-user=alice", "--ftp-password=wonder land", "-P", out}
	run(t, "", "wget", append(auth, url+"big.bin")...)
	same(t, filepath.Join(out, "big.bin"), data)
	run(t, "", "wget", append(auth, "--no-passive-ftp", "-O", filepath.Join(out, "active"), url+"big.bin")...)
	same(t, filepath.Join(out, "active"), data)
	if err := os.WriteFile(filepath.Join(out, "big.bin"), data[:1000], 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "", "wget", append(auth, "-c", url+"big.bin")...)
	same(t, filepath.Join(out, "big.bin"), data)
	run(t, "", "wget", append(auth, "-r", "-nH", url+"tree/")...)
	same(t, filepath.Join(out, "tree", "below", "leaf"), []byte("leaf"))
}

func TestPythonFtplib(t *testing.T) {
	modes(t, func(t *testing.T, rootless bool) {
		d := daemon.Start(t, daemon.Options{Config: common, Rootless: rootless})
		script, err := filepath.Abs("ftplib_session.py")
		if err != nil {
			t.Fatal(err)
		}
		out := run(t, "", "python3", script, "127.0.0.1", d.Port, "alice", "wonder land")
		if !strings.HasSuffix(out, "all good\n") {
			t.Error(out)
		}
	})
}

func TestTenThousandEntries(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: common})
	dir := d.Home("alice", "many")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 10000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("entry-%05d", i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	url := "ftp://alice:wonder%20land@" + d.Addr + "/many/"
	for _, how := range [][]string{nil, {"-l"}, {"-X", "MLSD"}} {
		out := run(t, "", "curl", append(append([]string{"-sS"}, how...), url)...)
		if n := strings.Count(out, "entry-"); n != 10000 {
			t.Errorf("%v lists %d entries", how, n)
		}
	}
}

func TestSparseFileBeyondTwoGiB(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: common})
	const size = 2<<30 + 4097
	p := d.Put("alice", "sparse", nil)
	if err := os.Truncate(p, size); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(p, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("the end"), size-7); err != nil {
		t.Fatal(err)
	}
	f.Close()
	url := "ftp://alice:wonder%20land@" + d.Addr + "/sparse"
	c := exec.Command("curl", "-sS", url)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var tail [7]byte
	n := int64(0)
	buf := make([]byte, 1<<20)
	for {
		k, err := out.Read(buf)
		for _, b := range buf[max(0, k-7):k] {
			copy(tail[:], tail[1:])
			tail[6] = b
		}
		n += int64(k)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Wait(); err != nil || n != size || string(tail[:]) != "the end" {
		t.Errorf("%d bytes of %d, tail %q, %v", n, size, tail, err)
	}
	if got := run(t, "", "curl", "-sS", "-r", fmt.Sprintf("%d-", size-7), url); got != "the end" {
		t.Errorf("REST beyond 2 GiB brings %q", got)
	}
	if got := run(t, "", "curl", "-sS", "-I", url); !strings.Contains(got, fmt.Sprint(size)) {
		t.Errorf("SIZE: %s", got)
	}
}

// TestEveryLegalByteInNames uses a raw control connection, since clients differ
// in what they escape.
func TestEveryLegalByteInNames(t *testing.T) {
	d := daemon.Start(t, daemon.Options{Config: common})
	c := d.Dial()
	c.Login("alice", "wonder land")
	for b := 1; b < 256; b++ {
		name := "n" + string([]byte{byte(b)}) + "n"
		wire := name
		switch b {
		case '/', '\n': // no part of a name; ends the line
			continue
		case '\r':
			wire = "n\r\x00n" // RFC 2640 §3.1
		case 0xff:
			wire = "n\xff\xffn" // telnet IAC
		}
		c.Expect("257", "MKD "+wire)
		if st, err := os.Stat(d.Home("alice", name)); err != nil || !st.IsDir() {
			t.Fatalf("byte %#x: %v", b, err)
		}
		c.Expect("250", "CWD /"+wire)
		c.Expect("250", "CWD /")
		c.Expect("350", "RNFR "+wire)
		c.Expect("250", "RNTO x"+wire)
		c.Expect("250", "RMD x"+wire)
	}
	for _, name := range []string{` leading`, `trailing `, `"quoted"`, `-la`, `[x]`, `*`, `ünïcödé 日本`, strings.Repeat("x", 255)} {
		c.Expect("257", "MKD /"+name)
		if _, err := os.Stat(d.Home("alice", name)); err != nil {
			t.Error(err)
		}
		c.Expect("250", "RMD /"+name)
	}
}
