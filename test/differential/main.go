// Command differential runs the same scripted sessions against Debian's ProFTPD
// and against sallyport and compares the replies, code and text. A difference is
// accepted only if known.txt lists it with its reason; a reason that no longer
// applies is reported as well.
//
//	make differential
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"syscall"
	"time"

	"sallyport/test/peers"
)

func main() {
	if os.Geteuid() != 0 {
		fmt.Println("differential: needs root: the reference does")
		os.Exit(1)
	}
	passed, failed, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "differential:", err)
		os.Exit(1)
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}

const (
	uid      = 49200
	password = "secret"
)

func run() (passed, failed int, err error) {
	p, err := peers.Fetch()
	if err != nil {
		return 0, 0, err
	}
	known, err := readKnown("test/differential/known.txt")
	if err != nil {
		return 0, 0, err
	}
	scripts, _ := filepath.Glob("test/differential/scripts/*.txt")
	sort.Strings(scripts)
	used := map[string]bool{}
	for _, s := range scripts {
		b, err := os.ReadFile(s)
		if err != nil {
			return 0, 0, err
		}
		lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
		ref, err := play(reference(p), lines)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: reference: %w", s, err)
		}
		our, err := play(ours, lines)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: sallyport: %w", s, err)
		}
		name := strings.TrimSuffix(filepath.Base(s), ".txt")
		for i := range max(len(ref), len(our)) {
			r, o := at(ref, i), at(our, i)
			key := fmt.Sprintf("%s:%d", name, i+1)
			switch _, listed := known[key]; {
			case r == o && listed:
				fmt.Printf("%s is listed as a difference but is none\n", key)
				failed++
			case r != o && !listed:
				fmt.Printf("%s\n  reference %q\n  sallyport %q\n", key, r, o)
				failed++
			default:
				passed++
			}
			used[key] = true
		}
	}
	for k := range known {
		if !used[k] {
			fmt.Printf("%s is listed but no script has that line\n", k)
			failed++
		}
	}
	return passed, failed, nil
}

func at(l []string, i int) string {
	if i < len(l) {
		return l[i]
	}
	return "(nothing)"
}

// readKnown reads "script:line reason" rows.
func readKnown(path string) (map[string]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if k, why, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(k, "#") {
			m[k] = why
		}
	}
	return m, nil
}

// play runs one script against a fresh server with fresh files. Lines are
// commands; "<data" after a transfer command says that a data connection is made
// first ("> text" also sends text); "=" lines are comments.
func play(server func(dir string, port int) *exec.Cmd, lines []string) ([]string, error) {
	dir, err := os.MkdirTemp("", "sallyport-diff.")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := fixtures(dir); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	c := server(dir, port)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
	}()
	s, err := connect(fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		b, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w\n%s", err, b)
	}
	defer s.Close()
	var replies []string
	for _, line := range lines {
		if line == "" || strings.HasPrefix(line, "=") {
			continue
		}
		got, err := s.step(line)
		if err != nil {
			got = "(end)"
		}
		replies = append(replies, line+" -> "+normal(got, dir))
		if err != nil {
			break
		}
	}
	return replies, nil
}

type session struct {
	net.Conn
	r    *bufio.Reader
	addr string
}

