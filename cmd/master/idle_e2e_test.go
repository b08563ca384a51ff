package main

import (
	"io"
	"strings"
	"testing"
	"time"
)

// TestBytesThatAreNoCommandAreSilence: who sends a byte now and then, and never
// the end of a line, is idle all the same.
func TestBytesThatAreNoCommandAreSilence(t *testing.T) {
	h := prepare(t, true, "timeout { idle = \"3s\" }\n").start()
	drip := h.dial().login()
	start := time.Now()
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	answer := make(chan string, 1)
	go func() {
		_ = drip.SetReadDeadline(time.Now().Add(20 * time.Second))
		b, _ := io.ReadAll(drip.r)
		answer <- string(b)
	}()
	for got := ""; got == ""; {
		select {
		case got = <-answer:
			if !strings.HasPrefix(got, "421 Idle timeout (3 seconds)") {
				t.Errorf("drip: %q", got)
			}
		case <-every.C:
			_, _ = drip.Write([]byte("N")) // an error is the end, which the reader tells
		}
		if time.Since(start) > 20*time.Second {
			t.Fatal("bytes keep a session from its idle time-out")
		}
	}
	h.stop()
}
