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

	"sallyport/test/peers"
)

// bench is the private world of a run: accounts, files, unpacked peers.
type bench struct {
	repo, dir, home string
	peers           peers.Peers
	running         []*server
	all             []*server
	cleaned         sync.Once
}

const uid = 49100

// prepare unpacks the peers and makes a private /etc with the account "bench".
func prepare() (*bench, error) {
	root, err := repo()
	if err != nil {
		return nil, err
	}
	b := &bench{repo: root}
	if b.dir, err = os.MkdirTemp("/dev/shm", "sallyport-bench."); err != nil {
		return nil, err
	}
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return nil, err
	}
	b.home = filepath.Join(b.dir, "home")
	for _, step := range []func() error{b.unpack, b.account, b.files, b.certificate, b.baseline} {
		if err := step(); err != nil {
			b.clean()
			return nil, err
		}
	}
	return b, nil
}

// clean may be called by two goroutines at once: both return when it is done.
func (b *bench) clean() {
	b.cleaned.Do(func() {
		for _, s := range b.running {
			s.stop()
		}
		_ = syscall.Unmount("/etc", syscall.MNT_DETACH)
		_ = os.RemoveAll(b.dir)
	})
}

func sh(script string, args ...string) error {
	out, err := exec.Command("bash", append([]string{"-euc", script, "bench"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// unpack fetches the peers.
func (b *bench) unpack() (err error) {
	b.peers, err = peers.Fetch()
	return err
}

// baseline builds the program of that name.
func (b *bench) baseline() error {
	return sh(`cd "$1" && CGO_ENABLED=0 go build -o "$2/baseline" ./test/bench/baseline`, b.repo, b.dir)
}

// account lays a throw-away layer over /etc, in this mount namespace only.
func (b *bench) account() error {
	return sh(`mount --make-rprivate /
		mkdir "$1/up" "$1/work"
		mount -t overlay -o "lowerdir=/etc,upperdir=$1/up,workdir=$1/work" overlay /etc
		hash=$(openssl passwd -5 -salt saltsalt "$2")
		hash=$(python3 -c 'import crypt,sys; print(crypt.crypt(sys.argv[1], "$5$rounds=1000$saltsalt"))' "$2" 2>/dev/null || echo "$hash")
		echo "bench:x:$3:$3::$1/home:/bin/sh" >>/etc/passwd
		echo "bench:x:$3:" >>/etc/group
		echo "bench:$hash:19000:0:99999:7:::" >>/etc/shadow
		printf 'auth required pam_unix.so nodelay\naccount required pam_unix.so\n' | tee /etc/pam.d/vsftpd /etc/pam.d/proftpd >/etc/pam.d/sallyport
		mkdir "$1/home" "$1/empty"
		echo "bench:$hash:$3:$3::$1/home:/bin/sh" >"$1/users"
		chmod 600 "$1/users"`, b.dir, password, fmt.Sprint(uid))
}

func (b *bench) files() error {
	return sh(`cd "$1/home"
		head -c "$3" /dev/zero >large
		head -c 4096 /dev/zero >small
		mkdir many; cd many; seq -f 'entry-%05.0f.dat' 1 "$4" | xargs touch; cd ..
		chown -R "$2:$2" "$1/home"`, b.dir, fmt.Sprint(uid), fmt.Sprint(opts.size<<20), fmt.Sprint(opts.entries))
}

// certificate makes the one certificate of all servers.
func (b *bench) certificate() error {
	return sh(`cd "$1"
		case $2 in
		ecdsa) openssl ecparam -name prime256v1 -genkey -noout -out tls.key;;
		rsa) openssl genrsa -out tls.key 2048;;
		*) echo "-key is ecdsa or rsa, not $2"; exit 1;;
		esac
		openssl req -new -x509 -key tls.key -out tls.crt -days 30 -subj /CN=bench.example.org -addext subjectAltName=DNS:bench.example.org
		cat tls.crt tls.key >tls.pem
		chmod 600 tls.*`, b.dir, opts.key)
}

func port() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (b *bench) write(name, format string, args ...any) string {
	p := filepath.Join(b.dir, name)
	if err := os.WriteFile(p, fmt.Appendf(nil, format, args...), 0o600); err != nil {
		panic(err)
	}
	return p
}

// ours returns a sallyport with the given auth block and extra configuration,
// without delays of logins, which the peers do not have here either.
func (b *bench) ours(name, auth, extra string) *server {
	n := port()
	dir := filepath.Join(b.dir, name)
	_ = os.MkdirAll(dir+"/run", 0o755)
	_ = os.MkdirAll(dir+"/state", 0o755)
	cfg := b.write(name+".hcl", `instance  = "bench-%d"
run_dir   = "%s/run"
state_dir = "%s/state"
user      = "nobody"
listener "ftp" {
  address = ["127.0.0.1:%d"]
}
%s
root "~" {}
allow_overwrite = true
delay {
  engine = false
}
%s
`, n, dir, dir, n, auth, extra)
	return &server{name: name, tls: name == "sallyport-tls", addr: fmt.Sprintf("127.0.0.1:%d", n), start: func() *exec.Cmd {
		return exec.Command(filepath.Join(b.repo, "bin/sallyport"), "--config", cfg)
	}}
}

const generous = `max {
  connections_per_host        = 5000
  unauthenticated             = 20000
  unauthenticated_per_address = 20000
}
timeout {
  login = "10m"
}
`

func (b *bench) fileAuth() string {
	return fmt.Sprintf("auth {\n  order = [\"file\"]\n  file {\n    users = %q\n  }\n}\n", b.dir+"/users")
}

// tls wants what the peers want: the control connection's session on data
// connections.
func (b *bench) tls() string {
	return fmt.Sprintf("tls {\n  required = \"off\"\n  data_reuse = \"require\"\n  certificate {\n    file = %q\n    key = %q\n  }\n}\n", b.dir+"/tls.crt", b.dir+"/tls.key")
}

// variant runs a sallyport of its own for one measurement.
func (b *bench) variant(s *server, extra string) (*server, error) {
	if !strings.Contains(extra, "max {") {
		extra = generous + extra
	}
	v := b.ours(s.name+"-variant", b.fileAuth(), extra)
	return v, v.up()
}

// servers returns ours (file, unix and PAM accounts) and the peers.
func (b *bench) servers() []*server {
	if b.all != nil {
		return b.all
	}
	peer := func(name string, n int, bin string, args ...string) *server {
		return &server{name: name, tls: strings.HasSuffix(name, "-tls"), addr: fmt.Sprintf("127.0.0.1:%d", n), start: func() *exec.Cmd {
			return b.peers.Command(bin, args...)
		}}
	}
	v, p, u, vt, ut, n := port(), port(), port(), port(), port(), port()
	vsftpd := func(name string, n int, more string) string {
		return b.write(name, `listen=YES
listen_port=%d
listen_address=127.0.0.1
background=NO
anonymous_enable=NO
local_enable=YES
write_enable=YES
chroot_local_user=YES
allow_writeable_chroot=YES
secure_chroot_dir=%s/empty
pam_service_name=vsftpd
nopriv_user=nobody
xferlog_enable=NO
max_per_ip=0
%s`, n, b.dir, more)
	}
	vs := vsftpd("vsftpd.conf", v, "")
	// Its own default wants the control connection's session on data connections.
	vst := vsftpd("vsftpd-tls.conf", vt, fmt.Sprintf(`ssl_enable=YES
ssl_ciphers=HIGH
rsa_cert_file=%s/tls.pem
rsa_private_key_file=%s/tls.pem
`, b.dir, b.dir))
	pure := func(n int, more ...string) []string {
		return append([]string{"-S", fmt.Sprintf("127.0.0.1,%d", n), "-l", "unix", "-A", "-H", "-c", "10000", "-E", "-L", "20000:5"}, more...)
	}
	pro := b.write("proftpd.conf", `ServerType standalone
ServerName bench
Port %d
DefaultAddress 127.0.0.1
SocketBindTight on
UseIPv6 off
UseReverseDNS off
User nobody
Group nogroup
MaxInstances none
AuthUserFile %s/users
AuthOrder mod_auth_file.c
RequireValidShell off
DefaultRoot ~
AllowOverwrite on
WtmpLog off
TransferLog none
SystemLog %s/proftpd.log
PidFile %s/proftpd.pid
ScoreboardFile %s/proftpd.board
DelayEngine off
`, p, b.dir, b.dir, b.dir, b.dir)
	b.all = []*server{
		b.ours("sallyport", b.fileAuth(), generous),
		b.ours("sallyport-unix", "auth {\n  order = [\"unix*\"]\n}\n", generous),
		b.ours("sallyport-pam", "auth {\n  order = [\"pam*\"]\n}\n", generous),
		peer("vsftpd", v, "usr/sbin/vsftpd", vs),
		peer("proftpd", p, "usr/sbin/proftpd", "-n", "-q", "-c", pro),
		peer("pure-ftpd", u, "usr/sbin/pure-ftpd", pure(u)...),
		b.ours("sallyport-tls", b.fileAuth(), generous+b.tls()),
		peer("vsftpd-tls", vt, "usr/sbin/vsftpd", vst),
		{name: "baseline", addr: fmt.Sprintf("127.0.0.1:%d", n), start: func() *exec.Cmd {
			return exec.Command(b.dir+"/baseline", "master", fmt.Sprintf("127.0.0.1:%d", n), b.home)
		}},
		peer("pure-ftpd-tls", ut, "usr/sbin/pure-ftpd", pure(ut, "-Y", "1", "-2", b.dir+"/tls.pem")...),
	}
	return b.all
}

// measure starts the server if it is not running and takes one measurement.
func (b *bench) measure(s *server, m measurement) (result, error) {
	if s.cmd == nil {
		if err := s.up(); err != nil {
			return nil, err
		}
		b.running = append(b.running, s)
	}
	return m.run(b, s)
}
