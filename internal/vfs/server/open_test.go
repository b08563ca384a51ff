package server

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

func TestOpenRead(t *testing.T) {
	dir, _ := jail(t)
	write(t, dir+"/f", "hello")
	mkdir(t, dir+"/d")
	symlink(t, "/f", dir+"/link")
	symlink(t, "nowhere", dir+"/dangling")
	if err := unix.Mkfifo(dir+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	c := serve(t, dir, strict(), nil)
	for _, x := range []struct {
		path   string
		offset int64
		want   any
	}{
		{"/f", 0, nil},
		{"f", 0, nil},
		{"/d/../f", 0, nil},
		{"/link", 0, nil},
		{"/f", 5, nil},
		{"/f", 2, nil},
		{"/f", 6, refusal(ipc.DeniedOffset)},
		{"/f", -1, refusal(ipc.DeniedOffset)},
		{"/d", 0, refusal(ipc.DeniedNotRegular)},
		{"/", 0, refusal(ipc.DeniedNotRegular)},
		{"/fifo", 0, refusal(ipc.DeniedNotRegular)},
		{"/no", 0, unix.ENOENT},
		{"/dangling", 0, unix.ENOENT},
		{"/f/x", 0, unix.ENOTDIR},
		{"/a\x00b", 0, unix.EINVAL},
		{"/" + strings.Repeat("n", 256), 0, unix.ENAMETOOLONG},
	} {
		o, err := c.OpenRead(x.path, x.offset)
		want(t, x.path, err, x.want)
		if err != nil {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(o.FD), unix.F_GETFL, 0); err != nil || flags&unix.O_ACCMODE != unix.O_RDONLY {
			t.Errorf("%s: flags %#x %v", x.path, flags, err)
		}
		if o.Size != 5 || take(t, o) != "hello" {
			t.Errorf("%s: %+v", x.path, o)
		}
	}
	r := permissive()
	r.AllowRetrieveRestart = false
	c = serve(t, dir, r, nil)
	_, err := c.OpenRead("/f", 1)
	want(t, "REST", err, refusal(ipc.DeniedRestart))
}

func TestOpenWriteFollowsTheRules(t *testing.T) {
	for _, x := range []struct {
		name           string
		overwrite, app bool
		path           string
		how            uint8
		offset         int64
		want           any
		created        bool
		size           int64
	}{
		{"new", false, false, "/new", ipc.WriteStore, 0, nil, true, 0},
		{"exists", false, false, "/f", ipc.WriteStore, 0, refusal(ipc.DeniedOverwrite), false, 0},
		{"overwrite", true, false, "/f", ipc.WriteStore, 0, nil, false, 5},
		{"offset of STOR is not looked at", true, false, "/f", ipc.WriteStore, 99, nil, false, 5},
		{"resume needs both 1", true, false, "/f", ipc.WriteResume, 2, refusal(ipc.DeniedAppend), false, 0},
		{"resume needs both 2", false, true, "/f", ipc.WriteResume, 2, refusal(ipc.DeniedOverwrite), false, 0},
		{"resume", true, true, "/f", ipc.WriteResume, 2, nil, false, 5},
		{"resume at the end", true, true, "/f", ipc.WriteResume, 5, nil, false, 5},
		{"resume beyond the end", true, true, "/f", ipc.WriteResume, 6, refusal(ipc.DeniedOffset), false, 0},
		{"resume at zero", true, false, "/f", ipc.WriteResume, 0, nil, false, 5},
		{"resume of nothing", true, true, "/new", ipc.WriteResume, 1, refusal(ipc.DeniedOffset), false, 0},
		{"resume at a negative offset", true, true, "/f", ipc.WriteResume, -1, refusal(ipc.DeniedOffset), false, 0},
		{"append needs restart only", false, true, "/f", ipc.WriteAppend, 0, nil, false, 5},
		{"append without", true, false, "/f", ipc.WriteAppend, 0, refusal(ipc.DeniedAppend), false, 0},
		{"append to a new file", false, false, "/new", ipc.WriteAppend, 0, nil, true, 0},
		{"append ignores the offset", false, true, "/f", ipc.WriteAppend, 77, nil, false, 5},
		{"directory", true, true, "/d", ipc.WriteStore, 0, refusal(ipc.DeniedNotRegular), false, 0},
		{"root", true, true, "/", ipc.WriteStore, 0, refusal(ipc.DeniedNotRegular), false, 0},
		{"link to a file", true, true, "/link", ipc.WriteStore, 0, refusal(ipc.DeniedNotRegular), false, 0},
		{"append to a link", true, true, "/link", ipc.WriteAppend, 0, refusal(ipc.DeniedNotRegular), false, 0},
		{"dangling link", true, true, "/dangling", ipc.WriteStore, 0, refusal(ipc.DeniedNotRegular), false, 0},
		{"fifo", true, true, "/fifo", ipc.WriteStore, 0, refusal(ipc.DeniedNotRegular), false, 0},
		{"below a link", true, true, "/dlink/new", ipc.WriteStore, 0, nil, true, 0},
		{"no parent", true, true, "/no/new", ipc.WriteStore, 0, unix.ENOENT, false, 0},
		{"below a file", true, true, "/f/new", ipc.WriteStore, 0, unix.ENOTDIR, false, 0},
		{"long name", true, true, "/" + strings.Repeat("n", 256), ipc.WriteStore, 0, unix.ENAMETOOLONG, false, 0},
		{"unknown way", true, true, "/new", 9, 0, unix.EINVAL, false, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir, _ := jail(t)
			write(t, dir+"/f", "hello")
			mkdir(t, dir+"/d")
			symlink(t, "f", dir+"/link")
			symlink(t, "d", dir+"/dlink")
			symlink(t, "nowhere", dir+"/dangling")
			if err := unix.Mkfifo(dir+"/fifo", 0o600); err != nil {
				t.Fatal(err)
			}
			r := permissive()
			r.AllowOverwrite, r.AllowStoreRestart = x.overwrite, x.app
			c := serve(t, dir, r, nil)
			o, err := c.OpenWrite(x.path, x.how, x.offset)
			want(t, x.path, err, x.want)
			if content(t, dir+"/f") != "hello" {
				t.Error("the file was changed")
			}
			if _, err := os.Lstat(dir + "/nowhere"); err == nil {
				t.Error("written through a dangling link")
			}
			if x.want != nil {
				if _, err := os.Lstat(dir + "/new"); err == nil {
					t.Error("a refused open left a file")
				}
				return
			}
			defer unix.Close(o.FD)
			if o.Created != x.created || o.Size != x.size {
				t.Errorf("%+v", o)
			}
			flags, err := unix.FcntlInt(uintptr(o.FD), unix.F_GETFL, 0)
			if err != nil || flags&unix.O_ACCMODE != unix.O_WRONLY || (flags&unix.O_APPEND != 0) != (x.how == ipc.WriteAppend) {
				t.Errorf("flags %#x %v", flags, err)
			}
		})
	}
}

