// Package peers fetches Debian's other FTP servers for comparison. The packages
// conflict with each other, so none is installed: they are unpacked side by side
// into a directory that later runs find again.
package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Peers is where the packages are unpacked (Root) and the LD_LIBRARY_PATH they
// need (Lib).
type Peers struct{ Root, Lib string }

// packages are the servers and what they link that is not installed everywhere.
const packages = "vsftpd proftpd-core proftpd-mod-crypto pure-ftpd pure-ftpd-common openssh-server " +
	"libwrap0 libhiredis0.14 libmemcached11 libmemcachedutil2 libhashkit2 libpcre2-posix3 libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libkeyutils1 libcom-err2"

// Fetch downloads and unpacks the peers if that has not been done before. It
// needs apt-get and the mirror the machine is set up with.
func Fetch() (Peers, error) {
	dir := filepath.Join(os.TempDir(), "sallyport-peers")
	root := filepath.Join(dir, "root")
	p := Peers{Root: root, Lib: filepath.Join(root, "usr/lib/x86_64-linux-gnu") + ":" + filepath.Join(root, "lib/x86_64-linux-gnu")}
	if b, err := os.ReadFile(filepath.Join(dir, "done")); err == nil && string(b) == packages {
		return p, nil
	}
	script := `mkdir -p "$1"; cd "$1"; chmod 755 .
		apt-get -qq update >/dev/null 2>&1 || true
		apt-get -qq download $2
		for f in *.deb; do dpkg-deb -x "$f" root; done; rm -- *.deb; printf %s "$2" >done`
	out, err := exec.Command("bash", "-euc", script, "peers", dir, packages).CombinedOutput()
	if err != nil {
		return p, fmt.Errorf("fetch the peers: %w: %s", err, out)
	}
	return p, nil
}

// Command returns a command that runs a peer's program, bin below Root.
func (p Peers) Command(bin string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(p.Root, bin), args...)
	c.Env = append(os.Environ(), "LD_LIBRARY_PATH="+p.Lib)
	return c
}
