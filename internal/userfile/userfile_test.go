package userfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const sha = "$5$44kU7S97fZq9cncS$IAgBiYdPrhNTGeWjRrlO1kjIS8.njc5IN6fcq7UgD7D" // "secret"

func texts(ws []Warning) []string {
	var out []string
	for _, w := range ws {
		out = append(out, w.String())
	}
	return out
}

func TestParseUsersSkipsBadLinesAndSaysWhy(t *testing.T) {
	file := strings.Join([]string{
		"# comment",
		"",
		"alice:" + sha + ":2001:2001:Alice:/srv/alice:/bin/sh",
		"bob:" + sha + ":2002:2002::/srv/bob",
		"carol:" + sha + ":-1:2003::/srv/carol:/bin/sh",
		"dave:" + sha + ":4294967295:2003::/srv/dave:/bin/sh",
		"alice:" + sha + ":2009:2001:Other:/srv/other:/bin/sh",
		"eve:" + sha + ":2004:2004::srv/eve:/bin/sh",
		"mallory:" + sha + ":2005:2005::/srv/m:",
		"../x:" + sha + ":2006:2006::/srv/x:/bin/sh",
		":" + sha + ":2006:2006::/srv/x:/bin/sh",
		"root:" + sha + ":0:0::/root:/bin/sh",
		"frank:plain:2007:2007::/srv/f:/bin/sh",
		"grace:!" + sha + ":2008:2008::/srv/g:/bin/sh\r",
		"1234:" + sha + ":2010:2010::/srv/n:/bin/sh",
	}, "\n")
	users, warnings := ParseUsers("users", []byte(file), Rules{})
	var names []string
	for _, u := range users.List {
		names = append(names, u.Name)
	}
	if d := cmp.Diff([]string{"alice", "root", "frank", "grace", "1234"}, names); d != "" {
		t.Error(d)
	}
	want := []string{
		"users:4: 6 fields, a users line has 7",
		"users:5: uid is not a number from 0 to 4294967294",
		"users:6: uid is not a number from 0 to 4294967294",
		"users:7: user alice again; line 3 counts",
		"users:8: user eve: the home directory is not absolute",
		"users:9: user mallory: no shell",
		"users:10: byte 0x2f in a name",
		"users:11: empty name",
		"users:12: user root: uid or gid 0 cannot log in (root_login is off)",
		"users:13: user frank: the password can never match: unknown scheme",
	}
	if d := cmp.Diff(want, texts(warnings)); d != "" {
		t.Error(d)
	}
	a := users.ByName("alice")
	if a == nil || a.UID != 2001 || a.Line != 3 || users.ByUID(2001) != a || users.ByName("Alice") != nil {
		t.Errorf("alice: %+v", a)
	}
}

func TestParseUsersKeepsToTheRange(t *testing.T) {
	line := func(name, id string) string { return name + ":!:" + id + ":100::/srv:/bin/sh\n" }
	users, w := ParseUsers("users", []byte(line("low", "99")+line("in", "100")+line("high", "201")), Rules{MinID: 100, MaxID: 200})
	if len(users.List) != 1 || users.List[0].Name != "in" || len(w) != 2 {
		t.Errorf("%+v, %v", users.List, w)
	}
}

func TestGroupsOfAUser(t *testing.T) {
	groups, w := ParseGroups("groups", []byte(strings.Join([]string{
		"staff:x:3000:alice,bob",
		"web:x:3001: alice ,,carol",
		"staff2:x:3000:alice",
		"wheel:x:0:alice",
		"more:x:3002:alice:",
		"web:x:3003:alice",
	}, "\n")), Rules{})
	if d := cmp.Diff([]string{"groups:4: group wheel: gid 0 is skipped (root_login is off)", "groups:5: 5 fields, a groups line has 4"}, texts(w)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Group{{GID: 3001, Name: "web"}, {GID: 3000, Name: "staff"}, {GID: 3003, Name: "web"}}, groups.Of("alice", 3001)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Group{{GID: 9}}, groups.Of("nobody", 9)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Group{{GID: 9}}, (*Groups)(nil).Of("alice", 9)); d != "" {
		t.Error(d)
	}
}

