package bans

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sallyport/internal/control"
	"sallyport/test/daemon"
)

// prepare writes the configuration of a daemon that tests run more than once.
func prepare(t testing.TB, ban string) (*daemon.Daemon, daemon.Options) {
	t.Helper()
	o := daemon.Options{Config: "ban {\n" + ban + "}\n"}
	return daemon.Write(t, o), o
}

// TestBansOutliveARestart, a clean one.
func TestBansOutliveARestart(t *testing.T) {
	d, o := prepare(t, rule("UnhandledCommand", "1/1m", "1h"))
	d.Run(o)
	c := from(t, d, "127.0.0.1")
	c.Send("FOO\r\n")
	c.Ended()
	ctl(t, d, "ban", "user", "alice", "--reason", "left us")
	ctl(t, d, "ban", "host", "127.0.0.2", "--for", "1s")
	ctl(t, d, "ban", "host", "127.0.0.3")
	ctl(t, d, "permit", "host", "127.0.0.3")
	d.Stop()
	st, err := os.Stat(filepath.Join(d.Dir, "state", "bans.snapshot"))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", st, err)
	}
	d.Again(o)
	refused(t, d, "127.0.0.1", "")
	from(t, d, "127.0.0.3")
	daemon.Until(t, "a ban of a second to be over", func() bool { return len(info(t, d).Bans) == 2 })
	c = from(t, d, "127.0.0.3")
	c.Expect("331", "USER alice")
	c.Expect("530", "PASS wonder land")
	if out := ctl(t, d, "ban", "info", "-v"); !strings.Contains(out, "left us") || !strings.Contains(out, "UnhandledCommand") {
		t.Errorf("%s", out)
	}
}

// TestWithoutBansNoFileIsWritten: a daemon whose engine is on nowhere touches
// neither the disk nor shared memory for it.
func TestWithoutBansNoFileIsWritten(t *testing.T) {
	d := daemon.Start(t, daemon.Options{})
	fail(from(t, d, "127.0.0.1"), "alice")
	if l, _ := filepath.Glob(filepath.Join(d.Dir, "state", "*bans*")); len(l) > 0 {
		t.Errorf("%v", l)
	}
	if l, _ := filepath.Glob("/dev/shm/sallyport.test-" + filepath.Base(d.Dir)[15:] + ".*ban*"); len(l) > 0 {
		t.Errorf("%v", l)
	}
}

// TestKilledInTheMiddle: master is killed while it takes random changes; the
// next start has every one that was acknowledged, and at most one that was not.
func TestKilledInTheMiddle(t *testing.T) {
	d, o := prepare(t, "")
	d.Run(o)
	want := map[string]bool{}
	for round := range 3 {
		var mu sync.Mutex
		var unsure map[string]bool
		said := make(chan struct{}, 4096)
		done := make(chan struct{})
		go func() {
			defer close(done)
			c := &control.Client{Socket: d.Socket}
			for {
				name := fmt.Sprintf("10.0.%d.%d", rand.IntN(2), rand.IntN(100))
				mu.Lock()
				on := want[name]
				unsure = map[string]bool{name: true}
				mu.Unlock()
				var err error
				var kept bool
				if on {
					var r control.PermitResult
					r, err = c.Permit(t.Context(), control.PermitRequest{Kind: control.BanHost, Names: []string{name}})
					kept = err == nil && r.Names[0].Lifted != 1
				} else {
					var r control.BanResult
					r, err = c.Ban(t.Context(), control.BanRequest{Kind: control.BanHost, Names: []string{name}})
					kept = err == nil && r.Names[0].Error != ""
				}
				if err != nil {
					return
				}
				if kept {
					t.Errorf("%s, banned %v: not changed", name, on)
				}
				mu.Lock()
				want[name] = !on
				unsure = nil
				mu.Unlock()
				said <- struct{}{}
			}
		}()
		for range 150 + rand.IntN(300) {
			<-said
		}
		d.Signal(syscall.SIGKILL)
		<-done
		d.Again(o)
		l := info(t, d)
		for name, on := range want {
			if got := l.has("host", name); got != on && !unsure[name] {
				t.Errorf("round %d: %s is banned: %v, want %v", round, name, got, on)
			}
		}
		for name := range unsure {
			want[name] = l.has("host", name)
		}
		for _, b := range l.Bans {
			if !want[b.Name] {
				t.Errorf("round %d: %s is banned, and was not", round, b.Name)
			}
		}
	}
}

