//go:build cgo

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sallyport/internal/crypt"
	"sallyport/ipc"
)

const inside = "SALLYPORT_TEST_PAM"

// TestPamStack runs TestInside in a mount namespace of its own, where /etc has
// this test's accounts and services: nothing of the host's is asked or changed.
func TestPamStack(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: a mount namespace and a shadow file of its own")
	}
	if os.Getenv(inside) != "" {
		return // is inside already
	}
	dir := t.TempDir()
	writeEtc(t, dir)
	cmd := exec.Command(os.Args[0], "-test.run=^TestInside$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "--- PASS: TestInside") {
		t.Fatalf("nothing was tested:\n%s", out)
	}
}

func writeEtc(t *testing.T, dir string) {
	hash, err := crypt.Hash([]byte("right password"), "yescrypt")
	if err != nil {
		t.Fatal(err)
	}
	passwd, shadow := "root:x:0:0::/root:/bin/sh\n", "root:*:19000::::::\n"
	for i, u := range []struct{ name, hash, rest string }{
		{"pamuser", hash, "19000:0:99999:7:::"},
		{"expired", hash, "19000:0:99999:7::1:"},
		{"mustchange", hash, "0:0:99999:7:::"},
		{"locked", "!" + hash, "19000:0:99999:7:::"},
		{"empty", "", "19000:0:99999:7:::"},
	} {
		passwd += fmt.Sprintf("%s:x:%d:61000::/home/%s:/bin/sh\n", u.name, 61000+i, u.name)
		shadow += u.name + ":" + u.hash + ":" + u.rest + "\n"
	}
	unixStack := "auth required pam_unix.so%s\naccount required pam_unix.so\n"
	for path, content := range map[string]string{
		"passwd":         passwd,
		"shadow":         shadow,
		"group":          "pamusers:x:61000:\nextra:x:61001:pamuser\nother:x:61002:pamuser,expired\n",
		"nsswitch.conf":  "passwd: files\ngroup: files\nshadow: files\n",
		"pam.d/plain":    fmt.Sprintf(unixStack, ""),
		"pam.d/common":   "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so\naccount required pam_unix.so\n",
		"pam.d/nullok":   fmt.Sprintf(unixStack, " nullok"),
		"pam.d/slow":     "auth optional pam_faildelay.so delay=25000000\n" + fmt.Sprintf(unixStack, ""),
		"pam.d/sessions": fmt.Sprintf(unixStack, "") + "@include hook\n",
		"pam.d/hook":     "session required pam_exec.so /bin/sh " + dir + "/hook\n",
		"pam.d/refuses":  fmt.Sprintf(unixStack, "") + "session required pam_deny.so\n",
		"pam.d/denies":   "auth required pam_permit.so\naccount required pam_deny.so\n",
		"pam.d/anybody":  "auth required pam_permit.so\naccount required pam_permit.so\n",
		"pam.d/asleep":   "auth required pam_exec.so /bin/sleep 600\naccount required pam_permit.so\n",
		"pam.d/other":    "auth required pam_permit.so\naccount required pam_permit.so\n",
		"hook":           "echo \"$PAM_TYPE $PAM_USER $PAM_RUSER $PAM_RHOST $PAM_TTY $PAM_SERVICE\" >> " + dir + "/hooked\n",
	} {
		file := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestInside(t *testing.T) {
	dir := os.Getenv(inside)
	if dir == "" {
		return // a part of TestPamStack, which runs it in a mount namespace
	}
	for _, name := range []string{"passwd", "shadow", "group", "nsswitch.conf", "pam.d"} {
		if err := unix.Mount(filepath.Join(dir, name), filepath.Join("/etc", name), "", unix.MS_BIND, ""); err != nil {
			t.Fatalf("bind /etc/%s: %v", name, err)
		}
	}
	t.Run("Verdicts", testVerdicts)
	t.Run("Sessions", func(t *testing.T) { testSessions(t, dir) })
	t.Run("Outages", testOutages)
	t.Run("HangUp", testHangUp)
}

// helper runs serve in this process and returns authd's end.
func helper(t *testing.T) (*ipc.Conn, chan error) {
	t.Helper()
	ours, theirs, err := ipc.Pair()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		c := ipc.New(theirs, ipc.AuthdPam, ipc.Pam)
		defer c.Close()
		done <- serve(c, "/etc/pam.d")
	}()
	c := ipc.New(ours, ipc.AuthdPam, ipc.Authd)
	if err := c.SetTimeout(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, done
}

func request(service, user, secret string) *ipc.PamRequest {
	return &ipc.PamRequest{Service: service, User: user, Secret: []byte(secret), RHost: "192.0.2.1", TTY: "ftp"}
}

func testVerdicts(t *testing.T) {
	ok := &ipc.PamReply{
		OK: true, Known: true, User: "pamuser", UID: 61000, GID: 61000, Groups: []uint32{61001, 61002},
		GroupNames: []string{"pamusers", "extra", "other"}, Home: "/home/pamuser", Shell: "/bin/sh",
	}
	no := func(user, reason string) *ipc.PamReply { return &ipc.PamReply{User: user, Reason: reason} }
	unknown := &ipc.PamReply{User: "nobody-here", Reason: "no such user found", Declined: true}
	empty := request("nullok", "empty", "")
	emptyOK := request("nullok", "empty", "")
	emptyOK.AllowEmpty = true
	decoy := func(r *ipc.PamRequest, setting string) *ipc.PamRequest { r.Decoy = setting; return r }
	paid := *unknown
	paid.Paid = true
	yescrypt, err := crypt.Hash([]byte("somebody else's"), "yescrypt")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		r    *ipc.PamRequest
		want *ipc.PamReply
	}{
		{"right", request("plain", "pamuser", "right password"), ok},
		{"wrong", request("plain", "pamuser", "wrong password"), no("pamuser", "Incorrect password")},
		{"right and more after a NUL", request("plain", "pamuser", "right password\x00x"), no("pamuser", "Incorrect password")},
		{"unknown", request("plain", "nobody-here", "right password"), unknown},
		{"unknown to a stack that does not say so", request("common", "nobody-here", "right password"), unknown},
		{"wrong, in such a stack", request("common", "pamuser", "wrong password"), no("pamuser", "Incorrect password")},
		{"right, in such a stack", request("common", "pamuser", "right password"), ok},
		{"locked", request("plain", "locked", "right password"), no("locked", "Incorrect password")},
		{"expired account, right password", request("plain", "expired", "right password"), no("expired", "Account disabled")},
		{"password to be changed", request("plain", "mustchange", "right password"), no("mustchange", "New authentication token required")},
		{"account phase says no", request("denies", "pamuser", "anything"), no("pamuser", "Incorrect password")},
		{"session phase says no", request("refuses", "pamuser", "right password"), no("pamuser", "Failed initializing authentication service")},
		{"empty password, not allowed", empty, no("empty", "Incorrect password")},
		{"empty password, allowed", emptyOK, &ipc.PamReply{
			OK: true, Known: true, User: "empty", UID: 61004, GID: 61000, GroupNames: []string{"pamusers"}, Home: "/home/empty", Shell: "/bin/sh",
		}},
		{"right password of a user without passwd entry", request("anybody", "ghost", "x"), &ipc.PamReply{OK: true, User: "ghost"}},
		{"unknown, at the cost of somebody's hash", decoy(request("plain", "nobody-here", "right password"), yescrypt), &paid},
		{"unknown, at the cost of a short one's", decoy(request("common", "nobody-here", "x\x00y"), "$6$salt$"), &paid},
		{"unknown, and libcrypt knows no such hash", decoy(request("plain", "nobody-here", "right password"), "$argon2id$v=19$m=65536"), unknown},
		{"a success costs nothing more", decoy(request("plain", "pamuser", "right password"), yescrypt), ok},
		{"a delay that modules ask for", request("slow", "pamuser", "wrong password"), no("pamuser", "Incorrect password")},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, done := helper(t)
			got, _, err := ipc.Call[ipc.PamReply](conn, c.r)
			if err != nil {
				t.Fatal(err, <-done)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func testSessions(t *testing.T, dir string) {
	for name, leave := range map[string]func(*ipc.Conn){
		"told":        func(c *ipc.Conn) { c.SetState(ipc.PamOpen); _ = c.Send(&ipc.PamClose{}) },
		"authd died":  func(c *ipc.Conn) { c.Close() },
		"told twice":  func(c *ipc.Conn) { _ = c.Send(&ipc.PamClose{}); _ = c.Send(&ipc.PamClose{}) },
		"other words": func(c *ipc.Conn) { _ = c.Send(request("plain", "pamuser", "x")) },
	} {
		t.Run(name, func(t *testing.T) {
			log := filepath.Join(dir, "hooked")
			_ = os.Remove(log)
			conn, done := helper(t)
			got, _, err := ipc.Call[ipc.PamReply](conn, request("sessions", "pamuser", "right password"))
			if err != nil || !got.OK || !got.KeepOpen {
				t.Fatalf("%+v %v", got, err)
			}
			leave(conn)
			err = <-done
			if broke := name == "other words"; (err != nil) != broke {
				t.Error(err)
			}
			hooked, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			const facts = " pamuser pamuser 192.0.2.1 ftp sessions\n"
			if d := cmp.Diff("open_session"+facts+"close_session"+facts, string(hooked)); d != "" {
				t.Error(d)
			}
		})
	}
}

// testOutages: what could not be asked is not answered. The service without a
// file must not fall to "other", which lets everybody in here.
func testOutages(t *testing.T) {
	for _, service := range []string{"missing", "../pam.d/anybody", "", "."} {
		conn, done := helper(t)
		if _, _, err := ipc.Call[ipc.PamReply](conn, request(service, "pamuser", "right password")); !errors.Is(err, io.EOF) {
			t.Errorf("service %q: %v", service, err)
		}
		if err := <-done; err == nil {
			t.Errorf("service %q: no error", service)
		}
	}
	conn, done := helper(t)
	conn.Close()
	if err := <-done; err != nil {
		t.Errorf("a helper that is not asked: %v", err)
	}
}

// testHangUp: a module that sleeps goes when authd does. The process leaves, so
// it is a child of this one.
func testHangUp(t *testing.T) {
	ours, theirs, err := ipc.Pair()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperProcess$")
	cmd.Env = append(os.Environ(), inside+"=child")
	cmd.ExtraFiles = []*os.File{os.NewFile(uintptr(theirs), "channel")}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles[0].Close()
	conn := ipc.New(ours, ipc.AuthdPam, ipc.Authd)
	if err := conn.Send(request("asleep", "pamuser", "x")); err != nil {
		t.Fatal(err)
	}
	waitForChild(t, cmd.Process.Pid)
	conn.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		t.Error("the helper waits for its module")
	}
}

// waitForChild waits until the module has started its command.
func waitForChild(t *testing.T, pid int) {
	late := time.Now().Add(20 * time.Second)
	for {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		for _, f := range files {
			if b, _ := os.ReadFile(f); len(strings.TrimSpace(string(b))) > 0 {
				return
			}
		}
		if time.Now().After(late) {
			t.Fatal("the module does not start its command")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestHelperProcess(t *testing.T) {
	if os.Getenv(inside) != "child" {
		return // a process of testHangUp
	}
	c := ipc.New(3, ipc.AuthdPam, ipc.Pam)
	t.Error(serve(c, "/etc/pam.d"))
}

func TestStackHas(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"none":     "auth required pam_unix.so\n# session required pam_x.so\naccount required pam_unix.so\n",
		"direct":   "auth required pam_unix.so\nsession [success=1 default=ignore] pam_x.so\n",
		"dash":     "-session optional pam_x.so\n",
		"at":       "@include direct\n",
		"include":  "session include dash\n",
		"substack": "session substack none\nauth include direct\n",
		"absolute": "@include " + dir + "/direct\n",
		"loop":     "@include loop\n",
		"missing":  "@include nowhere\n",
		"folded":   "sess\\\nion required pam_x.so\nsession \\\n required pam_x.so\n",
		"upper":    "SESSION required pam_x.so\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"none": "false", "direct": "true", "dash": "true", "at": "true", "include": "true", "substack": "false",
		"absolute": "true", "loop": "error", "missing": "error", "nowhere": "error", "folded": "true", "upper": "true", "..": "error",
	} {
		has, err := stackHas(dir, name, "session")
		got := fmt.Sprint(has)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %v %v, want %s", name, has, err, want)
		}
	}
}