func TestFilesThatAreNotBelieved(t *testing.T) {
	private := Checks{Private: true}
	for _, c := range []struct {
		name   string
		checks Checks
		make   func(t *testing.T, dir, file string)
		want   string // part of the error; "" for none
	}{
		{"a private file", private, func(*testing.T, string, string) {}, ""},
		{"group-readable", private, func(t *testing.T, d, f string) { chmod(t, f, 0o640) }, ""},
		{"world-readable", private, func(t *testing.T, d, f string) { chmod(t, f, 0o644) }, "world-readable"},
		{"world-readable, insecure", Checks{Private: true, Insecure: true}, func(t *testing.T, d, f string) { chmod(t, f, 0o644) }, ""},
		{"world-writable, insecure", Checks{Private: true, Insecure: true}, func(t *testing.T, d, f string) { chmod(t, f, 0o602) }, "world-writable"},
		{"world-writable directory", private, func(t *testing.T, d, f string) { chmod(t, d, 0o777) }, "is world-writable"},
		{"sticky world-writable directory", private, func(t *testing.T, d, f string) { chmod(t, d, 0o777|os.ModeSticky) }, "is world-writable"},
		{"a directory", private, func(t *testing.T, d, f string) { os.Remove(f); must(t, os.Mkdir(f, 0o700)) }, "not a regular file"},
		{"a fifo does not block", private, func(t *testing.T, d, f string) { os.Remove(f); must(t, unix.Mkfifo(f, 0o600)) }, "not a regular file"},
		{"missing", private, func(t *testing.T, d, f string) { os.Remove(f) }, "no such file"},
		{"missing, optional", Checks{Optional: true}, func(t *testing.T, d, f string) { os.Remove(f) }, ""},
		{"too large", private, func(t *testing.T, d, f string) { must(t, os.Truncate(f, MaxFile+1)) }, "at most"},
		{"a link to a file in a world-writable directory", private, func(t *testing.T, d, f string) {
			other := filepath.Join(d, "other")
			must(t, os.Mkdir(other, 0o700))
			must(t, os.Rename(f, filepath.Join(other, "users")))
			must(t, os.Symlink("other/users", f))
			chmod(t, other, 0o777)
		}, "is world-writable"},
		{"a link to a good file", private, func(t *testing.T, d, f string) {
			must(t, os.Rename(f, f+".real"))
			must(t, os.Symlink("users.real", f))
		}, ""},
		{"somebody else's", private, func(t *testing.T, d, f string) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give a file away")
			}
			must(t, os.Chown(f, 12345, 0))
		}, "owned by uid 12345"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "d")
			must(t, os.Mkdir(dir, 0o700))
			file := filepath.Join(dir, "users")
			must(t, os.WriteFile(file, []byte("alice:!:2001:2001::/srv:/bin/sh\n"), 0o600))
			c.make(t, dir, file)
			_, err := Read(file, c.checks)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	must(t, os.Chmod(path, mode))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func cached(path string) *Cached[*Users] {
	return &Cached[*Users]{Path: path, Checks: Checks{Private: true}, Parse: func(f string, b []byte) (*Users, []Warning) {
		return ParseUsers(f, b, Rules{})
	}}
}

func TestCachedSeesEditsAndKeepsTheLastGoodContent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	c := cached(file)
	if _, ok, report := c.Get(); ok || len(report) != 1 {
		t.Fatalf("missing: %v %v", ok, report)
	}
	if _, ok, report := c.Get(); ok || len(report) != 0 {
		t.Fatalf("said twice: %v", report)
	}
	write := func(mode os.FileMode, names ...string) {
		t.Helper()
		var b strings.Builder
		for _, n := range names {
			b.WriteString(n + ":!:2001:2001::/srv:/bin/sh\n")
		}
		must(t, os.WriteFile(file+".new", []byte(b.String()), 0o600))
		chmod(t, file+".new", mode)
		must(t, os.Rename(file+".new", file))
	}
	has := func(names ...string) {
		t.Helper()
		u, ok, _ := c.Get()
		if !ok || len(u.List) != len(names) {
			t.Fatalf("%v %+v, want %v", ok, u, names)
		}
		for _, n := range names {
			if u.ByName(n) == nil {
				t.Fatalf("no %s", n)
			}
		}
	}
	write(0o600, "alice")
	has("alice")
	write(0o600, "bobby") // same size, perhaps within one clock tick
	has("bobby")
	must(t, os.WriteFile(file, []byte("carol:!:2001:2001::/srv:/bin/sh\n"), 0o600)) // in place
	has("carol")
	write(0o606, "mallory")
	u, ok, report := c.Get()
	if !ok || u.ByName("carol") == nil || len(report) != 1 || !strings.Contains(report[0], "last good content") {
		t.Fatalf("bad file: %v %v", u, report)
	}
	if _, _, report := c.Get(); len(report) != 0 {
		t.Fatalf("said twice: %v", report)
	}
	write(0o600, "dave")
	has("dave")
	must(t, os.Remove(file))
	has("dave")
	write(0o600, "erin", "erin")
	u, _, report = c.Get()
	if len(u.List) != 1 || len(report) != 1 {
		t.Fatalf("duplicate: %+v %v", u, report)
	}
	if _, _, report := c.Get(); len(report) != 0 {
		t.Fatalf("warned twice about one state: %v", report)
	}
}

