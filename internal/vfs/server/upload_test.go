package server

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"sallyport/internal/policy"
	"sallyport/internal/vfs"
	"sallyport/ipc"
)

func hiddenRules(keep bool) policy.Files {
	r := permissive()
	r.HiddenStores = policy.HiddenStores{Engine: true, Prefix: ".in.", Suffix: ".", Keep: keep}
	return r
}

// put writes to an opened upload and closes it.
func put(t testing.TB, o vfs.Opened, text string) {
	t.Helper()
	if _, err := unix.Write(o.FD, []byte(text)); err != nil {
		t.Fatal(err)
	}
	unix.Close(o.FD)
}

func store(t testing.TB, c *vfs.Client, path string, how uint8) vfs.Opened {
	t.Helper()
	o, err := c.OpenWrite(path, how, 0)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return o
}

func listDir(t testing.TB, dir string) string {
	t.Helper()
	l, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range l {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// Under the default rules there is nothing to settle: no number, no second
// descriptor, no round trip.
func TestPlainUploadsHaveNothingToSettle(t *testing.T) {
	dir, _ := jail(t)
	write(t, dir+"/old", "old")
	c := serve(t, dir, permissive(), nil)
	for path, how := range map[string]uint8{"/new": ipc.WriteStore, "/old": ipc.WriteStore, "/log": ipc.WriteAppend, "/": ipc.WriteUnique} {
		o := store(t, c, path, how)
		if o.Upload != 0 || o.Most != 0 || o.Hidden {
			t.Errorf("%s: %+v", path, o)
		}
		unix.Close(o.FD)
	}
	want(t, "a number nobody gave", c.Finish("", 7, true), unix.EINVAL)
	want(t, "number 0", c.Finish("", 0, true), unix.EINVAL)
}

func TestHiddenUploadsAppearWhole(t *testing.T) {
	dir, _ := jail(t)
	write(t, dir+"/old", "old")
	c := serve(t, dir, hiddenRules(false), nil)
	for _, x := range []struct {
		path    string
		created bool
	}{{"/new", true}, {"/old", false}} {
		before := listDir(t, dir)
		o := store(t, c, x.path, ipc.WriteStore)
		if !o.Hidden || o.Created != x.created || o.Upload == 0 || o.Size != 0 {
			t.Errorf("%s: %+v", x.path, o)
		}
		if _, err := os.Stat(dir + "/.in." + x.path[1:] + "."); err != nil {
			t.Error(err)
		}
		for _, form := range []uint8{ipc.FormMLSD, ipc.FormList, ipc.FormNames} {
			got, err := lines(t, c, ipc.List{Path: "/", Form: form, Options: "a"})
			if err != nil || strings.Contains(strings.Join(got, "\n"), ".in.") {
				t.Errorf("form %d shows %q, %v", form, got, err)
			}
		}
		_, err := lines(t, c, ipc.List{Path: "/.in*", Shown: ".in*", Form: ipc.FormNames})
		want(t, "a pattern", err, unix.ENOENT)
		if x.path == "/old" && content(t, dir+"/old") != "old" {
			t.Error("the old file changed before the new one was whole")
		}
		put(t, o, "whole")
		want(t, x.path, c.Finish(x.path, o.Upload, true), nil)
		if content(t, dir+x.path) != "whole" {
			t.Error("not there")
		}
		if got := listDir(t, dir); x.path == "/old" && got != before {
			t.Errorf("%s: %q, was %q", x.path, got, before)
		}
		want(t, "settled twice", c.Finish(x.path, o.Upload, true), unix.EINVAL)
	}
	var st unix.Stat_t
	if err := unix.Stat(dir+"/new", &st); err != nil || st.Mode != unix.S_IFREG|0o644 {
		t.Errorf("mode %o %v", st.Mode, err)
	}
}

func TestHiddenUploadsThatFailAreRemoved(t *testing.T) {
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprintf("keep %v", keep), func(t *testing.T) {
			dir, _ := jail(t)
			write(t, dir+"/old", "old")
			c := serve(t, dir, hiddenRules(keep), nil)
			for _, path := range []string{"/new", "/old"} {
				o := store(t, c, path, ipc.WriteStore)
				put(t, o, "half")
				want(t, "finish", c.Finish(path, o.Upload, false), nil)
			}
			w := "old"
			if keep {
				w = ".in.new. .in.old. old"
			}
			if got := listDir(t, dir); got != w || content(t, dir+"/old") != "old" {
				t.Errorf("%q, want %q", got, w)
			}
		})
	}
}

