package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sallyport/internal/control"
	"sallyport/internal/sandbox"
)

// TestStoreLimits: the client is told, the file is cut or gone, and the kernel
// holds the session to the same number, whatever becomes of it.
func TestStoreLimits(t *testing.T) {
	modes(t, func(t *testing.T, rootless bool) {
		h := prepare(t, rootless, "max {\n  store_file_size \"4KiB\" {}\n}\ndelete_aborted_stores = true\n").start()
		w := h.dial().login()
		store := func(name string, n int, code string) {
			t.Helper()
			d := w.passive()
			w.do("150", "STOR "+name)
			_, _ = d.Write(make([]byte, n)) // may be cut off
			d.Close()
			w.reply(code)
		}
		store("fits", 4096, "226")
		store("grown", 4097, "552")
		store("large", 1<<20, "552")
		for name, there := range map[string]bool{"fits": true, "grown": false, "large": false} {
			if _, err := os.Stat(filepath.Join(h.home, name)); (err == nil) != there {
				t.Errorf("%s: %v", name, err)
			}
		}
		if eff, _, _, err := sandbox.ThreadCaps(); err != nil || !rootless && eff&sandbox.Caps(unix.CAP_SYS_RESOURCE) == 0 {
			t.Logf("CAP_SYS_RESOURCE is missing here (%v): the kernel's limit is not looked at", err)
			return
		}
		var who control.WhoResult
		must(t, json.Unmarshal([]byte(h.ctl("who", "--json")), &who))
		if len(who.Sessions) != 1 {
			t.Fatalf("%+v", who)
		}
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", who.Sessions[0].PID))
		must(t, err)
		for line := range strings.Lines(string(limits)) {
			if f := strings.Fields(line); strings.HasPrefix(line, "Max file size") && (f[3] != "4096" || f[4] != "unlimited") {
				t.Errorf("%s", line)
			}
		}
		w.do("221", "QUIT")
		h.stop()
	})
}