// TestDamagedFiles: what cannot be read is reported and kept aside, what can be
// read of it holds.
func TestDamagedFiles(t *testing.T) {
	for _, x := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		says   string
		lost   string // a ban that the damage has taken; "": none
	}{
		{"the first ban of the snapshot", func(t *testing.T, dir string) { flip(t, dir+"/bans.snapshot", 1) }, "line 2: the checksum does not fit", "any"},
		{"a cut snapshot", func(t *testing.T, dir string) { cut(t, dir+"/bans.snapshot", 10) }, "not written to its end", ""},
		{"a snapshot without its trailer", func(t *testing.T, dir string) { cutLines(t, dir+"/bans.snapshot", 1) }, "it ends before its end", ""},
		{"a line of the journal", func(t *testing.T, dir string) { flip(t, dir+"/bans.journal", 0) }, "line 1: the checksum does not fit", "any"},
		{"a snapshot cut behind a ban", func(t *testing.T, dir string) { cut(t, dir+"/bans.snapshot", 20) }, "not written to its end", ""},
		{"a cut journal", func(t *testing.T, dir string) { cut(t, dir+"/bans.journal", 5) }, "not written to its end", "any"},
		{"rubbish in the journal", func(t *testing.T, dir string) { add(t, dir+"/bans.journal", strings.Repeat("x", 20_000)) }, "longer than any line", ""},
		{"a snapshot that others could have written", func(t *testing.T, dir string) { _ = os.Chmod(dir+"/bans.snapshot", 0o666) }, "others could have written it", "all of it"},
		{"the table", func(t *testing.T, _ string) {}, "", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			d, o := prepare(t, "")
			d.Run(o)
			ctl(t, d, "ban", "host", "127.0.0.2", "127.0.0.3")
			d.Stop() // into the snapshot
			d.Again(o)
			ctl(t, d, "ban", "host", "127.0.0.4", "127.0.0.5")
			d.Signal(syscall.SIGKILL)
			<-d.Done()
			x.damage(t, filepath.Join(d.Dir, "state"))
			shared, _ := filepath.Glob("/dev/shm/sallyport.test-" + filepath.Base(d.Dir)[15:] + ".*")
			for _, p := range shared {
				if strings.Contains(p, "ban") {
					if err := os.WriteFile(p, make([]byte, 100_000), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			d.Again(o)
			n := len(info(t, d).Bans)
			least, most := 4, 4
			switch x.lost {
			case "any":
				least, most = 3, 3
			case "all of it":
				least, most = 2, 2
			}
			if n < least || n > most {
				t.Errorf("%d bans", n)
			}
			if x.says != "" {
				daemon.Until(t, "the log to say "+x.says, func() bool { return strings.Contains(d.Log(), x.says) })
				if l, _ := filepath.Glob(filepath.Join(d.Dir, "state", "*.bad")); len(l) != 1 {
					t.Errorf("kept aside: %v", l)
				}
			}
			refused(t, d, info(t, d).Bans[0].Name, "")
			ctl(t, d, "ban", "host", "127.0.0.6")
			d.Signal(syscall.SIGKILL)
			d.Again(o)
			if got := len(info(t, d).Bans); got != n+1 {
				t.Errorf("after the damage was repaired: %d bans, want %d", got, n+1)
			}
		})
	}
}

// change rewrites a file.
func change(t *testing.T, path string, fn func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, fn(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// flip damages a byte of a line, counted from 0.
func flip(t *testing.T, path string, line int) {
	change(t, path, func(b []byte) []byte {
		at := 0
		for range line {
			at += strings.IndexByte(string(b[at:]), '\n') + 1
		}
		b[at+20] ^= 1
		return b
	})
}

func cut(t *testing.T, path string, n int) {
	change(t, path, func(b []byte) []byte { return b[:len(b)-n] })
}

func cutLines(t *testing.T, path string, n int) {
	change(t, path, func(b []byte) []byte {
		lines := strings.SplitAfter(string(b), "\n")
		return []byte(strings.Join(lines[:len(lines)-1-n], ""))
	})
}

func add(t *testing.T, path, text string) {
	change(t, path, func(b []byte) []byte { return append(b, text...) })
}

// TestAFullDisk: a ban that cannot be put on disk is in force, and said to be
// nowhere else; with room again it is written.
func TestAFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	d, o := prepare(t, "")
	state := filepath.Join(d.Dir, "state")
	if err := syscall.Mount("tmpfs", state, "tmpfs", 0, "size=256k,mode=755"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(state, syscall.MNT_DETACH) })
	d.Run(o)
	ctl(t, d, "ban", "host", "127.0.0.2")
	fill := filepath.Join(state, "fill")
	f, err := os.Create(fill)
	if err != nil {
		t.Fatal(err)
	}
	for _, err = f.Write(make([]byte, 4096)); err == nil; {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	refusedBy := ""
	for i := 10; refusedBy == "" && i < 250; i++ {
		name := fmt.Sprintf("127.0.2.%d", i)
		if out, err := d.Ctl("ban", "host", name); err != nil {
			if !strings.Contains(out, "in force, but not on disk") {
				t.Fatalf("%s", out)
			}
			refusedBy = name
		}
	}
	if refusedBy == "" {
		t.Fatal("every ban was acknowledged")
	}
	refused(t, d, refusedBy, "")
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	ctl(t, d, "reload") // which writes the list
	daemon.Until(t, "the list to be written", func() bool {
		b, _ := os.ReadFile(filepath.Join(state, "bans.snapshot"))
		return strings.Contains(string(b), `"`+refusedBy+`"`)
	})
	d.Signal(syscall.SIGKILL)
	d.Again(o)
	refused(t, d, refusedBy, "")
	refused(t, d, "127.0.0.2", "")
}