func TestEdit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	alice := User{Name: "alice", UID: 2001, GID: 2001, Home: "/srv/alice"}
	must(t, SetUser(file, alice, Options{New: true}))
	if st, _ := os.Stat(file); st.Mode() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	if err := SetUser(file, alice, Options{New: true}); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	if err := SetPassword(file, "alice", []byte("short"), Options{}); !errors.Is(err, ErrTooWeak) {
		t.Error(err)
	}
	if err := SetPassword(file, "bob", []byte("long enough"), Options{}); !errors.Is(err, ErrNoEntry) {
		t.Error(err)
	}
	if err := Unlock(file, "alice"); err == nil {
		t.Error("unlocked without a password")
	}
	must(t, SetPassword(file, "alice", []byte("long enough"), Options{Scheme: "sha256"}))
	u, err := LookupUser(file, "alice")
	must(t, err)
	if !strings.HasPrefix(u.Hash, "$5$") || u.Shell != DefaultShell {
		t.Errorf("%+v", u)
	}
	must(t, Lock(file, "alice"))
	must(t, Lock(file, "alice"))
	if l, _ := LookupUser(file, "alice"); l.Hash != "!"+u.Hash {
		t.Errorf("locked: %q", l.Hash)
	}
	must(t, Unlock(file, "alice"))
	must(t, SetUser(file, User{Name: "alice", UID: 2001, GID: 2001, Home: "/srv/new"}, Options{}))
	if l, _ := LookupUser(file, "alice"); l.Hash != u.Hash || l.Home != "/srv/new" {
		t.Errorf("replaced: %+v", l)
	}
	must(t, SetUser(file, User{Name: "alic", UID: 2002, GID: 2002, Home: "/srv/alic"}, Options{}))
	must(t, Delete(file, "alice"))
	if err := Delete(file, "alice"); !errors.Is(err, ErrNoEntry) {
		t.Error(err)
	}
	if list, _ := ListUsers(file); len(list) != 1 || list[0].Name != "alic" {
		t.Errorf("%+v", list)
	}
}

func TestEditRefusesWhatWouldNotReadBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	ok := User{Name: "alice", UID: 2001, GID: 2001, Home: "/srv/alice"}
	for name, change := range map[string]func(*User){
		"colon in gecos":      func(u *User) { u.Gecos = "a:b" },
		"line break in home":  func(u *User) { u.Home = "/srv\nroot:x:0:0::/:/bin/sh" },
		"relative home":       func(u *User) { u.Home = "srv" },
		"slash in name":       func(u *User) { u.Name = "a/b" },
		"comment as name":     func(u *User) { u.Name = "#a" },
		"empty name":          func(u *User) { u.Name = "" },
		"uid 0":               func(u *User) { u.UID = 0 },
		"colon in the hash":   func(u *User) { u.Hash = "a:b" },
		"an impossible id":    func(u *User) { u.UID = 1<<32 - 1 },
		"carriage return end": func(u *User) { u.Shell = "/bin/sh\r" },
	} {
		u := ok
		change(&u)
		if err := SetUser(file, u, Options{}); err == nil {
			t.Errorf("%s was stored", name)
		}
	}
	if err := SetGroup(file, Group{Name: "g", GID: 3000, Members: []string{"a,b"}}, Options{}); err == nil {
		t.Error("a member with a comma was stored")
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused edit made the file: %v", err)
	}
}

