package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/userfile"
)

// onTerminal runs a ftpdctl with a terminal of its own. Before each of answers
// it waits for a prompt (a text that ends in ": "). It returns all the terminal
// showed, and the error of the command.
func onTerminal(t *testing.T, args []string, answers ...string) (string, error) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "ftpdctl"
	cmd.Env = append(os.Environ(), asFtpdctl+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	var shown strings.Builder
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := bufio.NewReader(master)
		for left := answers; ; {
			b, err := r.ReadByte()
			if err != nil {
				return // EIO: the terminal is closed
			}
			shown.WriteByte(b)
			if len(left) > 0 && strings.HasSuffix(shown.String(), ": ") {
				fmt.Fprint(master, left[0])
				left = left[1:]
			}
		}
	}()
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err = cmd.Wait()
	<-done
	return shown.String(), err
}

func TestPasswordPromptDoesNotEcho(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	add := []string{"passwd", "-f", file, "add", "web", "--uid", "7", "--gid", "7", "--home", "/", "--hash", "sha512"}
	shown, err := onTerminal(t, add, "correct horse\n", "correct horse\n")
	if err != nil {
		t.Fatalf("%v: %s", err, shown)
	}
	if strings.Contains(shown, "horse") || !strings.Contains(shown, "Password for web: ") || !strings.Contains(shown, "Again: ") {
		t.Errorf("the terminal showed %q", shown)
	}
	if _, err := userfile.LookupUser(file, "web"); err != nil {
		t.Error(err)
	}
	set := []string{"passwd", "-f", file, "set", "web"}
	if shown, err := onTerminal(t, set, "correct horse\n", "another one\n"); err == nil || !strings.Contains(shown, "the two passwords differ") {
		t.Errorf("%v: %q", err, shown)
	}
	if shown, err := onTerminal(t, set, "\x03"); err == nil || !strings.Contains(shown, "interrupted") {
		t.Errorf("an interrupt: %v: %q", err, shown)
	}
}