func TestHiddenUploadsAreRefused(t *testing.T) {
	dir, secret := jail(t)
	write(t, dir+"/old", "old")
	write(t, dir+"/.in.busy.", "")
	mkdir(t, dir+"/d")
	symlink(t, secret, dir+"/link")
	symlink(t, secret, dir+"/.in.trap.")
	for _, x := range []struct {
		path      string
		how       uint8
		offset    int64
		overwrite bool
		want      any
	}{
		{"/busy", ipc.WriteStore, 0, true, refusal(ipc.DeniedHidden)},
		{"/trap", ipc.WriteStore, 0, true, refusal(ipc.DeniedHidden)},
		{"/new", ipc.WriteResume, 1, true, refusal(ipc.DeniedHiddenRest)},
		{"/old", ipc.WriteResume, 1, true, refusal(ipc.DeniedHiddenRest)},
		{"/old", ipc.WriteResume, 1, false, refusal(ipc.DeniedOverwrite)},
		{"/old", ipc.WriteStore, 0, false, refusal(ipc.DeniedOverwrite)},
		{"/d", ipc.WriteStore, 0, true, refusal(ipc.DeniedNotRegular)},
		{"/link", ipc.WriteStore, 0, true, refusal(ipc.DeniedNotRegular)},
		{"/" + strings.Repeat("n", 251), ipc.WriteStore, 0, true, unix.ENAMETOOLONG},
		{"/" + strings.Repeat("n", 256), ipc.WriteStore, 0, true, unix.ENAMETOOLONG},
		{"/no/x", ipc.WriteStore, 0, true, unix.ENOENT},
		{"/", ipc.WriteStore, 0, true, refusal(ipc.DeniedNotRegular)},
	} {
		r := hiddenRules(false)
		r.AllowOverwrite = x.overwrite
		c := serve(t, dir, r, nil)
		_, err := c.OpenWrite(x.path, x.how, x.offset)
		want(t, fmt.Sprintf("%.20s %d", x.path, x.offset), err, x.want)
		var e *vfs.Error
		if errors.As(err, &e) && (e.Temp != "") != (x.want == refusal(ipc.DeniedHidden) || len(x.path) == 252) {
			t.Errorf("%.20s: temporary name %.20q", x.path, e.Temp)
		}
	}
	if got := listDir(t, dir); got != ".in.busy. .in.trap. d link old" || content(t, secret) != "secret" {
		t.Errorf("%q", got)
	}
	// APPE and STOU write to their own names.
	c := serve(t, dir, hiddenRules(false), nil)
	o := store(t, c, "/old", ipc.WriteAppend)
	put(t, o, "er")
	if o.Hidden || o.Upload != 0 || content(t, dir+"/old") != "older" {
		t.Errorf("%+v", o)
	}
	if o := store(t, c, "/d", ipc.WriteUnique); o.Hidden || !o.Created {
		t.Errorf("%+v", o)
	} else {
		unix.Close(o.FD)
	}
}

