package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestBusyClientHearsMaster: one whose commands come without a pause is told to
// leave like any other, and not cut off.
func TestBusyClientHearsMaster(t *testing.T) {
	h := prepare(t, true, "").start()
	w := h.dial().login()
	kicked := make(chan struct{})
	for i := 0; ; i++ {
		if i == 100 {
			go func() { defer close(kicked); h.ctl("kick", "user", "ann") }()
		}
		_, _ = fmt.Fprint(w, "NOOP\r\n") // that it is gone shows in the answer
		line, err := w.r.ReadString('\n')
		if strings.HasPrefix(line, "200") {
			continue
		}
		if i < 100 || !strings.HasPrefix(line, "421 ") {
			t.Errorf("after %d commands: %q, %v", i, line, err)
		}
		break
	}
	<-kicked
	h.stop()
}
