package server

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// Braces may leave nothing of a pattern: what stands before it is listed then,
// and nothing where nothing does.
func TestPatternsThatVanish(t *testing.T) {
	dir, _ := jail(t)
	mkdir(t, dir+"/d/a")
	c := serve(t, dir, permissive(), nil)
	for shown, w := range map[string]string{
		"d/{,a}": "d d/a", "/d/{,a}": "/d /d/a", "d/{,}": "d d", "d/{/,a}": "d d/a", "{,d}": "d", "/{,d}": "/ /d",
		"{,d}/{,a}": "d d/a", "./d/{,a}": "./d ./d/a", "d/../{,d}": "d/../ d/../d",
	} {
		clean := "/" + strings.TrimPrefix(strings.TrimPrefix(shown, "/"), "d/../")
		for _, options := range []string{"", "d", "R"} {
			got := nlst(t, c, clean, shown, options)
			if s := strings.Join(got, " "); s != w {
				t.Errorf("NLST -%s %s: %q, want %q", options, shown, s, w)
			}
			if _, err := lines(t, c, ipc.List{Path: clean, Shown: shown, Options: options}); err != nil {
				t.Errorf("LIST -%s %s: %v", options, shown, err)
			}
		}
	}
}

// The work for one pattern is bounded, whatever it consists of. The directories
// are many enough to run into the bound, and few enough that what one of them
// costs shows in it.
func TestPatternsCannotWorkForLong(t *testing.T) {
	dir, _ := jail(t)
	for i := range 2000 {
		if err := unix.Mkdir(fmt.Sprintf("%s/%04d", dir, i), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tr := openTree(t, dir)
	for _, pattern := range []string{
		"*/" + strings.Repeat("a/", 1900) + "b", // a long path to look at
		"*/" + strings.Repeat("a/", 1900) + "*", // and to open
		"*/*",                                   // directories to open
		"*/a",                                   // paths to look at
	} {
		p, ok := parts(pattern)
		if !ok {
			t.Fatal(pattern)
		}
		w := &globber{t: tr, steps: globSteps, bytes: globBytes}
		if err := w.walk("/", p, 0); err != nil {
			t.Fatalf("%.20s: %v", pattern, err)
		}
		// A look is a system call: it must count for at least as much as
		// matching for the same time would, some fifty steps.
		if spent := globSteps - w.steps; spent < 2000*(lookSteps+strings.Count(pattern, "/")) {
			t.Errorf("%.20s: %d steps for 2,000 directories", pattern, spent)
		}
	}
	w := &globber{t: tr, steps: 100_000, bytes: globBytes}
	p, _ := parts("*/" + strings.Repeat("a/", 1900) + "b")
	if err := w.walk("/", p, 0); err != unix.E2BIG {
		t.Errorf("a pattern beyond the bound: %v", err)
	}
}

func openTree(t testing.TB, dir string) *tree {
	t.Helper()
	p, err := Start{Root: dir, Home: dir, Links: true}.Enter()
	if err != nil {
		t.Fatal(err)
	}
	tr, err := newTree(p.Root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(p.Root) })
	return tr
}

// Where nearly everything is left out a reply comes in bounded time all the
// same, empty if it must be.
func TestListingOfWhatIsNotShown(t *testing.T) {
	dir, _ := jail(t)
	const links = 2*batchReads + 100
	symlink(t, "nowhere", dir+"/l")
	for i := range links {
		if err := unix.Linkat(unix.AT_FDCWD, dir+"/l", unix.AT_FDCWD, fmt.Sprintf("%s/l%d", dir, i), 0); err != nil {
			t.Fatal(err)
		}
	}
	touch(t, dir+"/zz")
	s := &Server{tree: openTree(t, dir), names: newNames(nil), sortedRun: sortedRun, rules: permissive()}
	replies, text := 0, ""
	for b := s.list(&ipc.List{Path: "/", Form: ipc.FormNames}); ; b = s.listNext() {
		replies++
		text += string(b.Lines)
		if !b.More {
			break
		}
	}
	if replies != 3 || text != "zz\r\n" {
		t.Errorf("%d replies, %q", replies, text)
	}
}

// What a person's terminal takes for a control character is not in LIST, in
// whatever encoding; letters of other alphabets are.
func TestControlCharactersInLists(t *testing.T) {
	for name, w := range map[string]string{
		"a\x1b[2Jb": "a?[2Jb", "a\u009b2Jb": "a??2Jb", "a\u0085b": "a??b", "ü\u00a0€": "ü\u00a0€", "\xc2": "\xc2", "\x7f\t\v": "???", "a\r\n": "a??",
		"\x85": "\x85", "\x9b": "\x9b", // a letter in some 8-bit character set
	} {
		if got := string(appendName(nil, name, true)); got != w {
			t.Errorf("%q is shown as %q, want %q", name, got, w)
		}
	}
}
