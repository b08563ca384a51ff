package server

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// someNames is a lookup that knows a few ids, and those of the test's user.
func someNames(r ipc.NamesRequest) (*ipc.NamesReply, error) {
	reply := &ipc.NamesReply{}
	for range r.UIDs {
		reply.Users = append(reply.Users, "al ice")
	}
	for range r.GIDs {
		reply.Groups = append(reply.Groups, "staff;longgroup")
	}
	return reply, nil
}

// listed makes the directory that the tests of listings look at.
func listed(t *testing.T) string {
	dir, _ := jail(t)
	old, year := time.Unix(1_000_000_000, 0), time.Now().AddDate(1, 0, 0)
	write(t, dir+"/b.txt", "12345")
	write(t, dir+"/a.txt", "1")
	write(t, dir+"/c", "123")
	write(t, dir+"/.dot", "")
	mkdir(t, dir+"/sub/deep")
	write(t, dir+"/sub/s.txt", "")
	write(t, dir+"/sub/deep/d.txt", "")
	symlink(t, "sub", dir+"/link")
	symlink(t, "no", dir+"/void")
	for name, at := range map[string]time.Time{"a.txt": old, "b.txt": old.Add(time.Hour), "c": year, "sub": old, "sub/deep": old} {
		if err := os.Chtimes(dir+"/"+name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	chmod(t, dir+"/c", 0o6711)
	return dir
}

func TestNamesLists(t *testing.T) {
	c := serve(t, listed(t), strict(), nil)
	for _, x := range []struct {
		path, shown, options string
		want                 []string
	}{
		{"/", "", "", []string{"a.txt", "b.txt", "c", "link", "sub"}},
		{"/", ".", "r", []string{"sub", "link", "c", "b.txt", "a.txt"}},
		{"/", "", "A", []string{".dot", "a.txt", "b.txt", "c", "link", "sub"}},
		{"/", "", "a", []string{".", "..", ".dot", "a.txt", "b.txt", "c", "link", "sub"}},
		{"/", "", "S", []string{"sub", "b.txt", "c", "link", "a.txt"}},
		{"/", "", "tlFnhRz", []string{"c", "link", "b.txt", "a.txt", "sub"}},
		{"/sub", "sub", "", []string{"sub/deep", "sub/s.txt"}},
		{"/sub", "/sub//", "", []string{"/sub/deep", "/sub/s.txt"}},
		{"/sub", "sub", "1", []string{"deep", "s.txt"}},
		{"/sub", "sub", "d", []string{"sub"}},
		{"/link", "link", "", []string{"link/deep", "link/s.txt"}},
		{"/", "/", "", []string{"/a.txt", "/b.txt", "/c", "/link", "/sub"}},
		{"/a.txt", "a.txt", "", []string{"a.txt"}},
		{"/sub/deep", "deep", "", []string{"deep/d.txt"}},
		// patterns
		{"/*.txt", "*.txt", "", []string{"a.txt", "b.txt"}},
		{"/*.txt", "*.txt", "r", []string{"b.txt", "a.txt"}},
		{"/*.txt", "*.txt", "t", []string{"b.txt", "a.txt"}},
		{"/*", "*", "", []string{"a.txt", "b.txt", "c", "link", "sub"}},
		{"/.d*", ".d*", "", []string{".dot"}},
		{"/sub/*", "sub/*", "", []string{"sub/deep", "sub/s.txt"}},
		{"/sub/*", "./sub/*", "", []string{"./sub/deep", "./sub/s.txt"}},
		{"/sub/*", "*", "", []string{"deep", "s.txt"}},
		{"/sub/*", "/sub/*", "", []string{"/sub/deep", "/sub/s.txt"}},
		{"/*/*.txt", "*/*.txt", "", []string{"link/s.txt", "sub/s.txt"}},
		{"/*/deep/*", "*/deep/*", "", []string{"link/deep/d.txt", "sub/deep/d.txt"}},
		{"/{c,a.txt,none}", "{c,a.txt,none}", "", []string{"c", "a.txt"}},
		{"/{sub/deep,c}", "{sub/deep,c}", "", []string{"sub/deep", "c"}},
		{"/[ab].txt", "[ab].txt", "", []string{"a.txt", "b.txt"}},
		{"/*.txt", "sub/../*.txt", "", []string{"sub/../a.txt", "sub/../b.txt"}},
		{"/*.txt", "s*/../*.txt", "", []string{"/a.txt", "/b.txt"}},
		{"/void*", "void*", "", nil},
	} {
		if d := cmp.Diff(x.want, nlst(t, c, x.path, x.shown, x.options)); d != "" {
			t.Errorf("NLST -%s %s: %s", x.options, x.shown, d)
		}
	}
}

func TestListErrors(t *testing.T) {
	dir := listed(t)
	c := serve(t, dir, strict(), nil)
	for _, x := range []struct {
		path, shown string
		form        uint8
		want        any
	}{
		{"/no", "no", ipc.FormList, unix.ENOENT},
		{"/no", "no", ipc.FormNames, unix.ENOENT},
		{"/void", "void", ipc.FormNames, unix.ENOENT},
		{"/*.zip", "*.zip", ipc.FormNames, unix.ENOENT},
		{"/*.zip", "*.zip", ipc.FormList, nil},
		{"/a.txt", "a.txt", ipc.FormMLSD, unix.ENOTDIR},
		{"/no", "no", ipc.FormMLSD, unix.ENOENT},
		{"/no", "no", ipc.FormMLST, unix.ENOENT},
		{"/void", "void", ipc.FormMLST, nil},
		{"/", "", 7, unix.EINVAL},
		{"/" + strings.Repeat("{a,b}", 20), strings.Repeat("{a,b}", 20), ipc.FormNames, unix.E2BIG},
		{"/" + strings.Repeat("*/", 9), strings.Repeat("*/", 9), ipc.FormNames, unix.ENOENT},
	} {
		_, err := c.List(ipc.List{Path: x.path, Shown: x.shown, Form: x.form})
		want(t, fmt.Sprint(x.form, " ", x.shown), err, x.want)
	}
	if got, err := lines(t, c, ipc.List{Path: "/*.zip", Shown: "*.zip"}); err != nil || got != nil {
		t.Errorf("a pattern without a match: %q %v", got, err)
	}
	mkdir(t, dir+"/1/2/3/4/5/6/7/8/9")
	_, err := c.List(ipc.List{Path: "/" + strings.Repeat("*/", 9), Shown: strings.Repeat("*/", 9), Form: ipc.FormNames})
	want(t, "nine patterns deep", err, unix.E2BIG)
}

// A pattern is what the client typed; a file or a working directory that is
// named like one is found.
func TestNamesThatLookLikePatterns(t *testing.T) {
	dir, _ := jail(t)
	mkdir(t, dir+"/[x]")
	write(t, dir+"/[x]/*", "")
	write(t, dir+"/[x]/y", "")
	write(t, dir+"/q?", "")
	c := serve(t, dir, strict(), nil)
	for _, x := range []struct {
		path, shown string
		want        []string
	}{
		{"/[x]", "", []string{"*", "y"}},
		{"/[x]/*", "*", []string{"*", "y"}},
		{`/[x]/\*`, `\*`, []string{"*"}},
		{"/[x]", "[x]", []string{"[x]/*", "[x]/y"}},
		{"/q?", "q?", []string{"q?"}},
		{"/[x]", "/[x]", []string{"/[x]/*", "/[x]/y"}},
	} {
		if d := cmp.Diff(x.want, nlst(t, c, x.path, x.shown, "")); d != "" {
			t.Errorf("%s: %s", x.shown, d)
		}
	}
	r := strict()
	r.UseGlobbing = false
	c = serve(t, dir, r, nil)
	_, err := c.List(ipc.List{Path: "/*", Shown: "*", Form: ipc.FormNames})
	want(t, "without globbing", err, unix.ENOENT)
}

func TestLongLists(t *testing.T) {
	dir := listed(t)
	now := time.Now().Add(-time.Hour).UTC().Truncate(time.Minute)
	for _, n := range []string{"void", "link"} {
		ts := []unix.Timespec{unix.NsecToTimespec(now.UnixNano()), unix.NsecToTimespec(now.UnixNano())}
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, dir+"/"+n, ts, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			t.Fatal(err)
		}
	}
	c := serve(t, dir, strict(), someNames)
	list := func(path, shown, options string) []string {
		t.Helper()
		got, err := lines(t, c, ipc.List{Path: path, Shown: shown, Options: options})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	var sub unix.Stat_t
	if err := unix.Stat(dir+"/sub", &sub); err != nil {
		t.Fatal(err)
	}
	stamp, year := now.Format("Jan _2 15:04"), time.Now().AddDate(1, 0, 0).UTC().Format("Jan _2  2006")
	all := []string{
		"-rw-r--r--   1 al_ice   staff_longgroup        1 Sep  9  2001 a.txt",
		"-rw-r--r--   1 al_ice   staff_longgroup        5 Sep  9  2001 b.txt",
		"-rws--s--x   1 al_ice   staff_longgroup        3 " + year + " c",
		"lrwxrwxrwx   1 al_ice   staff_longgroup        3 " + stamp + " link -> sub",
		fmt.Sprintf("drwxr-xr-x   3 al_ice   staff_longgroup %8d Sep  9  2001 sub", sub.Size),
		"lrwxrwxrwx   1 al_ice   staff_longgroup        2 " + stamp + " void -> no",
	}
	if d := cmp.Diff(all, list("/", "", "")); d != "" {
		t.Error(d)
	}
	if got := list("/sub", "", "d"); !strings.HasSuffix(got[0], " .") || got[0][0] != 'd' {
		t.Errorf("-d: %q", got)
	}
	if got := list("/sub", "/sub", "d"); !slices.Equal(got, []string{strings.Replace(all[4], " sub", " /sub", 1)}) {
		t.Errorf("-d: %q", got)
	}
	if d := cmp.Diff([]string{all[0], all[1]}, list("/*.txt", "*.txt", "")); d != "" {
		t.Error(d)
	}
	if got := list("/", "", "F"); !strings.HasSuffix(got[2], " c*") || !strings.HasSuffix(got[3], " link -> sub/") || !strings.HasSuffix(got[4], " sub/") || !strings.HasSuffix(got[5], "void -> no") {
		t.Errorf("-F: %q", got)
	}
	if got := list("/", "", "FC"); !slices.Equal(got, []string{"a.txt", "b.txt", "c*", "link@", "sub/", "void@"}) {
		t.Errorf("-FC: %q", got)
	}
	if got := list("/", "", "1"); !slices.Equal(got, []string{"a.txt", "b.txt", "c", "link", "sub", "void"}) {
		t.Errorf("-1: %q", got)
	}
	if got := list("/", "", "L"); !strings.HasPrefix(got[3], "drwxr-xr-x") || strings.Contains(got[3], "->") || !strings.Contains(got[5], "void -> no") {
		t.Errorf("-L: %q", got)
	}
	uid := fmt.Sprintf(" %-8d %-8d ", os.Getuid(), sub.Gid)
	if got := list("/", "", "n"); !strings.Contains(got[0], uid) {
		t.Errorf("-n: %q", got)
	}
	if got := list("/", "", "a"); len(got) != 9 || !strings.HasSuffix(got[0], " .") || !strings.HasSuffix(got[1], " ..") {
		t.Errorf("-a: %q", got)
	}
	if got := list("/link", "link", ""); len(got) != 2 || !strings.HasSuffix(got[0], " deep") {
		t.Errorf("a link to a directory: %q", got)
	}
	want := []string{"a.txt", "b.txt", "c", "link", "sub", "void", "", "sub:", "deep", "s.txt", "", "sub/deep:", "d.txt"}
	if got := list("/", "", "RC"); !slices.Equal(got, want) {
		t.Errorf("-R: %q", got)
	}
	if got := list("/sub", "sub//", "RC"); !slices.Equal(got, []string{"deep", "s.txt", "", "sub/deep:", "d.txt"}) {
		t.Errorf("-R of a name with slashes behind: %q", got)
	}
	if got := list("/*", "*", "RC"); !slices.Equal(got, []string{"a.txt", "b.txt", "c", "void", "", "link:", "", "sub:", "deep", "s.txt", "", "sub/deep:", "d.txt"}) {
		t.Errorf("-R of a pattern: %q", got)
	}
}

func TestHiddenLinksShowTheirTargets(t *testing.T) {
	dir := listed(t)
	r := strict()
	r.ShowSymlinks = false
	c := serve(t, dir, r, nil)
	got, err := lines(t, c, ipc.List{Path: "/"})
	if err != nil || len(got) != 5 || !strings.HasPrefix(got[3], "drwxr-xr-x") || !strings.HasSuffix(got[3], " link") {
		t.Errorf("%q %v", got, err)
	}
	if got, err = lines(t, c, ipc.List{Path: "/", Form: ipc.FormMLSD, Facts: ipc.FactType}); err != nil || !slices.Contains(got, "type=dir; link") || slices.Contains(got, "type=file; void") {
		t.Errorf("%q %v", got, err)
	}
}

func TestWithoutNamesIdsAreNumbers(t *testing.T) {
	dir := listed(t)
	for name, lookup := range map[string]Lookup{
		"no channel": nil,
		"broken":     func(ipc.NamesRequest) (*ipc.NamesReply, error) { return nil, os.ErrClosed },
		"too few":    func(ipc.NamesRequest) (*ipc.NamesReply, error) { return &ipc.NamesReply{}, nil },
	} {
		c := serve(t, dir, strict(), lookup)
		got, err := lines(t, c, ipc.List{Path: "/"})
		if err != nil || !strings.Contains(got[0], fmt.Sprintf(" 1 %-8d ", os.Getuid())) {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

func TestNamesAreAskedForOnce(t *testing.T) {
	dir := listed(t)
	var asked atomic.Int32
	c := serve(t, dir, strict(), func(r ipc.NamesRequest) (*ipc.NamesReply, error) {
		asked.Add(1)
		return someNames(r)
	})
	for range 3 {
		if _, err := lines(t, c, ipc.List{Path: "/"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// A directory larger than a batch comes whole, in order, and other calls may
// come between the batches.
func TestLargeDirectory(t *testing.T) {
	const count = 10_000
	dir, _ := jail(t)
	mkdir(t, dir+"/d")
	for i := range count {
		touch(t, fmt.Sprintf("%s/d/file-%05d", dir, i))
	}
	c := serve(t, dir, strict(), someNames)
	for form, last := range map[uint8]string{ipc.FormList: " file-09999", ipc.FormNames: "file-09999"} {
		got, err := lines(t, c, ipc.List{Path: "/d", Form: form})
		if err != nil || len(got) != count || !slices.IsSorted(got) || !strings.HasSuffix(got[count-1], last) {
			t.Errorf("form %d: %d lines, %v", form, len(got), err)
		}
	}
	if got, err := lines(t, c, ipc.List{Path: "/d", Form: ipc.FormMLSD}); err != nil || len(got) != count+2 {
		t.Errorf("MLSD: %d lines, %v", len(got), err)
	}
	if got := nlst(t, c, "/d/*9", "d/*9", ""); len(got) != count/10 {
		t.Errorf("pattern: %d lines", len(got))
	}
	l, err := c.List(ipc.List{Path: "/d"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Stat("/d", true); err != nil {
		t.Fatal(err)
	}
	if b, err := l.Next(); err != nil || len(b) < batchBytes/2 {
		t.Fatal(len(b), err)
	}
	if b, err := l.Next(); err != nil || len(b) < batchBytes/2 {
		t.Fatal(len(b), err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// A directory that does not fit into memory comes in runs, each in order, none
// left out.
func TestLongDirectoriesComeInRuns(t *testing.T) {
	dir, _ := jail(t)
	for i := range 3000 {
		touch(t, fmt.Sprintf("%s/%04d", dir, i))
	}
	s := serverOf(t, dir, strict())
	defer s.Close()
	s.sortedRun = 20_000
	var all []byte
	for b := s.list(&ipc.List{Path: "/", Form: ipc.FormNames}); ; b = s.listNext() {
		all = append(all, b.Lines...)
		if !b.More {
			break
		}
	}
	got := strings.Fields(string(all))
	if slices.IsSorted(got) {
		t.Error("one run: the test shows nothing")
	}
	slices.Sort(got)
	if got = slices.Compact(got); len(got) != 3000 {
		t.Errorf("%d names", len(got))
	}
}

// -R neither follows links nor goes on for ever.
func TestRecursionIsBounded(t *testing.T) {
	dir, _ := jail(t)
	mkdir(t, dir+"/"+strings.Repeat("d/", maxDepth+10))
	symlink(t, "..", dir+"/d/loop")
	c := serve(t, dir, strict(), nil)
	for _, options := range []string{"RC", "RCL"} {
		got, err := lines(t, c, ipc.List{Path: "/", Options: options})
		headers := 0
		for _, l := range got {
			if strings.HasSuffix(l, ":") {
				headers++
			}
		}
		if err != nil || headers != maxDepth {
			t.Errorf("-%s: %d directories, %v", options, headers, err)
		}
	}
}

// What a second thread has looked at is what the listing would have found: every
// entry once and with its own facts, whatever order and however many directories,
// and also where the listing is given up or entries vanish under it.
func TestLookingAheadChangesNothing(t *testing.T) {
	const n = 3000
	dir, _ := jail(t)
	for _, sub := range []string{"a", "b"} {
		mkdir(t, dir+"/"+sub)
		for i := range n {
			p := fmt.Sprintf("%s/%s/%05d", dir, sub, i)
			if err := os.WriteFile(p, make([]byte, i%7), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := serverOf(t, dir, strict())
	defer s.Close()
	lines := func(r *ipc.List, during func()) (names, sizes []string) {
		for b := s.list(r); ; b = s.listNext() {
			for line := range strings.Lines(string(b.Lines)) {
				f := strings.Fields(line)
				if r.Form == ipc.FormMLSD && len(f) == 2 {
					f = []string{f[1], strings.TrimSuffix(strings.TrimPrefix(f[0], "size="), ";")}
				} else if len(f) == 9 {
					f = []string{f[8], f[4]}
				}
				if len(f) == 2 && len(f[0]) == 5 {
					names, sizes = append(names, f[0]), append(sizes, f[1])
				}
			}
			if !b.More {
				return names, sizes
			}
			during()
		}
	}
	for _, c := range []struct {
		what string
		list ipc.List
		dirs int
	}{
		{"MLSD", ipc.List{Path: "/a", Form: ipc.FormMLSD, Facts: ipc.FactSize}, 1},
		{"LIST", ipc.List{Path: "/a", Form: ipc.FormList}, 1},
		{"LIST -R", ipc.List{Path: "/", Form: ipc.FormList, Options: "R"}, 2},
	} {
		s.list(&c.list) // and give it up
		names, sizes := lines(&c.list, func() {})
		if len(names) != c.dirs*n {
			t.Fatalf("%s: %d entries", c.what, len(names))
		}
		for i, name := range names {
			if k, err := strconv.Atoi(name); err != nil || sizes[i] != strconv.Itoa(k%7) {
				t.Fatalf("%s: %s has the size %s", c.what, name, sizes[i])
			}
		}
		slices.Sort(names)
		if d := len(slices.Compact(names)); d != n {
			t.Errorf("%s: %d different names", c.what, d)
		}
	}
	gone := 0
	names, _ := lines(&ipc.List{Path: "/a", Form: ipc.FormMLSD, Facts: ipc.FactSize}, func() {
		for range 500 {
			_ = os.Remove(fmt.Sprintf("%s/a/%05d", dir, gone))
			gone++
		}
	})
	if slices.Sort(names); len(names) < n-gone || len(slices.Compact(names)) != len(names) {
		t.Errorf("%d entries, some of them twice, or more missing than the %d that went", len(names), gone)
	}
}
