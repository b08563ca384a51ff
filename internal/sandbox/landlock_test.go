package sandbox

import (
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func needLandlock(t *testing.T) {
	t.Helper()
	if abi := landlockABI(); abi < minLandlock {
		t.Skipf("this kernel has landlock version %d", abi)
	}
}

func noNewPrivs(t *testing.T) {
	t.Helper()
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); errno != 0 {
		t.Fatal(errno)
	}
}

func TestLandlockDeniesFilesAndPorts(t *testing.T) {
	needLandlock(t)
	if !alone(t, nil) {
		return
	}
	noNewPrivs(t)
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	const others = 4 // threads that are there before
	locked, walled, opened := make(chan bool), make(chan bool), make(chan error)
	for range others {
		go func() {
			runtime.LockOSThread()
			locked <- true
			<-walled
			_, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0)
			opened <- err
		}()
	}
	for range others {
		<-locked
	}
	if _, err := landlockNothing(); err != nil {
		t.Fatal(err)
	}
	close(walled)
	for range others {
		if err := <-opened; err != unix.EACCES {
			t.Errorf("read on another thread: %v", err)
		}
	}
	for name, err := range map[string]error{
		"read": func() error { _, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0); return err }(),
		"list": func() error { _, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY, 0); return err }(),
	} {
		if err != unix.EACCES {
			t.Errorf("%s: %v", name, err)
		}
	}
	if landlockABI() >= 4 {
		if err := unix.Bind(s, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != unix.EACCES {
			t.Errorf("bind: %v", err)
		}
		if err := unix.Connect(s, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}}); err != unix.EACCES {
			t.Errorf("connect: %v", err)
		}
	}
}

// TestSandboxesNameTheirLandlock: the note that goes to the log is true of
// those that need it.
func TestSandboxesNameTheirLandlock(t *testing.T) {
	needLandlock(t)
	for name, f := range map[string]func(Mode) (string, error){"session": Session, "hash": Hash} {
		t.Run(name, func(t *testing.T) {
			if !alone(t, nil) {
				return
			}
			noNewPrivs(t)
			landlockVersion := landlockABI()
			note, err := f(Enforce)
			if want := "sandbox enforce, landlock " + strconv.Itoa(landlockVersion); err != nil || !strings.HasPrefix(note, want) {
				t.Errorf("%q, %v; want %q", note, err, want)
			}
		})
	}
}
