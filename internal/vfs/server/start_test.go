package server

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEnter(t *testing.T) {
	dir, _ := jail(t)
	mkdir(t, dir+"/home/al/sub")
	mkdir(t, dir+"/home/alice")
	write(t, dir+"/file", "")
	symlink(t, dir+"/home", dir+"/h")
	symlink(t, "alice", dir+"/home/link")
	for _, x := range []struct {
		root, home, want, note string
	}{
		{dir + "/home/al", dir + "/home/al", "/", ""},
		{dir + "/home/al", dir + "/home/al/sub", "/sub", ""},
		{dir + "/home/al", dir + "/home/alice", "/", "outside of the root"}, // not "/ice"
		{dir + "/home", dir + "/home/alice", "/alice", ""},
		{dir + "/h", dir + "/home/alice", "/alice", ""}, // the root is reached by a link
		{dir + "/h/", dir + "/h/link/", "/alice", ""},   // and the home
		{dir + "/home/../home/.", dir + "/home/al", "/al", ""},
		{dir + "/home", dir + "/home/no", "/", "no such file"},
		{dir + "/home", dir + "/file", "/", "not a directory"},
		{dir + "/home", "", "/", "not an absolute path"},
		{dir + "/home", "relative", "/", "not an absolute path"},
		{dir + "/home", "/", "/", "outside of the root"},
		{"/", dir + "/home", dir + "/home", ""},
		{"/", dir + "/h", dir + "/home", ""},
		{"/", "/", "/", ""},
	} {
		p, err := Start{Root: x.root, Home: x.home, Links: true}.Enter()
		if err != nil {
			t.Errorf("root %s: %v", x.root, err)
			continue
		}
		unix.Close(p.Root)
		if p.Home != x.want || !strings.Contains(p.Note, x.note) || (p.Note == "") != (x.note == "") {
			t.Errorf("root %s home %s: %q, note %q", x.root, x.home, p.Home, p.Note)
		}
	}
	for root, why := range map[string]string{
		dir + "/no": "no such file", dir + "/file": "not a directory", "relative": "not an absolute path", "": "not an absolute path",
		"/proc/self": "interface of the kernel", "/sys": "interface of the kernel", dir + "/file/x": "not a directory",
	} {
		p, err := Start{Root: root, Home: "/", Links: true}.Enter()
		if err == nil || !strings.Contains(err.Error(), why) || p.Root != -1 {
			t.Errorf("root %q: %v", root, err)
		}
	}
	// Whoever is not confined needs a place to start in.
	for home, chdir := range map[string]string{dir + "/no": "", dir + "/file": "", "": "", "relative": dir + "/no"} {
		p, err := Start{Root: "/", Home: home, Chdir: chdir}.Enter()
		if err == nil || !strings.Contains(err.Error(), "home ") || p.Root != -1 {
			t.Errorf("root / and home %q: %v", home, err)
		}
	}
	if p, err := (Start{Root: "/", Home: dir + "/no", Chdir: dir + "/home"}).Enter(); err != nil || p.Home != dir+"/home" {
		t.Errorf("a start directory in place of the home: %q, %v", p.Home, err)
	} else {
		unix.Close(p.Root)
	}
	if wd, err := os.Getwd(); err != nil || wd != "/" {
		t.Errorf("working directory %q %v", wd, err)
	}
}
