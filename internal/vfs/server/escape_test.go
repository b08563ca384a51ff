package server

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/internal/vfs"
	"sallyport/ipc"
)

// Whatever a path or a link says, nothing outside of the root is reached.
func TestNothingLeavesTheRoot(t *testing.T) {
	dir, secret := jail(t)
	mkdir(t, dir+"/d")
	symlink(t, secret, dir+"/absolute")
	symlink(t, "../secret", dir+"/relative")
	symlink(t, "../../../../../../../../../"+secret, dir+"/d/deep")
	symlink(t, "..", dir+"/up")
	symlink(t, "/", dir+"/rootlink")
	symlink(t, "/proc/self/root"+secret, dir+"/magic")
	symlink(t, "/proc/self/cwd", dir+"/cwd")
	symlink(t, "../jail/../secret", dir+"/around")
	c := serve(t, dir, permissive(), nil)
	for _, p := range []string{
		"/absolute", "/relative", "/d/deep", "/up/secret", "/../secret", "/rootlink/../secret", "/magic", "/cwd", "/around", secret, "/up/up/up/secret",
	} {
		if o, err := c.OpenRead(p, 0); err == nil {
			t.Errorf("RETR %s: %q", p, take(t, o))
		}
		if _, err := c.Stat(p, true); err == nil {
			t.Errorf("SIZE %s was answered", p)
		}
		if o, err := c.OpenWrite(p, ipc.WriteAppend, 0); err == nil { // "/secret" within the root
			unix.Close(o.FD)
			if !o.Created {
				t.Errorf("APPE %s found a file", p)
			}
			want(t, "remove "+p, c.Remove(p), nil)
		}
	}
	for _, p := range []string{"/up", "/rootlink", "/up/up/rootlink/up"} {
		got := nlst(t, c, p, "", "")
		for _, n := range got {
			if n == "secret" || n == "jail" {
				t.Errorf("LIST %s shows %q", p, got)
			}
		}
	}
	want(t, "mkdir above", c.Mkdir("/up/../made"), nil)
	if _, err := os.Stat(dir + "/made"); err != nil {
		t.Error(err)
	}
	for _, p := range []string{"/absolute", "/relative", "/d/deep"} {
		want(t, "rename "+p, c.Rename(p, p+"2"), nil)
		want(t, "remove "+p, c.Remove(p+"2"), nil)
	}
	if content(t, secret) != "secret" {
		t.Error("the secret was changed")
	}
}

// With the root "/" the kernel's own file systems are refused by their type,
// wherever a link to them is.
func TestKernelFileSystemsAreRefused(t *testing.T) {
	dir, _ := jail(t)
	symlink(t, "/proc/self", dir+"/me")
	symlink(t, "/sys", dir+"/sys")
	c := serve(t, "/", permissive(), nil)
	for _, p := range []string{"/proc", "/proc/self", "/proc/self/root", "/proc/self/root/etc", "/proc/version", "/sys", "/sys/kernel", dir + "/me", dir + "/me/status", dir + "/sys"} {
		if _, err := c.ChangeDir(p); err == nil {
			t.Errorf("CWD %s", p)
		}
		if _, err := c.OpenRead(p, 0); err == nil {
			t.Errorf("RETR %s", p)
		}
		if _, err := c.List(ipc.List{Path: p, Form: ipc.FormMLSD}); err == nil {
			t.Errorf("MLSD %s", p)
		}
		if _, err := c.OpenWrite(p+"/x", ipc.WriteStore, 0); err == nil {
			t.Errorf("STOR %s/x", p)
		}
	}
	_, err := c.ChangeDir("/proc")
	want(t, "/proc", err, unix.EACCES)
	// and other mounts are not taken for them
	_, err = c.ChangeDir(dir)
	want(t, dir, err, nil)
	_, err = c.ChangeDir("/dev")
	want(t, "/dev", err, nil)
	_, err = c.ChangeDir("/proc")
	want(t, "/proc again", err, unix.EACCES)
	if got := nlst(t, c, "/", "", ""); len(got) == 0 {
		t.Error("the root is empty")
	}
	if _, err := (Start{Root: "/proc", Home: "/", Links: true}).Enter(); err == nil {
		t.Error("/proc as root")
	}
}

