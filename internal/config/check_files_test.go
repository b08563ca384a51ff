package config

import (
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCheckFilesOfTLSAndLogs: what authd and master would refuse is said before.
func TestCheckFilesOfTLSAndLogs(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	block := func(kind string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte("x")}))
	}
	cert := write(t, dir+"/cert.pem", block("CERTIFICATE"), 0o644)
	key := write(t, dir+"/key.pem", block("EC PARAMETERS")+block("EC PRIVATE KEY"), 0o600)
	both := write(t, dir+"/both.pem", block("CERTIFICATE")+block("PRIVATE KEY"), 0o600)
	read := write(t, dir+"/read.pem", block("PRIVATE KEY"), 0o644)
	shared := write(t, dir+"/shared.pem", block("PRIVATE KEY"), 0o660)
	locked := write(t, dir+"/locked.pem", block("ENCRYPTED PRIVATE KEY"), 0o600)
	written := write(t, dir+"/written.pem", block("CERTIFICATE"), 0o646)
	inOpen := write(t, open+"/key.pem", block("PRIVATE KEY"), 0o600)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(cert, link); err != nil {
		t.Fatal(err)
	}
	head := fmt.Sprintf("run_dir = %q\nstate_dir = %q\n", dir, dir)
	nobody := head + "auth { order = [] }\n"
	pair := func(cert, key, rest string) string {
		return nobody + fmt.Sprintf("tls {\n%s\ncertificate {\nfile = %q\nkey = %q\n}\n}\n", rest, cert, key)
	}
	users := head + fmt.Sprintf("auth {\norder = [\"file\"]\nfile { users = %q }\n}\n", write(t, dir+"/users", "", 0o600))
	for _, c := range []struct {
		name, src string
		want      []string
	}{
		{"good pair", pair(cert, key, ""), nil},
		{"one file, by a link", pair(both, both, "") + fmt.Sprintf("virtual_host \"x\" {\nnames = [\"x\"]\ntls {\ncertificate {\nfile = %q\nkey = %q\n}\n}\n}\n", link, key), nil},
		{"no files", pair(dir+"/no.pem", dir+"/no.key", ""), []string{`error tls.certificate.file: "DIR/no.pem" does not exist`, `error tls.certificate.key: "DIR/no.key" does not exist`}},
		{"key for everybody", pair(cert, read, ""), []string{`error tls.certificate.key: "DIR/read.pem" may be read or changed by others than its owner, and it holds a private key`}},
		{"key for its group", pair(cert, shared, ""), []string{`error tls.certificate.key: "DIR/shared.pem" may be read or changed by others than its owner, and it holds a private key`}},
		{"key with a pass phrase", pair(cert, locked, ""), []string{`error tls.certificate.key: "DIR/locked.pem" is encrypted, and nobody is there to type its pass phrase`}},
		{"swapped", pair(key, both, ""), []string{`error tls.certificate.file: "DIR/key.pem" holds no PEM block of a certificate`}},
		{"no key", pair(cert, cert, ""), []string{`error tls.certificate.key: "DIR/cert.pem" may be read or changed by others than its owner, and it holds a private key`}},
		{"writable", pair(written, key, ""), []string{`error tls.certificate.file: "DIR/written.pem" is world-writable`}},
		{"open directory", pair(cert, inOpen, ""), []string{`error tls.certificate.key: "DIR/open/key.pem" lies in "DIR/open", which is world-writable`}},
		{"directory", pair(dir, key, ""), []string{`error tls.certificate.file: "DIR" is no regular file`}},
		{"engine off", pair(dir+"/no.pem", dir+"/no.key", "engine = false"), nil},
		{"clients without authority", pair(cert, key, "client { verify = \"request\" }"), []string{`error tls.client.ca: host "default" asks clients for certificates, and believes nobody who issues them`}},
		{"clients", pair(cert, key, fmt.Sprintf("client {\nverify = \"require\"\nca = [%q]\ncrl = [%q]\nuser = \"map\"\n}", key, dir+"/no.crl")), []string{
			`error tls.client.ca: "DIR/key.pem" holds no PEM block of a certificate`, `error tls.client.crl: "DIR/no.crl" does not exist`,
			`warning tls.client.map: host "default" takes the account of a certificate from map blocks, and there are none`,
		}},
		{"unasked clients", pair(cert, key, "client { user = \"cn\" }"), []string{`warning tls.client.user: is of no use where clients are not asked for certificates`}},

		{"passwords in clear", users, []string{`notice tls.required: clients may send passwords in clear for host "default"`}},
		{"data only", users + "tls { required = \"data\" }", []string{`notice tls.required: clients may send passwords in clear for host "default"`}},
		{"many hosts", users + "virtual_host \"a\" { names = [\"a\"] }\nvirtual_host \"b\" { names = [\"b\"] }\nvirtual_host \"c\" { names = [\"c\"] }\nvirtual_host \"d\" { names = [\"d\"] }\n", []string{
			`notice tls.required: clients may send passwords in clear for host "default", "a", "b" and 2 more`,
		}},
		{"protected", users + "tls { required = \"auth\" }", nil},
		{"implicit alone", users + "listener \"a\" {\naddress = [\"[::]:990\"]\ntls = \"implicit\"\n}", nil},
		{"implicit without TLS", users + "tls { engine = false }\nlistener \"a\" {\naddress = [\"[::]:990\"]\ntls = \"implicit\"\n}", []string{
			`error tls.engine: host "default" has no TLS, and all listeners demand it from the first byte`,
		}},
		{"no TLS", users + "tls { engine = false }", []string{`notice tls.engine: passwords can be read on the way for host "default"`}},

		{"logs", nobody + fmt.Sprintf("log {\ntransfer = %q\nextended %q {}\nextended \"syslog:info\" {}\nextended %q {}\nextended %q {}\n}", dir+"/x.log", open+"/e.log", link, dir), []string{
			`error log.extended: "DIR" is neither a file nor a FIFO`, `error log.extended: "DIR/link" is a symbolic link, and logs do not follow them`, `error log.extended: "DIR/open/e.log" lies in "DIR/open", which is world-writable`,
		}},
		{"no directory of logs", nobody + fmt.Sprintf("log { transfer = %q }", dir+"/no/x.log"), []string{`error log.transfer: the directory of "DIR/no/x.log": no such file or directory`}},
		{"homes", nobody + fmt.Sprintf("create_home { skeleton = %q }", cert), []string{
			`error create_home.skeleton: "DIR/cert.pem" is no directory`, "warning create_home.engine: needs root rights: without them all homes belong to the one user there is",
		}},
		{"anonymous directory", nobody + fmt.Sprintf("anonymous %q { user = \"ftp\" }\nanonymous \"~\" { user = \"x\" }\nanonymous %q { user = \"y\" }", dir+"/no", dir), []string{
			`warning anonymous: "DIR/no" is no directory: these logins will be refused`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, s := range checked(t, c.src, Facts{}, dir) {
				got = append(got, strings.ReplaceAll(s, dir, "DIR"))
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// TestNobodyIsToldToCloseTmp: a directory that is meant to be everybody's is not to be
// closed because a log was to lie in it.
func TestNobodyIsToldToCloseTmp(t *testing.T) {
	dir := t.TempDir()
	for mode, want := range map[os.FileMode]string{0o777: "chmod o-w " + dir, 0o777 | os.ModeSticky: "choose a directory that is not everybody's"} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if got := shut(dir); got != want {
			t.Errorf("%v: %q", mode, got)
		}
	}
}
