package main

import (
	"bytes"
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
