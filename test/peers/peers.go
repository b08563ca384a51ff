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

// Fetch downloads and unpacks the peers if that has not been done before. It
// needs apt-get and the mirror the machine is set up with.
func Fetch() (Peers, error) {
	dir := filepath.Join(os.TempDir(), "sallyport-peers")
	root := filepath.Join(dir, "root")
	p := Peers{Root: root, Lib: filepath.Join(root, "usr/lib/x86_64-linux-gnu") + ":" + filepath.Join(root, "lib/x86_64-linux-gnu")}
	if _, err := os.Stat(filepath.Join(dir, "done")); err == nil {
		return p, nil
	}
	script := `mkdir -p "$1"; cd "$1"; chmod 755 .
		apt-get -qq update >/dev/null 2>&1 || true
		apt-get -qq download vsftpd proftpd-core pure-ftpd pure-ftpd-common \
			libwrap0 libhiredis0.14 libmemcached11 libmemcachedutil2 libhashkit2 libpcre2-posix3 2>/dev/null
		for f in *.deb; do dpkg-deb -x "$f" root; done; rm -- *.deb; touch done`
	out, err := exec.Command("bash", "-euc", script, "peers", dir).CombinedOutput()
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