// Somebody swaps a directory and a link to the outside all the time. Whatever
// an operation finds, it is inside.
func TestRacingLinks(t *testing.T) {
	dir, secret := jail(t)
	outside := strings.TrimSuffix(secret, "secret")
	mkdir(t, dir+"/a")
	mkdir(t, dir+"/b/c")
	write(t, dir+"/b/secret", "inside")
	write(t, dir+"/b/c/secret", "inside")
	mkdir(t, outside+"/out")
	symlink(t, "../..", dir+"/l1") // both lead out, were they followed
	symlink(t, outside, dir+"/l2")
	c := serve(t, dir, permissive(), nil)
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			_ = unix.Renameat2(root, "b", root, []string{"l1", "l2", "a"}[i%3], unix.RENAME_EXCHANGE)
		}
	})
	deadline, late := time.Now().Add(time.Second), time.Now().Add(30*time.Second)
	seen := 0
	for i := 0; time.Now().Before(deadline) || seen == 0 && time.Now().Before(late); i++ {
		p := []string{"/b/secret", "/l1/secret", "/a/c/secret", "/b/c/../secret", "/l2/c/secret"}[i%5]
		if o, err := c.OpenRead(p, 0); err == nil {
			seen++
			if got := take(t, o); got != "inside" {
				t.Fatalf("RETR %s: %q", p, got)
			}
		}
		if o, err := c.OpenWrite("/b/new", ipc.WriteStore, 0); err == nil {
			unix.Close(o.FD)
		}
		_ = c.Mkdir("/l1/made")
		_ = c.Rename("/b/new", "/l2/moved")
		_ = c.Remove("/a/secret2")
		_ = c.Rmdir("/b/out")
		if l, err := c.List(ipc.List{Path: "/b", Form: ipc.FormMLSD, Facts: ipc.AllFacts}); err == nil {
			b, err := l.Next()
			if err == nil && (strings.Contains(string(b), " jail\r\n") || strings.Contains(string(b), " out\r\n")) {
				t.Fatalf("MLSD shows %q", b)
			}
		}
	}
	close(stop)
	wg.Wait()
	if seen == 0 {
		t.Error("no file was ever there: the race proves nothing")
	}
	l, err := os.ReadDir(outside)
	if err != nil || len(l) != 3 || content(t, secret) != "secret" {
		t.Errorf("outside: %v %v", l, err)
	}
}

// What a check resolves is what an open resolves, for every form of a path.
func TestCheckAndOpenResolveAlike(t *testing.T) {
	dir, _ := jail(t)
	mkdir(t, dir+"/a/b")
	write(t, dir+"/a/f", "1")
	write(t, dir+"/a/b/f", "22")
	write(t, dir+"/f", "333")
	symlink(t, "/a/b", dir+"/l")
	symlink(t, "../..", dir+"/a/b/up")
	symlink(t, "l/up/a", dir+"/m")
	c := serve(t, dir, permissive(), nil)
	words := []string{"a", "b", "l", "m", "up", "f", "..", ".", ""}
	opened := 0
	for i := range len(words) * len(words) * len(words) {
		p := "/" + words[i%9] + "/" + words[i/9%9] + "/" + words[i/81]
		st, serr := c.Stat(p, true)
		o, oerr := c.OpenRead(p, 0)
		if serr != nil {
			if oerr == nil {
				t.Errorf("%s: opened, but %v", p, serr)
			}
			continue
		}
		if oerr != nil {
			want(t, p, oerr, refusal(ipc.DeniedNotRegular))
			continue
		}
		opened++
		var now unix.Stat_t
		if err := unix.Fstat(o.FD, &now); err != nil || now.Ino != st.Inode || now.Dev != st.Device {
			t.Errorf("%s: %d and %d", p, st.Inode, now.Ino)
		}
		unix.Close(o.FD)
		// and so does what has been cleaned before
		clean, err := vfs.Clean("/", p)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := c.Stat(clean, true); err != nil || again.Inode != st.Inode {
			t.Errorf("%s: cleaned it is another file", p)
		}
	}
	if opened < 10 {
		t.Errorf("%d files opened", opened)
	}
}

