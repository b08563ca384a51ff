package server

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Without allow_chroot_symlinks only a link that root alone can have placed is on
// the way to a root, and none is the root.
func TestRootsByLinksOfOthersAreRefused(t *testing.T) {
	dir, _ := jail(t)
	mkdir(t, dir+"/home/al/in")
	mkdir(t, dir+"/theirs/real")
	symlink(t, dir+"/home", dir+"/absolute")
	symlink(t, "home", dir+"/relative")
	symlink(t, "home/../absolute/al", dir+"/winding")
	symlink(t, "loop", dir+"/loop")
	symlink(t, "real", dir+"/theirs/placed") // root's, where somebody else may write
	write(t, dir+"/file", "")
	if os.Getuid() == 0 {
		symlink(t, "home", dir+"/given")
		for _, p := range []string{dir + "/given", dir + "/theirs"} {
			if err := os.Lchown(p, 12345, 12345); err != nil {
				t.Fatal(err)
			}
		}
	}
	open := func(root string) (string, error) {
		p, err := Start{Root: root, Home: dir + "/home/al"}.Enter()
		if err != nil {
			return "", err
		}
		unix.Close(p.Root)
		return p.Home, nil
	}
	for _, root := range []string{dir + "/home/al", dir + "//home/./al/", dir + "/theirs/../home/al"} {
		if home, err := open(root); err != nil || home != "/" {
			t.Errorf("%s: %q %v", root, home, err)
		}
	}
	if home, err := open("/"); err != nil || home != dir+"/home/al" {
		t.Errorf("/: %q %v", home, err)
	}
	for root, home := range map[string]string{
		dir + "/absolute/al": "/", dir + "/relative/al": "/", dir + "/absolute/../relative/al": "/", dir + "/winding/in": "/", dir + "/relative/..": "/home/al",
	} {
		got, err := open(root)
		if os.Getuid() == 0 && (err != nil || got != home) || os.Getuid() != 0 && err == nil {
			t.Errorf("%s: %q %v", root, got, err)
		}
	}
	bad := map[string]string{
		dir + "/no": "no such file", dir + "/file": "not a directory", dir + "/file/x": "not a directory", "relative": "not an absolute path", "": "not an absolute path",
		"/proc/self/root": "", "/proc/self/fd": "kernel",
	}
	if os.Getuid() == 0 {
		bad[dir+"/given/al"], bad[dir+"/given"], bad[dir+"/theirs/placed"] = "symbolic link", "symbolic link", "symbolic link"
		bad[dir+"/loop/x"] = "too many levels"
		for _, p := range []string{"/relative", "/relative/", "/relative/./", "/absolute/../relative", "/winding", "/loop"} {
			bad[dir+p] = "symbolic link"
		}
	}
	for root, why := range bad {
		if _, err := open(root); err == nil && why != "" || err != nil && !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", root, err)
		}
	}
	// The administrator may allow them.
	if os.Getuid() == 0 {
		p, err := Start{Root: dir + "/given/al", Home: dir + "/home/al", Links: true}.Enter()
		if err != nil || p.Home != "/" {
			t.Errorf("allowed: %+v %v", p, err)
		}
		unix.Close(p.Root)
	}
}

func TestStartDirectory(t *testing.T) {
	dir, secret := jail(t)
	mkdir(t, dir+"/home/al/in/deep")
	mkdir(t, dir+"/home/al/closed")
	write(t, dir+"/home/al/file", "")
	symlink(t, "in", dir+"/home/al/link")
	symlink(t, strings.TrimSuffix(secret, "secret"), dir+"/home/al/out")
	chmod(t, dir+"/home/al/closed", 0)
	for _, x := range []struct {
		root, chdir, home, note string
	}{
		{dir + "/home/al", "in", "/in", ""},
		{dir + "/home/al", "/in/deep", "/in/deep", ""},
		{dir + "/home/al", "../../in", "/in", ""},
		{dir + "/home/al", "link", "/link", ""},
		{dir + "/home/al", "file", "/", "not a directory"},
		{dir + "/home/al", "no", "/", "no such file"},
		{dir + "/home/al", "out", "/", "no such file"},
		{dir + "/home/al", strings.Repeat("n", 5000), "/", "too long"},
		{dir + "/home/al", "a\x00b", "/", "start directory"},
		{dir + "/home", "in", "/al/in", ""},
		{dir + "/home", "/al/in", "/al/in", ""},
		{dir + "/home", "no", "/al", "no such file"},
		{"/", "in", dir + "/home/al/in", ""},
		{"/", "/usr", "/usr", ""},
		{"/", "/proc", dir + "/home/al", "permission denied"},
	} {
		p, err := Start{Root: x.root, Home: dir + "/home/al", Chdir: x.chdir}.Enter()
		if err != nil {
			t.Errorf("%s %.20q: %v", x.root, x.chdir, err)
			continue
		}
		unix.Close(p.Root)
		if p.Home != x.home || !strings.Contains(p.Note, x.note) || (p.Note == "") != (x.note == "") {
			t.Errorf("%s %.20q: %q, note %.300q", x.root, x.chdir, p.Home, p.Note)
		}
	}
	// A start directory makes up for a home that is nowhere.
	p, err := Start{Root: dir + "/home/al", Home: "/no", Chdir: "in"}.Enter()
	if err != nil || p.Home != "/in" || p.Note != "" {
		t.Errorf("%+v %v", p, err)
	}
	unix.Close(p.Root)
}
