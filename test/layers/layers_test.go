// Package layers keeps the promises of docs/ARCHITECTURE.md about who may link
// what: it asks the go command for the real dependencies of each binary.
package layers

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func deps(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", pkg)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		if x, ok := err.(*exec.ExitError); ok {
			t.Fatalf("go list %s: %s", pkg, x.Stderr)
		}
		t.Fatal(err)
	}
	m := make(map[string]bool)
	for d := range strings.FieldsSeq(string(out)) {
		m[d] = true
	}
	return m
}

// TestBinariesLinkOnlyWhatTheyMay holds the table of DESIGN's import rules: a
// worker that cannot parse HCL has no HCL bugs.
func TestBinariesLinkOnlyWhatTheyMay(t *testing.T) {
	for _, c := range []struct {
		pkg    string
		forbid []string // an import path, or a prefix ending in "/"
	}{
		{"./cmd/session", []string{
			"net/http", "os/exec", "os/user", "log/slog", "sallyport/internal/keys", // net comes with crypto/tls
			"github.com/hashicorp/", "github.com/zclconf/", "github.com/spf13/", "github.com/coreos/", "github.com/go-crypt/",
			"database/sql", "sallyport/internal/config", "sallyport/internal/auth", "sallyport/internal/crypt", "github.com/vmihailenco/", "sallyport/internal/userfile", "sallyport/internal/access",
		}},
		{"./cmd/files", []string{
			"net", "net/http", "os/exec", "os/user", "crypto/tls", "log/slog",
			"github.com/hashicorp/", "github.com/zclconf/", "github.com/spf13/", "github.com/coreos/", "github.com/go-crypt/",
			"database/sql", "sallyport/internal/config", "sallyport/internal/auth", "sallyport/internal/crypt", "github.com/vmihailenco/", "sallyport/internal/ftp",
		}},
		{"./cmd/owner", []string{
			"net", "net/http", "os/exec", "os/user", "crypto/tls", "log/slog",
			"github.com/hashicorp/", "github.com/zclconf/", "github.com/spf13/", "github.com/coreos/", "github.com/go-crypt/",
			"database/sql", "sallyport/internal/config", "sallyport/internal/auth", "sallyport/internal/crypt", "github.com/vmihailenco/", "sallyport/internal/ftp", "sallyport/internal/vfs", "sallyport/shm",
		}},
		{"./cmd/netd", []string{
			"net/http", "os/exec", "os/user", "crypto/tls", "log/slog",
			"github.com/hashicorp/", "github.com/zclconf/", "github.com/spf13/", "github.com/coreos/", "github.com/go-crypt/",
			"database/sql", "sallyport/internal/config", "sallyport/internal/auth", "sallyport/internal/crypt", "github.com/vmihailenco/", "sallyport/internal/ftp", "sallyport/internal/vfs", "sallyport/shm",
		}},
		{"./cmd/authd", []string{
			"net/http", "os/exec", "github.com/hashicorp/", "github.com/zclconf/", "github.com/spf13/",
			"sallyport/internal/config", "sallyport/internal/ftp", "sallyport/internal/vfs", "github.com/vmihailenco/",
		}},
		{"./cmd/master", []string{
			"net/http", "crypto/tls", "crypto/x509", "sallyport/internal/keys", "golang.org/x/crypto/ssh", "database/sql", "github.com/spf13/", "github.com/go-crypt/",
			"sallyport/internal/ftp", "sallyport/internal/auth", "sallyport/internal/crypt",
		}},
		{"./internal/policy", []string{"fmt", "os", "net", "net/netip", "golang.org/x/"}},
		{"./ipc", []string{"net", "os/exec", "sallyport/internal/", "sallyport/shm", "github.com/vmihailenco/"}},
		{"./shm", []string{"net", "os/exec", "sallyport/internal/", "sallyport/ipc", "github.com/vmihailenco/"}},
	} {
		t.Run(strings.TrimPrefix(c.pkg, "./"), func(t *testing.T) {
			got := deps(t, c.pkg)
			for _, f := range c.forbid {
				for d := range got {
					if d == f || strings.HasSuffix(f, "/") && strings.HasPrefix(d, f) {
						t.Errorf("%s links %s", c.pkg, d)
					}
				}
			}
		})
	}
}

// TestArrowsGoDown holds that nothing below imports cmd, and that ipc and shm
// know nothing above them.
func TestArrowsGoDown(t *testing.T) {
	for _, p := range []string{"./internal/...", "./ipc", "./shm"} {
		for d := range deps(t, p) {
			if strings.HasPrefix(d, "sallyport/cmd/") {
				t.Errorf("%s imports %s", p, d)
			}
		}
	}
}