func TestEditKeepsCommentsModeAndLink(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "groups")
	must(t, os.WriteFile(real, []byte("# ours\nstaff:x:3000:alice\n\nbad line\n"), 0o640))
	chmod(t, real, 0o640)
	must(t, os.Symlink("real", link))
	must(t, SetGroup(link, Group{Name: "web", GID: 3001, Members: []string{"alice", "bob"}}, Options{}))
	must(t, SetGroup(link, Group{Name: "staff", GID: 3000}, Options{}))
	got, err := os.ReadFile(real)
	must(t, err)
	if d := cmp.Diff("# ours\nstaff:x:3000:\n\nbad line\nweb:x:3001:alice,bob\n", string(got)); d != "" {
		t.Error(d)
	}
	if st, _ := os.Lstat(link); st.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
	if st, _ := os.Stat(real); st.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", st.Mode())
	}
	must(t, DeleteGroup(link, "web"))
	if g, err := LookupGroup(link, "web"); !errors.Is(err, ErrNoEntry) {
		t.Errorf("%+v %v", g, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestParallelEditsLoseNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "groups")
	errs := make(chan error)
	for i := range 20 {
		go func() {
			errs <- SetGroup(file, Group{Name: "g" + string(rune('a'+i)), GID: uint32(3000 + i)}, Options{New: true})
		}()
	}
	for range 20 {
		must(t, <-errs)
	}
	data, _ := os.ReadFile(file)
	if n := strings.Count(string(data), "\n"); n != 20 {
		t.Errorf("%d lines", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("alice:" + sha + ":2001:2001:Alice:/srv/alice:/bin/sh\n"))
	f.Add([]byte("a:b:0:0::/:x\na:b:0:0::/:x\n+::::::\n\x00\n::::::"))
	f.Add([]byte("staff:x:3000:a,b,,c\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		users, w := ParseUsers("f", data, Rules{})
		if len(w) > maxWarnings+1 {
			t.Fatalf("%d warnings", len(w))
		}
		for i := range users.List {
			u := &users.List[i]
			if ValidName(u.Name) != nil || users.ByName(u.Name) != u || u.Home == "" || u.Home[0] != '/' || u.Shell == "" {
				t.Fatalf("%+v", u)
			}
			// what was read can be written, and reads back the same
			if line, err := u.format(Options{Root: true}); err == nil {
				back, _ := ParseUsers("f", []byte(line), Rules{})
				if len(back.List) == 1 {
					back.List[0].Line = u.Line
				}
				if d := cmp.Diff([]User{*u}, back.List); d != "" {
					t.Fatal(d)
				}
			}
		}
		ParseUsers("f", data, Rules{System: true})
		groups, _ := ParseGroups("f", data, Rules{})
		for _, g := range groups.List {
			if ValidName(g.Name) != nil || g.GID == 0 {
				t.Fatalf("%+v", g)
			}
		}
	})
}

// TestCachedKeepsItsContentOverAnEditThatBreaksAllLines: nothing but bad lines is
// an edit that went wrong, an empty file is one that is meant.
func TestCachedKeepsItsContentOverAnEditThatBreaksAllLines(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	c := cached(file)
	c.Empty = func(u *Users) bool { return len(u.List) == 0 }
	good := "alice:!:2001:2001::/srv:/bin/sh\n"
	for _, step := range []struct {
		content, keeps, says string
	}{
		{"junk\n", "", "1 fields"}, // nothing was known before
		{good, "alice", ""},
		{"junk\nmore\n", "alice", "the last good content stays in force"},
		{"junk\nmore\n", "alice", ""}, // said already
		{"# nobody\n\n", "", ""},
		{good + "junk\n", "alice", "1 fields"},
	} {
		must(t, os.WriteFile(file, []byte(step.content), 0o600))
		u, ok, report := c.Get()
		names := ""
		for _, x := range u.List {
			names += x.Name
		}
		if said := strings.Join(report, "\n"); !ok || names != step.keeps || (said == "") != (step.says == "") || !strings.Contains(said, step.says) {
			t.Errorf("%q: %q %v %q", step.content, names, ok, said)
		}
	}
}
