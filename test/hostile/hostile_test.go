// Package hostile runs hijacked workers against the real sandbox and asserts
// that each attempt of package attack ends as the security argument says.
package hostile

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"sallyport/internal/sandbox"
	"sallyport/test/hostile/attack"
)

func TestHostileSessionAsRoot(t *testing.T) { needRoot(t); storm(t, "session", true) }
func TestHostileFilesAsRoot(t *testing.T)   { needRoot(t); storm(t, "files", true) }

func TestHostileSessionRootless(t *testing.T) {
	if asRootless(t) {
		storm(t, "session", false)
	}
}

func TestHostileFilesRootless(t *testing.T) {
	if asRootless(t) {
		storm(t, "files", false)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if unix.Geteuid() != 0 {
		t.Skip("started without root: identities cannot be changed; the rootless tests run")
	}
}

// storm tries everything: all that is refused in one process, what kills in one
// process each.
func storm(t *testing.T, name string, root bool) {
	l := newLair(t, root)
	l.idle(name)
	p := l.start(name, sandbox.Enforce, "all")
	checkStatus(t, name, p.child.PID, root)
	got, end := p.run()
	if end.Code != 0 || end.Signal != 0 {
		log, _ := os.ReadFile(l.log.Name())
		t.Errorf("the hostile %s: %v\n%s", name, end, log)
	}
	for _, a := range attempts(name) {
		t.Run(a.Name, func(t *testing.T) {
			if a.Want != attack.SIGSYS {
				if got[a.Name] != a.Want {
					t.Errorf("%q, want %s", got[a.Name], a.Want)
				}
				return
			}
			x := *l
			x.t = t
			got, end := x.start(name, sandbox.Enforce, a.Name).run()
			if end.Signal != unix.SIGSYS {
				t.Errorf("result %v, %v; want it killed by SIGSYS", got, end)
			}
		})
	}
	l.checkUnharmed()
}

// checkUnharmed looks at what lies outside the root, and at the log.
func (l *lair) checkUnharmed() {
	for _, f := range []string{"secret", "writable", "victim"} {
		path := filepath.Join(l.outside(), f)
		if b, err := os.ReadFile(path); err != nil || string(b) != "content of "+path {
			l.t.Errorf("%s: %q, %v", path, b, err)
		}
	}
	if entries, err := os.ReadDir(l.outside()); err != nil || len(entries) != 3 {
		l.t.Errorf("outside holds %v, %v", entries, err)
	}
}

// TestAttemptsAreReal runs the same attempts with the sandbox off: what the
// walls stop must be what would have worked.
func TestAttemptsAreReal(t *testing.T) {
	needRoot(t)
	for _, name := range []string{"session", "files"} {
		l := newLair(t, true)
		l.idle(name)
		got, end := l.start(name, sandbox.Off, "all").run()
		if end.Code != 0 || end.Signal != 0 {
			t.Errorf("hostile %s without sandbox: %v", name, end)
		}
		for _, a := range attempts(name) {
			if a.Off != "" && got[a.Name] != a.Off {
				t.Errorf("%s: %s without sandbox: %q, want %s", name, a.Name, got[a.Name], a.Off)
			}
		}
	}
}

// TestLogModeRefusesNothing: mode "log" shows an administrator what would be
// refused, and refuses nothing.
func TestLogModeRefusesNothing(t *testing.T) {
	needRoot(t)
	for name, tries := range map[string][]string{
		"session": {"openat", "umask", "socket", "map executable memory"},
		"files":   {"read through ..", "openat", "socket"},
	} {
		l := newLair(t, true)
		for _, what := range tries {
			if got, end := l.start(name, sandbox.Log, what).run(); got[what] != attack.OK || end.Signal != 0 {
				t.Errorf("%s: %s in mode log: %v, %v", name, what, got, end)
			}
		}
	}
}

// checkStatus reads every thread's status of a worker in its sandbox.
func checkStatus(t *testing.T, name string, pid int, root bool) {
	t.Helper()
	want := map[string]string{
		"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000", "CapAmb": "0000000000000000",
		"NoNewPrivs": "1", "Seccomp": "2",
	}
	uid, gid, groups := unix.Getuid(), unix.Getgid(), ""
	if root {
		want["CapBnd"] = "0000000000000000"
		uid, gid = workerUID, workerGID
		if name == "files" {
			uid, gid, groups = userUID, userGID, fmt.Sprint(extraGroup)
		}
		want["Groups"] = groups
	}
	want["Uid"] = strings.TrimSpace(strings.Repeat(fmt.Sprint(uid)+" ", 4))
	want["Gid"] = strings.TrimSpace(strings.Repeat(fmt.Sprint(gid)+" ", 4))
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("threads of %d: %v, %v", pid, tasks, err)
	}
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err != nil {
			t.Error(err)
			continue
		}
		for line := range strings.Lines(string(b)) {
			key, value, _ := strings.Cut(line, ":")
			value = strings.Join(strings.Fields(value), " ")
			if w, ok := want[key]; ok && w != value {
				t.Errorf("%s: %s is %q, want %q", task, key, value, w)
			}
		}
	}
	if root && name == "session" {
		if jail, err := os.Readlink(fmt.Sprintf("/proc/%d/root", pid)); err != nil || filepath.Base(jail) != "empty" {
			t.Errorf("root directory is %q, %v", jail, err)
		}
		links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		if err != nil {
			t.Fatal(err)
		}
		var fds []string
		for _, l := range links {
			fds = append(fds, filepath.Base(l))
		}
		slices.Sort(fds)
		// 0 to 2, a session's three, a probe's three
		if want := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8"}; !slices.Equal(fds, want) {
			t.Errorf("descriptors %v, want %v", fds, want)
		}
	}
}

// TestWorkersAreUndumpable: even where an installation has made the program
// readable, its memory is nobody's to read.
func TestWorkersAreUndumpable(t *testing.T) {
	needRoot(t)
	for _, name := range []string{"session", "files"} {
		program := filepath.Join(programs, name)
		must(t, os.Chmod(program, 0o755))
		l := newLair(t, true)
		p := l.start(name, sandbox.Enforce, "idle")
		st, err := os.Stat(fmt.Sprintf("/proc/%d/mem", p.child.PID))
		must(t, err)
		if owner := st.Sys().(*syscall.Stat_t).Uid; owner != 0 {
			t.Errorf("%s: its memory belongs to uid %d", name, owner)
		}
		p.end()
		must(t, os.Chmod(program, 0o711))
	}
}

// TestWorkersRefuseToBeStartedByHand: by the name, with the right arguments,
// with an identity that is not the one meant.
func TestWorkersRefuseToBeStartedByHand(t *testing.T) {
	for name, c := range map[string]struct {
		args, env []string
		status    int
		says      string
	}{
		"no arguments":    {nil, nil, 64, "started by sallyport"},
		"right arguments": {[]string{"enforce", "rootless"}, nil, 64, "started by sallyport"},
		"no channel":      {[]string{"enforce", "rootless"}, []string{sandbox.IdentityEnv + "=0:0:"}, 64, "started by sallyport"},
	} {
		t.Run(name, func(t *testing.T) {
			out, status := byHand(t, c.args, c.env)
			if status != c.status || !strings.Contains(out, c.says) {
				t.Errorf("status %d, %q", status, out)
			}
		})
	}
}
