package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/control"
)

// TestWrongLines: mistakes of the command line have the exit status that the help
// names for them.
func TestWrongLines(t *testing.T) {
	for _, line := range []string{"", "nosuch", "--bogus", "who x", "kick", "reload x", "ban", "permit", "delay", "delay nosuch", "delay reset a b", "config", "config check a b", "passwd", "passwd add", "passwd group", "trace --bogus", "trace login", "trace login:21", "shutdown later", "shutdown graceful soon"} {
		var out, errOut bytes.Buffer
		if got := run(strings.Fields(line), nil, &out, &errOut); got != int(control.CodeParameters) || !strings.HasPrefix(errOut.String(), "ftpdctl: ") {
			t.Errorf("%q: status %d, %q", line, got, errOut.String())
		}
	}
}

// TestVersionOfADaemonThatIsNotReached: one is "not running" only where nobody listens.
func TestVersionOfADaemonThatIsNotReached(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for socket, want := range map[string]string{"none": "daemon  not running\n", "file": "daemon  not running\n", "file/socket": "daemon  unknown: cannot reach the daemon"} {
		var out, errOut bytes.Buffer
		if got := run([]string{"version", "--socket", filepath.Join(dir, socket)}, nil, &out, &errOut); got != 0 || !strings.Contains(out.String(), want) {
			t.Errorf("%s: status %d, %q, %q", socket, got, out.String(), errOut.String())
		}
	}
}
