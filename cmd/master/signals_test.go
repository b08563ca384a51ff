package main

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

// TestSuspendingSignalsEndsNobody: a SIGHUP is being delivered on one thread
// while another gives up catching it.
func TestSuspendingSignalsEndsNobody(t *testing.T) {
	const child = "SALLYPORT_TEST_SUSPENDS"
	if os.Getenv(child) != "" {
		s := catchSignals()
		go func() {
			for range s.ch {
			}
		}()
		over := make(chan struct{})
		go func() {
			defer close(over)
			runtime.LockOSThread()
			os.Stdout.WriteString("caught\n")
			_, _ = os.Stdin.Read(make([]byte, 1)) // the flood has begun
			s.suspend()
		}()
		<-over
		os.Exit(0)
	}
	for range 60 {
		cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), child+"=1")
		out, err := cmd.StdoutPipe()
		must(t, err)
		in, err := cmd.StdinPipe()
		must(t, err)
		must(t, cmd.Start())
		if _, err := out.Read(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
		begun := make(chan struct{})
		go func() {
			for i := 0; cmd.Process.Signal(syscall.SIGHUP) == nil; i++ {
				if i == 100 {
					close(begun)
				}
			}
		}()
		<-begun
		_, _ = in.Write([]byte("x"))
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}