// Names of every byte and of every length go in and come out.
func TestEveryByteInNames(t *testing.T) {
	dir, _ := jail(t)
	c := serve(t, dir, permissive(), nil)
	var all []string
	for b := 1; b < 256; b++ {
		if b == '/' {
			continue
		}
		all = append(all, "x"+string([]byte{byte(b)})+"y", string([]byte{byte(b), byte(b), byte(b)}))
	}
	all = append(all, strings.Repeat("n", 255), "-la", "*", "[x]", "a\"b", " lead", "trail ", "a\r\n226 forged", "\xff\xfe", "ü€")
	for _, name := range all {
		if name == "..." || strings.Trim(name, "/") != name {
			continue
		}
		o, err := c.OpenWrite("/"+name, ipc.WriteStore, 0)
		if err != nil {
			t.Fatalf("STOR %q: %v", name, err)
		}
		if _, err := unix.Write(o.FD, []byte("x")); err != nil {
			t.Fatal(err)
		}
		unix.Close(o.FD)
		if o, err = c.OpenRead("/"+name, 0); err != nil || take(t, o) != "x" {
			t.Fatalf("RETR %q: %v", name, err)
		}
	}
	shownAs := func(name string, eyes bool) string { return string(appendName(nil, name, eyes)) }
	for form, prefix := range map[uint8]int{ipc.FormNames: 0, ipc.FormMLSD: 1, ipc.FormList: 0} {
		got, err := lines(t, c, ipc.List{Path: "/", Form: form, Options: "a"})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, l := range got {
			if form == ipc.FormList {
				l = l[strings.Index(l, ":")+4:]
			}
			seen[l[prefix:]] = true
		}
		for _, name := range all {
			if name != "..." && !seen[shownAs(name, form == ipc.FormList)] {
				t.Errorf("form %d does not show %q", form, name)
			}
		}
	}
	for _, name := range all {
		if name != "..." {
			want(t, fmt.Sprintf("DELE %q", name), c.Remove("/"+name), nil)
		}
	}
}

// A path of 4096 bytes is walked; one byte more is too long.
func TestDeepPaths(t *testing.T) {
	dir, _ := jail(t)
	c := serve(t, dir, permissive(), nil)
	p := ""
	for len(p)+256 <= vfs.MaxPath-2 {
		p += "/" + strings.Repeat("d", 250)
		if err := c.Mkdir(p); err != nil {
			t.Fatalf("%d bytes: %v", len(p), err)
		}
	}
	p += "/" + strings.Repeat("f", vfs.MaxPath-len(p)-1)
	o, err := c.OpenWrite(p, ipc.WriteStore, 0)
	if err != nil {
		t.Fatalf("%d bytes: %v", len(p), err)
	}
	unix.Close(o.FD)
	if _, err := c.Stat(p, false); err != nil {
		t.Error(err)
	}
	parent, _ := vfs.Split(p)
	if got := nlst(t, c, parent, parent, ""); len(got) != 1 || got[0] != p {
		t.Errorf("%d lines", len(got))
	}
	l, err := lines(t, c, ipc.List{Path: "/", Options: "R"})
	if err != nil || len(l) < 30 {
		t.Errorf("-R: %d lines, %v", len(l), err)
	}
	if p, _ := vfs.Split(parent); true {
		_, err = c.ChangeDir(p)
		want(t, "CWD", err, nil)
	}
	if err := c.Mkdir("/short"); err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("f", vfs.MaxPath-len(parent)-1)
	want(t, "rename up", c.Rename(p, "/short/f"), nil)
	want(t, "and down", c.Rename("/short/f", parent+"/"+name), nil)
}

