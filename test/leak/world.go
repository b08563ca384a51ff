package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sallyport/internal/crypt"
	"sallyport/test/peers"
)

// world is the private world of a run: accounts, servers, unpacked peers.
type world struct {
	o       *options
	dir     string
	peers   peers.Peers
	servers map[string]func() *exec.Cmd
	running *server // one at a time
	ports   map[string]int
	cleaned sync.Once
}

// server is a running server.
type server struct {
	name, addr string
	cmd        *exec.Cmd
}

const uid = 49200

func prepare(o *options) (*world, error) {
	w := &world{o: o, ports: map[string]int{}, servers: map[string]func() *exec.Cmd{}}
	var err error
	if w.dir, err = os.MkdirTemp("/dev/shm", "sallyport-leak."); err != nil {
		return nil, err
	}
	if err = os.Chmod(w.dir, 0o755); err == nil {
		err = w.accounts()
	}
	if err == nil && o.peers > 0 {
		if w.peers, err = peers.Fetch(); err == nil {
			err = w.others()
		}
	}
	if err == nil {
		err = w.ours()
	}
	if err != nil {
		w.clean()
		return nil, err
	}
	return w, nil
}

// clean may be called by two goroutines at once: both return when it is done.
func (w *world) clean() {
	w.cleaned.Do(func() {
		w.down()
		_ = syscall.Unmount("/etc", syscall.MNT_DETACH)
		_ = os.RemoveAll(w.dir)
	})
}

