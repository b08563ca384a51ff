package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestCreateHome: a user without a home has one after the login, with what the
// skeleton holds; one that cannot be made is a refused login and a line in the
// log; one that exists is not touched.
func TestCreateHome(t *testing.T) {
	modes(t, func(t *testing.T, rootless bool) {
		h := prepare(t, rootless, "")
		skel := filepath.Join(h.dir, "skel")
		must(t, os.Mkdir(skel, 0o755))
		must(t, os.WriteFile(filepath.Join(skel, "welcome"), []byte("hello\n"), 0o640))
		conf, err := os.ReadFile(h.conf())
		must(t, err)
		conf = fmt.Appendf(conf, "create_home {\n  mode = \"0750\"\n  skeleton = %q\n}\n", skel)
		must(t, os.WriteFile(h.conf(), conf, 0o644))
		if rootless && os.Geteuid() == 0 {
			must(t, os.Chown(skel, 0, 0))
			must(t, os.Chown(filepath.Join(skel, "welcome"), nobody, nobody))
		}
		var was syscall.Stat_t
		must(t, syscall.Stat(h.home, &was))
		must(t, os.Remove(h.home))
		if rootless { // whatever ids the account has, the files are the daemon's
			users, err := os.ReadFile(filepath.Join(h.dir, "users"))
			must(t, err)
			other := strings.Replace(string(users), fmt.Sprintf(":%d:%d:", was.Uid, was.Gid), ":48123:48124:", 1)
			must(t, os.WriteFile(filepath.Join(h.dir, "users"), []byte(other), 0o600))
		}
		h.start()

		must(t, os.Chmod(h.dir, 0o777)) // anybody could put something there
		w := h.dial()
		w.reply("220")
		w.do("331", "USER ann")
		w.do("530", "PASS open sesame")
		h.waitLog("may be changed by everybody")
		if _, err := os.Stat(h.home); err == nil {
			t.Errorf("home: %v", err)
		}
		must(t, os.Chmod(h.dir, 0o755))

		for range 2 {
			w := h.dial().login()
			w.do("213", "SIZE welcome")
			w.do("257", "MKD sub")
			w.do("250", "RMD sub")
			w.do("221", "QUIT")
		}
		var st syscall.Stat_t
		must(t, syscall.Stat(h.home, &st))
		if st.Uid != was.Uid || st.Gid != was.Gid || st.Mode != syscall.S_IFDIR|0o750 {
			t.Errorf("home %o %d:%d", st.Mode, st.Uid, st.Gid)
		}
		h.stop()
		if n := strings.Count(h.log.String(), "home made"); n != 1 {
			t.Errorf("made %d times", n)
		}
	})
}

// TestOwnerDies: a login whose home nobody makes is refused, and the next one is
// tried anew.
func TestOwnerDies(t *testing.T) {
	h := prepare(t, true, "create_home {}\n")
	bin := filepath.Join(h.dir, "bin")
	must(t, os.Mkdir(bin, 0o755))
	for _, name := range []string{"sallyport", "session", "authd", "files", "netd", "owner"} {
		b, err := os.ReadFile(filepath.Join(h.bin, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(bin, name), b, 0o755))
	}
	real := filepath.Join(bin, "owner")
	must(t, os.Rename(real, real+".away"))
	must(t, os.WriteFile(real, []byte("#!/bin/sh\nexit 3\n"), 0o755))
	must(t, os.Remove(h.home))
	h.cmd.Path = filepath.Join(bin, "sallyport")
	h.start()
	refused := func(why string) {
		t.Helper()
		w := h.dial()
		w.reply("220")
		w.do("331", "USER ann")
		w.do("530", "PASS open sesame")
		h.waitLog(why)
	}
	refused("owner ended without an answer")
	must(t, os.Remove(real))
	refused("start owner")
	must(t, os.Rename(real+".away", real))
	h.dial().login().do("221", "QUIT")
	if _, err := os.Stat(h.home); err != nil {
		t.Error(err)
	}
	h.stop()
}