func connect(addr string) (*session, error) {
	for end := time.Now().Add(10 * time.Second); ; {
		n, err := net.Dial("tcp", addr)
		if err == nil {
			s := &session{n, bufio.NewReader(n), addr}
			_ = n.SetDeadline(time.Now().Add(30 * time.Second))
			if _, err = s.reply(); err == nil {
				return s, nil
			}
			n.Close()
		}
		if time.Now().After(end) {
			return nil, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// step sends one script line and returns all its replies.
func (s *session) step(line string) (string, error) {
	cmd, send, transfer := strings.Cut(line, " <data")
	var data net.Conn
	if transfer {
		if _, err := fmt.Fprintf(s, "EPSV\r\n"); err != nil {
			return "", err
		}
		r, err := s.reply()
		if err != nil {
			return "", err
		}
		f := strings.Split(r, "|")
		if len(f) != 5 {
			return r, nil
		}
		if data, err = net.Dial("tcp", "127.0.0.1:"+f[3]); err != nil {
			return "", err
		}
		defer data.Close()
	}
	cmd = strings.NewReplacer(`\r`, "\r", `\0`, "\x00", `\n`, "\n", `\\`, `\`).Replace(cmd)
	if _, err := fmt.Fprintf(s, "%s\r\n", cmd); err != nil {
		return "", err
	}
	r, err := s.reply()
	if err != nil || data == nil || !strings.HasPrefix(r, "1") {
		return r, err
	}
	var got []byte
	if text, ok := strings.CutPrefix(send, ">"); ok {
		_, _ = data.Write([]byte(strings.ReplaceAll(strings.TrimSpace(text), `\n`, "\n")))
	} else {
		buf := make([]byte, 64<<10)
		_ = data.SetReadDeadline(time.Now().Add(20 * time.Second))
		for {
			n, err := data.Read(buf)
			got = append(got, buf[:n]...)
			if err != nil {
				break
			}
		}
	}
	data.Close()
	end, err := s.reply()
	return r + string(got) + end, err
}

func (s *session) reply() (string, error) {
	var all strings.Builder
	for first := ""; ; {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return all.String(), err
		}
		all.WriteString(line)
		if first == "" {
			first = line
		}
		if len(line) > 3 && line[3] == ' ' && line[:3] == first[:3] {
			return all.String(), nil
		}
	}
}

// normal takes out what differs from run to run.
var (
	port227 = regexp.MustCompile(`\(127,0,0,1,\d+,\d+\)`)
	port229 = regexp.MustCompile(`\|\|\|\d+\|`)
	unique  = regexp.MustCompile(`unique=[0-9A-Fa-f]+[Ug][0-9A-Fa-f]+`)
	stamp   = regexp.MustCompile(`\b20\d{12}\b`)
	lsTime  = regexp.MustCompile(`[A-Z][a-z]{2} [ \d]\d (\d\d:\d\d| \d{4})`)
	stou    = regexp.MustCompile(`ftp[A-Za-z0-9]{6}`)
)

func normal(s, dir string) string {
	s = port227.ReplaceAllString(s, "(127,0,0,1,P,P)")
	s = port229.ReplaceAllString(s, "|||P|")
	s = unique.ReplaceAllString(s, "unique=U")
	s = stamp.ReplaceAllString(s, "TIME")
	s = lsTime.ReplaceAllString(s, "TIME")
	s = stou.ReplaceAllString(s, "ftpUNIQUE")
	return strings.ReplaceAll(s, dir, "DIR")
}

func fixtures(dir string) error {
	script := `cd "$1"; chmod 755 .; mkdir home run state; cd home
		printf 'line one\nline two\n' >text; head -c 1000 /dev/zero | tr '\0' x >thousand
		mkdir sub empty; echo leaf >sub/leaf; ln -s text link; ln -s nowhere dangling; mkfifo fifo
		touch .hidden 'with space' 'quo"te'; touch -d 2001-02-03T04:05:06Z text thousand sub/leaf
		chown -Rh "$2:$2" "$1/home"
		hash=$(openssl passwd -6 -salt saltsalt "$3")
		printf 'ref:%s:%s:%s::%s:/bin/sh\n' "$hash" "$2" "$2" "$1/home" >"$1/users"; chmod 600 "$1/users"`
	out, err := exec.Command("bash", "-euc", script, "fixtures", dir, fmt.Sprint(uid), password).CombinedOutput()
	if err != nil {
		return fmt.Errorf("fixtures: %w: %s", err, out)
	}
	return nil
}

func reference(p peers.Peers) func(string, int) *exec.Cmd {
	return func(dir string, port int) *exec.Cmd {
		cfg := filepath.Join(dir, "proftpd.conf")
		_ = os.WriteFile(cfg, fmt.Appendf(nil, `ServerType standalone
ServerName sallyport
ServerIdent on "FTP server ready"
Port %d
DefaultAddress 127.0.0.1
SocketBindTight on
UseIPv6 off
UseReverseDNS off
User nobody
Group nogroup
AuthUserFile %s/users
AuthOrder mod_auth_file.c
RequireValidShell off
DefaultRoot ~
AllowOverwrite on
AllowStoreRestart on
WtmpLog off
TransferLog none
SystemLog %s/proftpd.log
PidFile %s/proftpd.pid
ScoreboardFile %s/proftpd.board
DelayEngine off
`, port, dir, dir, dir, dir), 0o644)
		return p.Command("usr/sbin/proftpd", "-n", "-q", "-c", cfg)
	}
}

func ours(dir string, port int) *exec.Cmd {
	cfg := filepath.Join(dir, "sallyport.hcl")
	_ = os.WriteFile(cfg, fmt.Appendf(nil, `instance    = "diff-%d"
run_dir     = "%s/run"
state_dir   = "%s/state"
user        = "nobody"
server_name = "sallyport"
listener "ftp" {
  address = ["127.0.0.1:%d"]
}
auth {
  order               = ["file"]
  require_valid_shell = false
  file {
    users = "%s/users"
  }
}
root "~" {}
allow_overwrite     = true
allow_store_restart = true
`, port, dir, dir, port, dir), 0o644)
	return exec.Command("bin/sallyport", "--config", cfg)
}