// The rules are asked again when a hidden upload gets its name.
func TestHiddenUploadsMeetWhatCameMeanwhile(t *testing.T) {
	for _, x := range []struct {
		name      string
		overwrite bool
		meanwhile func(dir string) error
		want      any
		left      string
	}{
		{"a file", false, func(dir string) error { return os.WriteFile(dir+"/f", []byte("theirs"), 0o644) }, refusal(ipc.DeniedOverwrite), "f"},
		{"a file that may go", true, func(dir string) error { return os.WriteFile(dir+"/f", []byte("theirs"), 0o644) }, nil, "f"},
		{"a directory", true, func(dir string) error { return os.Mkdir(dir+"/f", 0o755) }, refusal(ipc.DeniedNotRegular), "f"},
		{"a link", true, func(dir string) error { return os.Symlink("../secret", dir+"/f") }, refusal(ipc.DeniedNotRegular), "f"},
		{"the temporary file is gone", true, func(dir string) error { return os.Remove(dir + "/.in.f.") }, unix.ENOENT, ""},
		{"the temporary file is another", true, func(dir string) error {
			if err := os.Remove(dir + "/.in.f."); err != nil {
				return err
			}
			return os.WriteFile(dir+"/.in.f.", []byte("theirs"), 0o644)
		}, unix.ESTALE, ".in.f."},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir, secret := jail(t)
			r := hiddenRules(false)
			r.AllowOverwrite = x.overwrite
			c := serve(t, dir, r, nil)
			o := store(t, c, "/f", ipc.WriteStore)
			put(t, o, "ours")
			if err := x.meanwhile(dir); err != nil {
				t.Fatal(err)
			}
			want(t, "finish", c.Finish("/f", o.Upload, true), x.want)
			if got := listDir(t, dir); got != x.left || content(t, secret) != "secret" {
				t.Errorf("%q, want %q", got, x.left)
			}
			if fi, err := os.Stat(dir + "/f"); x.want != nil && err == nil && fi.Mode().IsRegular() && content(t, dir+"/f") == "ours" {
				t.Error("refused, but done")
			}
		})
	}
}

func TestHiddenNames(t *testing.T) {
	for _, x := range []struct{ prefix, suffix, temp string }{
		{".in.", ".", ".in.f."}, {"", ".part", "f.part"}, {"tmp-", "", "tmp-f"}, {".%P.", "", ".42.f"}, {".in.%P.%P", ".", ".in.42.%Pf."},
	} {
		h := newHiding(true, x.prefix, x.suffix, 42)
		if got := h.name("f"); got != x.temp || !h.sound() {
			t.Errorf("%+v: %q", x, got)
		}
		e := entry{name: h.name("f"), typ: unix.DT_REG}
		if !h.covers(&e) {
			t.Errorf("%+v does not cover %q", x, e.name)
		}
		for _, n := range []string{"f", h.name(""), ".in", "..", "x" + h.name("f"), h.name("f") + "x"} {
			if e := (entry{name: n, typ: unix.DT_REG}); x.suffix != "" && x.prefix != "" && h.covers(&e) {
				t.Errorf("%+v covers %q", x, n)
			}
		}
		if e.typ = unix.DT_DIR; h.covers(&e) {
			t.Errorf("%+v covers a directory", x)
		}
	}
	other := newHiding(true, ".%P.", "", 7)
	if e := (entry{name: ".4711.f"}); !other.covers(&e) {
		t.Error("another session's upload is not covered")
	}
	if e := (entry{name: "..f"}); other.covers(&e) {
		t.Error("no number")
	}
	for _, x := range [][2]string{{"", ""}, {"a/", ""}, {"", "/x"}, {"\x00", ""}} {
		dir, _ := jail(t)
		r := permissive()
		r.HiddenStores = policy.HiddenStores{Engine: true, Prefix: x[0], Suffix: x[1]}
		p, err := Start{Root: dir, Home: dir}.Enter()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(p.Root, r, nil); err == nil {
			t.Errorf("%q was taken", x)
		}
		unix.Close(p.Root)
	}
}