func TestUniqueNames(t *testing.T) {
	dir, _ := jail(t)
	mkdir(t, dir+"/d")
	r := strict()
	c := serve(t, dir, r, nil)
	seen := map[string]bool{}
	for range 50 {
		o, err := c.OpenWrite("/d", ipc.WriteUnique, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(o.FD)
		if !regexp.MustCompile(`^ftp[A-Za-z0-9]{6}$`).MatchString(o.Name) || seen[o.Name] || !o.Created {
			t.Fatalf("%+v", o)
		}
		seen[o.Name] = true
		if _, err := os.Stat(dir + "/d/" + o.Name); err != nil {
			t.Fatal(err)
		}
	}
	r.StoreUniquePrefix = "../x" // a configuration that nobody checked
	o, err := serve(t, dir, r, nil).OpenWrite("/d", ipc.WriteUnique, 0)
	if err != nil || !strings.HasPrefix(o.Name, "ftp") {
		t.Fatalf("%+v %v", o, err)
	}
	unix.Close(o.FD)
	write(t, dir+"/f", "")
	_, err = c.OpenWrite("/f", ipc.WriteUnique, 0)
	want(t, "a file", err, unix.ENOTDIR)
	_, err = c.OpenWrite("/no", ipc.WriteUnique, 0)
	want(t, "nothing", err, unix.ENOENT)
}

func TestUmasksOfFilesAndDirectoriesDiffer(t *testing.T) {
	dir, _ := jail(t)
	r := permissive()
	r.Umask, r.DirUmask = 0o027, 0o077
	c := serve(t, dir, r, nil)
	for i, x := range []struct {
		path string
		mode os.FileMode
	}{{"f1", 0o640}, {"d1", 0o700}, {"f2", 0o640}, {"d2", 0o700}} {
		if i%2 == 0 {
			o, err := c.OpenWrite("/"+x.path, ipc.WriteStore, 0)
			if err != nil {
				t.Fatal(err)
			}
			unix.Close(o.FD)
		} else if err := c.Mkdir("/" + x.path); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(filepath.Join(dir, x.path))
		if err != nil || st.Mode().Perm() != x.mode {
			t.Errorf("%s: %v %v", x.path, st.Mode(), err)
		}
	}
	o, err := c.OpenWrite("/", ipc.WriteUnique, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(o.FD)
	if st, err := os.Stat(filepath.Join(dir, o.Name)); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("STOU: %v %v", st, err)
	}
}