func sh(script string, args ...string) error {
	out, err := exec.Command("bash", append([]string{"-euc", script, "leak"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// accounts lays a throw-away layer over /etc, in this mount namespace only, with
// one system account for PAM and the peers, and writes users files.
func (w *world) accounts() error {
	hash := func(scheme string) string {
		if scheme == "bcrypt" { // at the cost that most libraries have as their default
			h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
			if err != nil {
				panic(err)
			}
			return string(h)
		}
		h, err := crypt.Hash([]byte(password), scheme)
		if err != nil {
			panic(err)
		}
		return h
	}
	system := hash("yescrypt")
	if err := sh(`mount --make-rprivate /
		mkdir "$1/up" "$1/work" "$1/home" "$1/empty"
		mount -t overlay -o "lowerdir=/etc,upperdir=$1/up,workdir=$1/work" overlay /etc
		for u in leak expired; do
			echo "$u:x:$3:$3::$1/home:/bin/sh" >>/etc/passwd
			echo "$u:x:$3:" >>/etc/group
		done
		echo "leak:$2:19000:0:99999:7:::" >>/etc/shadow
		echo "expired:$2:15000:0:30:7:::" >>/etc/shadow
		echo listed >>/etc/ftpusers
		grep -qx /bin/sh /etc/shells || echo /bin/sh >>/etc/shells
		printf 'auth required pam_unix.so nodelay\naccount required pam_unix.so\n' |
			tee /etc/pam.d/vsftpd /etc/pam.d/proftpd /etc/pam.d/sshd >/etc/pam.d/sallyport
		chown "$3:$3" "$1/home"`, w.dir, system, fmt.Sprint(uid)); err != nil {
		return err
	}
	for _, scheme := range []string{"yescrypt", "bcrypt", "sha512", "argon2id", "mixed"} {
		var b strings.Builder
		add := func(name, h, home, shell string) {
			fmt.Fprintf(&b, "%s:%s:%d:%d::%s:%s\n", name, h, uid, uid, home, shell)
		}
		if scheme == "mixed" {
			add("leak", hash("yescrypt"), w.dir+"/home", "/bin/sh")
			for i, s := range []string{"yescrypt", "bcrypt", "sha512"} {
				add(fmt.Sprint("other", i), hash(s), w.dir+"/home", "/bin/sh")
			}
		} else {
			h := hash(scheme)
			add("leak", h, w.dir+"/home", "/bin/sh")
			add("locked", "!"+h, w.dir+"/home", "/bin/sh")
			add("noshell", h, w.dir+"/home", "/bin/none")
			add("listed", h, w.dir+"/home", "/bin/sh")
			add("noroot", h, w.dir+"/home", "/bin/sh")
			add("banned", h, w.dir+"/home", "/bin/sh")
			add("nohome", h, w.dir+"/missing", "/bin/sh")
		}
		if err := os.WriteFile(filepath.Join(w.dir, "users-"+scheme), []byte(b.String()), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) write(name, format string, args ...any) string {
	p := filepath.Join(w.dir, name)
	if err := os.WriteFile(p, fmt.Appendf(nil, format, args...), 0o600); err != nil {
		panic(err)
	}
	return p
}

func port() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// ours adds the configurations of sallyport.
func (w *world) ours() error {
	for _, name := range []string{"sallyport", "session", "authd", "files"} {
		if _, err := os.Stat(filepath.Join(w.o.bin, name)); err != nil {
			return fmt.Errorf("run `make build` first: %w", err)
		}
	}
	add := func(name, auth, extra string) {
		w.ports[name] = port()
		dir := filepath.Join(w.dir, name)
		for _, d := range []string{"/run", "/state"} {
			_ = os.MkdirAll(dir+d, 0o755)
		}
		cfg := w.write(name+".hcl", `instance  = "leak-%d"
run_dir   = "%s/run"
state_dir = "%s/state"
user      = "nobody"
listener "ftp" {
  address = ["127.0.0.1:%d"]
}
%s
root "none" {
  user = ["noroot"]
}
root "~" {}
max {
  connections_per_host        = 5000
  unauthenticated             = 20000
  unauthenticated_per_address = 20000
}
%s
`, w.ports[name], dir, dir, w.ports[name], auth, extra)
		w.servers[name] = func() *exec.Cmd { return exec.Command(filepath.Join(w.o.bin, "sallyport"), "--config", cfg) }
	}
	file := func(scheme string) string {
		return fmt.Sprintf("auth {\n  order = [\"file\"]\n  file {\n    users = %q\n  }\n}\n", w.dir+"/users-"+scheme)
	}
	for _, scheme := range []string{"yescrypt", "bcrypt", "sha512", "argon2id", "mixed"} {
		add(scheme, file(scheme), "")
	}
	add("last", file("sha512"), "") // login_attempts is in max, which stands already
	w.rewrite("last", "max {\n", "max {\n  login_attempts = 1\n")
	add("banned", file("sha512"), "ban {}\n") // up bans the user
	add("class", file("sha512"), "")
	w.rewrite("class", "root \"none\" {\n", "class \"outside\" {\n  from = [\"127.0.0.0/8\"]\n}\nroot \"none\" {\n  class = [\"outside\"]\n}\nroot \"none\" {\n")
	add("events", file("sha512"), "delay {\n  on_event \"FailedLogin\" { delay = \"50ms-100ms\" }\n}\n")
	add("unix", "auth {\n  order = [\"unix*\"]\n}\n", "")
	if _, err := os.Stat(filepath.Join(w.o.bin, "pam")); err == nil {
		add("pam", "auth {\n  order = [\"pam*\"]\n}\n", "")
	}
	return nil
}

func (w *world) rewrite(name, from, to string) {
	p := filepath.Join(w.dir, name+".hcl")
	b, _ := os.ReadFile(p)
	_ = os.WriteFile(p, []byte(strings.Replace(string(b), from, to, 1)), 0o600)
}

// others adds the peers.
func (w *world) others() error {
	add := func(name, bin string, args ...string) {
		w.servers[name] = func() *exec.Cmd { return w.peers.Command(bin, args...) }
	}
	for _, n := range []string{"proftpd", "proftpd-off", "vsftpd", "pure-ftpd", "sshd"} {
		w.ports[n] = port()
	}
	for name, engine := range map[string]string{"proftpd": "on", "proftpd-off": "off"} {
		add(name, "usr/sbin/proftpd", "-n", "-q", "-c", w.write(name+".conf", `ServerType standalone
ServerName leak
Port %d
DefaultAddress 127.0.0.1
SocketBindTight on
UseIPv6 off
UseReverseDNS off
User nobody
Group nogroup
MaxInstances none
AuthPAMConfig proftpd
AuthOrder mod_auth_pam.c* mod_auth_unix.c
RequireValidShell off
WtmpLog off
TransferLog none
SystemLog %s/proftpd.log
PidFile %s/%s.pid
ScoreboardFile %s/%s.board
DelayEngine %s
DelayTable %s/%s.delay
`, w.ports[name], w.dir, w.dir, name, w.dir, name, engine, w.dir, name))
	}
	add("vsftpd", "usr/sbin/vsftpd", w.write("vsftpd.conf", `listen=YES
listen_port=%d
listen_address=127.0.0.1
background=NO
anonymous_enable=NO
local_enable=YES
chroot_local_user=YES
allow_writeable_chroot=YES
secure_chroot_dir=%s/empty
pam_service_name=vsftpd
nopriv_user=nobody
xferlog_enable=NO
max_per_ip=0
delay_failed_login=0
`, w.ports["vsftpd"], w.dir))
	add("pure-ftpd", "usr/sbin/pure-ftpd", "-S", fmt.Sprintf("127.0.0.1,%d", w.ports["pure-ftpd"]), "-l", "unix", "-A", "-H", "-c", "10000", "-E")
	if _, err := os.Stat(filepath.Join(w.peers.Root, "usr/sbin/sshd")); err != nil {
		return nil
	}
	conf := w.write("sshd.conf", `Port %d
ListenAddress 127.0.0.1
HostKey %s/hostkey
UsePAM yes
PasswordAuthentication yes
KbdInteractiveAuthentication no
PermitRootLogin no
PidFile none
MaxStartups 1000
UseDNS no
`, w.ports["sshd"], w.dir)
	add("sshd", "usr/sbin/sshd", "-D", "-e", "-f", conf)
	return sh(`ssh-keygen -q -t ed25519 -N '' -f "$1/hostkey"
		mkdir -p /run/sshd
		grep -q '^sshd:' /etc/passwd || echo 'sshd:x:49299:65534::/run/sshd:/usr/sbin/nologin' >>/etc/passwd`, w.dir)
}

// up has one server running, another one is stopped.
func (w *world) up(name string) (*server, error) {
	if w.running != nil && w.running.name == name {
		return w.running, nil
	}
	w.down()
	start := w.servers[name]
	if start == nil {
		return nil, fmt.Errorf("%s is not to be had here", name)
	}
	s := &server{name: name, addr: fmt.Sprintf("127.0.0.1:%d", w.ports[name]), cmd: start()}
	log, err := os.Create(filepath.Join(w.o.out, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	w.running = s
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if n, err := net.Dial("tcp", s.addr); err == nil {
			_ = n.SetDeadline(time.Now().Add(5 * time.Second))
			var b [3]byte
			_, err := n.Read(b[:])
			n.Close()
			if err == nil {
				return s, w.afterStart(name)
			}
		}
		if time.Now().After(end) {
			b, _ := os.ReadFile(log.Name())
			w.down()
			return nil, fmt.Errorf("%s does not greet: %s", name, b)
		}
	}
}

// afterStart does what a server's cells need of it while it runs.
func (w *world) afterStart(name string) error {
	if name != "banned" {
		return nil
	}
	out, err := exec.Command(filepath.Join(w.o.bin, "ftpdctl"), "--socket", filepath.Join(w.dir, name, "run/control.sock"),
		"ban", "user", "banned", "--for", "1d").CombinedOutput()
	if err != nil {
		return fmt.Errorf("ban the user: %w: %s", err, out)
	}
	return nil
}

func (w *world) down() {
	s := w.running
	w.running = nil
	if s == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Kill()
		<-done
	}
}