func TestAbortedUploadsAreDeleted(t *testing.T) {
	dir, _ := jail(t)
	write(t, dir+"/old", "old")
	r := permissive()
	r.DeleteAborted = true
	c := serve(t, dir, r, nil)
	for _, x := range []struct {
		path    string
		how     uint8
		offset  int64
		whole   bool
		settled bool
		stays   bool
	}{
		{"/new", ipc.WriteStore, 0, false, true, false},
		{"/kept", ipc.WriteStore, 0, true, true, true},
		{"/log", ipc.WriteAppend, 0, false, true, false}, // it was not there before
		{"/old", ipc.WriteStore, 0, false, false, true},
		{"/old", ipc.WriteAppend, 0, false, false, true},
		{"/old", ipc.WriteResume, 2, false, false, true},
	} {
		o, err := c.OpenWrite(x.path, x.how, x.offset)
		if err != nil {
			t.Fatal(err)
		}
		if (o.Upload != 0) != x.settled {
			t.Errorf("%s %d: %+v", x.path, x.how, o)
		}
		put(t, o, "x")
		if x.settled {
			want(t, x.path, c.Finish(x.path, o.Upload, x.whole), nil)
		}
		if _, err := os.Stat(dir + x.path); (err == nil) != x.stays {
			t.Errorf("%s %d: %v", x.path, x.how, err)
		}
	}
	// What somebody else has put in its place is not ours.
	o := store(t, c, "/swapped", ipc.WriteStore)
	put(t, o, "ours")
	if err := os.Remove(dir + "/swapped"); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/swapped", "theirs")
	want(t, "swapped", c.Finish("/swapped", o.Upload, false), nil)
	if content(t, dir+"/swapped") != "theirs" {
		t.Error("another's file was removed")
	}
	o = store(t, c, "/", ipc.WriteUnique)
	unix.Close(o.FD)
	want(t, "STOU", c.Finish("", o.Upload, false), nil)
	if got := listDir(t, dir); got != "kept old swapped" {
		t.Errorf("%q", got)
	}
}

// A session that lies about what it has written gains nothing by it: the file is
// looked at.
func TestSizesAreNotTheSessionsToSay(t *testing.T) {
	limited := func(r policy.Files) func(*testing.T) (string, *vfs.Client) {
		return func(t *testing.T) (string, *vfs.Client) {
			dir, _ := jail(t)
			write(t, dir+"/small", "1234")
			write(t, dir+"/large", "1234567890abcdef")
			return dir, serveWith(t, dir, r, func(s *Server) { s.Limit(10, 0) })
		}
	}
	deleting := permissive()
	deleting.DeleteAborted = true
	for name, x := range map[string]struct {
		make   func(*testing.T) (string, *vfs.Client)
		path   string
		how    uint8
		offset int64
		write  string
		want   any
		size   int // -1: gone
	}{
		"just":                 {limited(permissive()), "/f", ipc.WriteStore, 0, "1234567890", nil, 10},
		"more":                 {limited(permissive()), "/f", ipc.WriteStore, 0, "1234567890a", refusal(ipc.DeniedSize), 10},
		"more, deleted":        {limited(deleting), "/f", ipc.WriteStore, 0, "1234567890a", refusal(ipc.DeniedSize), -1},
		"more, hidden":         {limited(hiddenRules(false)), "/f", ipc.WriteStore, 0, "1234567890a", refusal(ipc.DeniedSize), -1},
		"more, replacing":      {limited(hiddenRules(false)), "/small", ipc.WriteStore, 0, "1234567890a", refusal(ipc.DeniedSize), 4},
		"appended just":        {limited(permissive()), "/small", ipc.WriteAppend, 0, "123456", nil, 10},
		"appended more":        {limited(permissive()), "/small", ipc.WriteAppend, 0, "1234567", refusal(ipc.DeniedSize), 10},
		"appended more, kept":  {limited(deleting), "/small", ipc.WriteAppend, 0, "1234567", refusal(ipc.DeniedSize), 10},
		"appended to no avail": {limited(permissive()), "/large", ipc.WriteAppend, 0, "", refusal(ipc.DeniedSize), 16},
		"resumed to no avail":  {limited(permissive()), "/large", ipc.WriteResume, 3, "", refusal(ipc.DeniedSize), 16},
		"never truncated":      {limited(permissive()), "/large", ipc.WriteStore, 0, "", nil, 16},
		"unique":               {limited(deleting), "/", ipc.WriteUnique, 0, "1234567890a", refusal(ipc.DeniedSize), -1},
	} {
		t.Run(name, func(t *testing.T) {
			dir, c := x.make(t)
			o, err := c.OpenWrite(x.path, x.how, x.offset)
			if err != nil {
				want(t, "open", err, x.want)
			} else {
				if o.Most != 10 || o.Upload == 0 {
					t.Errorf("%+v", o)
				}
				put(t, o, x.write)
				want(t, "finish", c.Finish(x.path, o.Upload, true), x.want)
			}
			fi, err := os.Stat(dir + x.path + strings.TrimPrefix(o.Name, x.path[1:]))
			if x.size < 0 && err == nil || x.size >= 0 && (err != nil || fi.Size() != int64(x.size)) {
				t.Errorf("%v %v", fi, err)
			}
		})
	}
}