// The same racer against what changes facts, makes links and trees, copies and
// settles uploads: whatever they find under a name, it is inside.
func TestRacingLinksUnderChanges(t *testing.T) {
	dir, secret := jail(t)
	outside := strings.TrimSuffix(secret, "/secret")
	mkdir(t, outside+"/out/d")
	write(t, outside+"/out/f", "outside")
	mkdir(t, dir+"/b/d")
	symlink(t, "../out", dir+"/l1")
	symlink(t, outside+"/out", dir+"/l2")
	symlink(t, "../../out/f", dir+"/b/link")
	chmod(t, outside+"/out/f", 0o600)
	before := factsOf(t, outside+"/out/f")
	r := permissive()
	r.HiddenStores = policy.HiddenStores{Engine: true, Prefix: ".in.", Suffix: "."}
	c := serveWith(t, dir, r, func(s *Server) { s.ids.groups = append(s.ids.groups, 7000) })
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			_ = unix.Renameat2(root, "b", root, []string{"l1", "l2"}[i%2], unix.RENAME_EXCHANGE)
			_ = unix.Renameat2(root, "b/d", root, "b/link", unix.RENAME_EXCHANGE)
			_ = unix.Renameat2(root, "l1/d", root, "l1/link", unix.RENAME_EXCHANGE)
		}
	})
	deadline, late := time.Now().Add(time.Second), time.Now().Add(30*time.Second)
	done := map[string]int{}
	count := func(what string, err error) {
		if err == nil {
			done[what]++
		}
	}
	needed := []string{"finish", "chmod", "utime", "link", "tree", "copy", "rmtree"}
	never := func(what string) bool { return done[what] == 0 }
	for i := 0; time.Now().Before(deadline) || slices.ContainsFunc(needed, never) && time.Now().Before(late); i++ {
		top := []string{"/b", "/l1", "/l2"}[i%3]
		if o, err := c.OpenWrite(top+"/f", ipc.WriteStore, 0); err == nil {
			if _, err := unix.Write(o.FD, []byte("inside")); err != nil {
				t.Fatal(err)
			}
			unix.Close(o.FD)
			count("finish", c.Finish(top+"/f", o.Upload, i%7 != 0))
		}
		count("chmod", c.SetMode(top+"/f", 0o777, ""))
		count("chmod", c.SetMode(top+"/link", 0o777, ""))
		count("chgrp", c.SetGroup(top+"/f", "7000"))
		count("utime", c.SetModified(top+"/f", 1))
		count("link", c.Symlink("f", top+"/s"))
		count("tree", c.MakeTree(top+"/x/y"))
		count("copy", c.Copy(top+"/f", top+"/copy"))
		count("rmtree", c.RemoveTree(top+"/x"))
		count("rmtree", c.RemoveTree(top+"/link"))
		_ = c.RemoveTree(top + "/d")
		_ = c.Remove(top + "/s")
		_ = c.Mkdir(top + "/d")
	}
	close(stop)
	wg.Wait()
	for _, what := range needed {
		if never(what) {
			t.Errorf("%s never succeeded: the race proves nothing", what)
		}
	}
	if got := listDir(t, outside+"/out"); got != "d f" || content(t, outside+"/out/f") != "outside" {
		t.Errorf("outside: %q, %q", got, content(t, outside+"/out/f"))
	}
	if after := factsOf(t, outside+"/out/f"); after != before {
		t.Errorf("outside: %+v, was %+v", after, before)
	}
}

// factsOf is what may be changed of a file without opening it.
func factsOf(t *testing.T, path string) [4]int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return [4]int64{int64(st.Mode), int64(st.Uid), int64(st.Gid), st.Mtim.Sec}
}
