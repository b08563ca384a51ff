package server

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"sallyport/internal/vfs"
)

func TestSymbolicModes(t *testing.T) {
	for _, x := range []struct {
		text string
		old  uint32
		dir  bool
		want uint32
	}{
		{"u+x", 0o644, false, 0o744},
		{"a-w", 0o666, false, 0o444},
		{"go=", 0o777, false, 0o700},
		{"u=rw,g=r,o=", 0o777, false, 0o640},
		{"ug+rw,o-rwx", 0o407, false, 0o660},
		{"+x", 0o644, false, 0o755},
		{"+w", 0o444, false, 0o644}, // umask 022
		{"=rw", 0o777, false, 0o644},
		{"a+w", 0o444, false, 0o666},
		{"a+X", 0o644, false, 0o644},
		{"a+X", 0o744, false, 0o755},
		{"a+X", 0o600, true, 0o711},
		{"g=u", 0o740, false, 0o770},
		{"o=g", 0o750, false, 0o755},
		{"u=o", 0o751, false, 0o151},
		{"u+s", 0o755, false, 0o4755},
		{"g+s", 0o755, false, 0o2755},
		{"+s", 0o755, false, 0o6755},
		{"o+s", 0o755, false, 0o755},
		{"u-s,g-s", 0o6755, false, 0o755},
		{"+t", 0o777, true, 0o1777},
		{"o+t", 0o777, true, 0o1777},
		{"u+t", 0o777, true, 0o777},
		{"o-t", 0o1777, true, 0o777},
		{"g=rx", 0o2775, true, 0o2755}, // a directory keeps it
		{"g=rx", 0o2775, false, 0o755}, // a file does not
		{"g=rxs", 0o775, true, 0o2755},
		{"u+r-w+x", 0o200, false, 0o500},
		{"u+", 0o644, false, 0o644},
		{"u=rw,u+x", 0o000, false, 0o700},
		{"ua+r", 0, false, 0o444},
	} {
		got, err := symbolicMode(x.text, unix.S_IFREG|x.old, x.dir, 0o022)
		if err != nil || got != x.want {
			t.Errorf("%q on %o: %o %v, want %o", x.text, x.old, got, err, x.want)
		}
	}
	for _, text := range []string{"", "u", "u+r,", ",u+r", "z+r", "u+z", "u+ru", "ug", "u r", "u+r, g+r", "755", "u*r"} {
		if m, err := symbolicMode(text, 0o644, false, 0); err != unix.EINVAL {
			t.Errorf("%q: %o %v", text, m, err)
		}
	}
}

// FuzzSymbolicMode: what is accepted yields permission bits and nothing else.
func FuzzSymbolicMode(f *testing.F) {
	for _, text := range []string{"u+rwx,g-s,o=t", "=", "a=rwX", "g=u", "u+s-x+t", "ugoa", ",,,"} {
		f.Add(text, uint32(0o4755), true, uint32(0o022))
	}
	f.Fuzz(func(t *testing.T, text string, old uint32, dir bool, umask uint32) {
		m, err := symbolicMode(text, old, dir, umask)
		if err == nil && m&^0o7777 != 0 || err != nil && err != unix.EINVAL {
			t.Fatalf("%o %v", m, err)
		}
		// "a=" and a copy of the letters is an absolute mode, whatever was before.
		if a, err := symbolicMode("a=,"+text, old, false, umask); err == nil {
			if b, err := symbolicMode("a=,"+text, ^old, false, umask); err != nil || a != b {
				t.Fatalf("%o and %o, %v", a, b, err)
			}
		}
	})
}