// The end of a session settles what it has left, as failed.
func TestADeadSessionsUploadsHaveFailed(t *testing.T) {
	dir, _ := jail(t)
	r := hiddenRules(false)
	r.DeleteAborted = true
	p, err := Start{Root: dir, Home: dir}.Enter()
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(p.Root, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Limit(4, 0)
	write(t, dir+"/grown", "12")
	for path, text := range map[string]string{"/hidden": "x", "/log": "x", "/grown": "3456"} {
		q := &ipc.OpenWrite{Path: path}
		if path != "/hidden" {
			q.How = ipc.WriteAppend
		}
		o := s.openWrite(q)
		if o.reply.Upload == 0 {
			t.Fatalf("%+v", o.reply)
		}
		put(t, vfs.Opened{FD: o.fd}, text)
	}
	if got := listDir(t, dir); got != ".in.hidden. grown log" {
		t.Fatalf("%q", got)
	}
	s.Close()
	if got := listDir(t, dir); got != "grown" || content(t, dir+"/grown") != "1234" {
		t.Errorf("%q, %q", got, content(t, dir+"/grown"))
	}
}

func TestUploadsAreBounded(t *testing.T) {
	dir, _ := jail(t)
	c := serve(t, dir, hiddenRules(false), nil)
	var all []vfs.Opened
	for i := range maxUploads {
		all = append(all, store(t, c, fmt.Sprintf("/%d", i), ipc.WriteStore))
	}
	_, err := c.OpenWrite("/more", ipc.WriteStore, 0)
	want(t, "one more", err, unix.EMFILE)
	if _, err := os.Stat(dir + "/.in.more."); err == nil {
		t.Error("and left its file")
	}
	for _, o := range all {
		unix.Close(o.FD)
		want(t, "finish", c.Finish("", o.Upload, true), nil)
	}
	o := store(t, c, "/more", ipc.WriteStore)
	unix.Close(o.FD)
}

func TestSyncedUploads(t *testing.T) {
	dir, _ := jail(t)
	for _, r := range []policy.Files{permissive(), hiddenRules(false)} {
		r.FSync = true
		c := serve(t, dir, r, nil)
		for _, how := range []uint8{ipc.WriteStore, ipc.WriteAppend} {
			o := store(t, c, "/f", how)
			if o.Upload == 0 && (how == ipc.WriteStore || !r.HiddenStores.Engine) {
				t.Error("nothing to settle")
			}
			put(t, o, "x")
			want(t, "finish", c.Finish("/f", o.Upload, true), nil)
		}
	}
}

func TestRetrieveLimits(t *testing.T) {
	dir, _ := jail(t)
	write(t, dir+"/small", "1234")
	write(t, dir+"/large", "12345")
	mkdir(t, dir+"/d")
	r := permissive()
	r.DigestMax, r.AllowRetrieveRestart = 4, false
	c := serveWith(t, dir, r, func(s *Server) { s.Limit(0, 4) })
	read := func(path string, offset int64) error {
		o, err := c.OpenRead(path, offset)
		if err == nil {
			unix.Close(o.FD)
		}
		return err
	}
	digest := func(path string, offset int64) error {
		o, err := c.OpenDigest(path, offset)
		if err == nil {
			unix.Close(o.FD)
		}
		return err
	}
	want(t, "small", read("/small", 0), nil)
	want(t, "large", read("/large", 0), refusal(ipc.DeniedSize))
	want(t, "restart", read("/small", 1), refusal(ipc.DeniedRestart))
	want(t, "digest", digest("/small", 0), nil)
	want(t, "digest from", digest("/small", 2), nil)
	want(t, "digest behind", digest("/small", 5), refusal(ipc.DeniedOffset))
	want(t, "large digest", digest("/large", 0), refusal(ipc.DeniedDigest))
	want(t, "digest of a directory", digest("/d", 0), refusal(ipc.DeniedDigest))
	want(t, "digest of nothing", digest("/no", 0), unix.ENOENT)
}

// Uploads of any kind, finished in any order or not at all: a file is there whole
// or as it was, and nothing is left over.
func TestUploadsAgainstAModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp("", "uploads")
		if err != nil {
			r.Fatal(err)
		}
		defer os.RemoveAll(dir)
		rules := hiddenRules(false)
		rules.AllowOverwrite = rapid.Bool().Draw(r, "overwrite")
		const most = 8
		p, err := Start{Root: dir, Home: dir, Links: true}.Enter()
		if err != nil {
			r.Fatal(err)
		}
		s, err := New(p.Root, rules, nil)
		if err != nil {
			r.Fatal(err)
		}
		defer s.Close()
		s.Limit(most, 0)
		files := map[string]string{}
		type open struct{ name, text string }
		uploads := map[uint32]open{}
		names := rapid.SampledFrom([]string{"a", "b", "c"})
		r.Repeat(map[string]func(*rapid.T){
			"store": func(r *rapid.T) {
				name, text := names.Draw(r, "name"), rapid.StringMatching(`[xyz]{0,12}`).Draw(r, "text")
				o := s.openWrite(&ipc.OpenWrite{Path: "/" + name})
				busy := false
				for _, u := range uploads {
					busy = busy || u.name == name
				}
				_, there := files[name]
				switch {
				case there && !rules.AllowOverwrite:
					if o.reply.Denied != ipc.DeniedOverwrite {
						r.Fatalf("%+v", o.reply)
					}
				case busy:
					if o.reply.Denied != ipc.DeniedHidden {
						r.Fatalf("%+v", o.reply)
					}
				default:
					if o.fd < 0 || o.reply.Most != most || o.reply.Created == there {
						r.Fatalf("%+v", o.reply)
					}
					if _, err := unix.Write(o.fd, []byte(text)); err != nil {
						r.Fatal(err)
					}
					unix.Close(o.fd)
					uploads[o.reply.Upload] = open{name, text}
				}
			},
			"finish": func(r *rapid.T) {
				for id, u := range uploads {
					whole := rapid.Bool().Draw(r, "whole")
					a := s.finish(&ipc.Finish{Upload: id, Whole: whole})
					delete(uploads, id)
					_, there := files[u.name]
					switch {
					case len(u.text) > most:
						if a.Denied != ipc.DeniedSize || !a.Removed {
							r.Fatalf("%+v", a)
						}
					case !whole:
						if a.Denied != 0 || a.Errno != 0 || !a.Removed {
							r.Fatalf("%+v", a)
						}
					case there && !rules.AllowOverwrite:
						if a.Denied != ipc.DeniedOverwrite || !a.Removed {
							r.Fatalf("%+v", a)
						}
					default:
						if a.Denied != 0 || a.Errno != 0 || a.Removed || a.Size != int64(len(u.text)) {
							r.Fatalf("%+v", a)
						}
						files[u.name] = u.text
					}
					break
				}
			},
			"delete": func(r *rapid.T) {
				name := names.Draw(r, "name")
				if err := s.remove("/" + name); (err == nil) != (files[name] != "" || has(files, name)) {
					r.Fatal(err)
				}
				delete(files, name)
			},
			"": func(r *rapid.T) {
				l, err := os.ReadDir(dir)
				if err != nil {
					r.Fatal(err)
				}
				if len(l) != len(files)+len(uploads) {
					r.Fatalf("%v, model %v and %v", l, files, uploads)
				}
				for name, text := range files {
					if b, err := os.ReadFile(dir + "/" + name); err != nil || string(b) != text {
						r.Fatalf("%s: %q %v, model %q", name, b, err, text)
					}
				}
			},
		})
	})
}

func has(m map[string]string, k string) bool { _, ok := m[k]; return ok }