func TestSetMode(t *testing.T) {
	dir, secret := jail(t)
	write(t, dir+"/f", "")
	write(t, dir+"/target", "")
	write(t, dir+"/suid", "")
	mkdir(t, dir+"/d")
	mkdir(t, dir+"/shared")
	chmod(t, dir+"/suid", 0o6711)
	chmod(t, dir+"/shared", 0o2775)
	chmod(t, secret, 0o600)
	symlink(t, "target", dir+"/link")
	symlink(t, "../secret", dir+"/out")
	symlink(t, secret, dir+"/absolute")
	if err := unix.Mkfifo(dir+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	c := serve(t, dir, permissive(), nil)
	for _, x := range []struct {
		path     string
		mode     uint32
		symbolic string
		want     any
		file     string
		is       uint32
	}{
		{"/f", 0o600, "", nil, "/f", 0o600},
		{"/f", 0, "u+x,g=u", nil, "/f", 0o770},
		{"/f", 0, "nonsense", unix.EINVAL, "/f", 0o770},
		{"/f", 0o1_0000, "", unix.EINVAL, "/f", 0o770},
		{"/f", unix.S_IFCHR | 0o600, "", unix.EINVAL, "/f", 0o770},
		{"/f", 0o4755, "", unix.EPERM, "/f", 0o770},
		{"/f", 0o2755, "", unix.EPERM, "/f", 0o770},
		{"/f", 0, "u+s", unix.EPERM, "/f", 0o770},
		{"/f", 0, "+s", unix.EPERM, "/f", 0o770},
		{"/suid", 0o6755, "", nil, "/suid", 0o6755}, // may stay
		{"/suid", 0o755, "", nil, "/suid", 0o755},   // and go
		{"/d", 0o2770, "", nil, "/d", 0o2770},
		{"/d", 0o1777, "", nil, "/d", 0o1777},
		{"/d", 0o4777, "", unix.EPERM, "/d", 0o1777},
		{"/shared", 0, "g-w", nil, "/shared", 0o2755},
		{"/link", 0o640, "", nil, "/target", 0o640}, // within the root a link is followed
		{"/out", 0o777, "", unix.ENOENT, "/../secret", 0o600},
		{"/absolute", 0o777, "", unix.ENOENT, "/../secret", 0o600},
		{"/pipe", 0o777, "", unix.EPERM, "/pipe", 0o600},
		{"/no", 0o777, "", unix.ENOENT, "/f", 0o770},
		{"/f/x", 0o777, "", unix.ENOTDIR, "/f", 0o770},
	} {
		want(t, x.path+" "+x.symbolic, c.SetMode(x.path, x.mode, x.symbolic), x.want)
		var st unix.Stat_t
		if err := unix.Stat(dir+x.file, &st); err != nil || st.Mode&0o7777 != x.is {
			t.Errorf("after SetMode(%s, %o, %q) %s has %o, want %o", x.path, x.mode, x.symbolic, x.file, st.Mode&0o7777, x.is)
		}
	}
}

// Old kernels change modes by another way, to the same end.
func TestSetModeOfAnOpenedFile(t *testing.T) {
	dir, _ := jail(t)
	write(t, dir+"/f", "")
	mkdir(t, dir+"/d")
	s := &Server{tree: openTree(t, dir)}
	for _, p := range []string{"/f", "/d"} {
		st, err := s.tree.stat(p, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.chmodOpened(p, &st, 0o701); err != nil {
			t.Errorf("%s: %v", p, err)
		}
		if err := s.chmodOpened(p, &st, 0o777); err != unix.EAGAIN { // not what it was
			t.Errorf("%s changed: %v", p, err)
		}
		if fi, err := os.Stat(dir + p); err != nil || fi.Mode().Perm() != 0o701 {
			t.Errorf("%s: %v %v", p, fi, err)
		}
	}
	other, err := s.tree.stat("/d", true)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.chmodOpened("/f", &other, 0o777); err != unix.EAGAIN {
		t.Errorf("another file: %v", err)
	}
}

// No sequence of changes gives a file a set-id bit.
func TestNoFileGetsASetID(t *testing.T) {
	dir, _ := jail(t)
	c := serve(t, dir, permissive(), nil)
	rapid.Check(t, func(r *rapid.T) {
		_ = os.Remove(dir + "/f")
		write(t, dir+"/f", "")
		for range rapid.IntRange(1, 6).Draw(r, "changes") {
			mode, text := rapid.Uint32Range(0, 0o7777).Draw(r, "mode"), ""
			if rapid.Bool().Draw(r, "symbolic") {
				text = rapid.StringMatching(`[ugoa]{0,2}[-+=][rwxXst]{0,3}(,[ugo]?[-+=][ugorwxst]{0,2})?`).Draw(r, "text")
			}
			if err := c.SetMode("/f", mode, text); vfs.Broken(err) && err != nil {
				r.Fatal(err)
			}
			var st unix.Stat_t
			if err := unix.Stat(dir+"/f", &st); err != nil || st.Mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
				r.Fatalf("%o after %o %q: %v", st.Mode, mode, text, err)
			}
		}
	})
}
