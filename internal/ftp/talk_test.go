package ftp

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestConversations plays testdata/*.txt, line by line:
//
//	# comment, also behind which part of the protocol it shows
//	set name          a setting: strict (no overwriting, no restart), ascii, ipv6, ungreeted, nologin
//	login             USER and PASS
//	file name "text"  makes a file; dir name, link name target likewise
//	is name "text"    the file holds this
//	gone name         there is no such file
//	> text            sends a line; \xNN and \r as in Go
//	>> text           sends bytes without a line's end
//	< text            the next reply line is exactly this
//	<~ regexp         the next reply line fits
//	data              EPSV and a data connection
//	put "text"        sends on the data connection and closes it
//	get "text"        reads it to the end
//	closed            the control connection ends here
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	must(t, err)
	if len(files) == 0 {
		t.Fatal("no conversations")
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		must(t, err)
		for _, part := range strings.Split("\n"+string(b), "\n== ")[1:] {
			name, text, _ := strings.Cut(part, "\n")
			t.Run(strings.TrimSuffix(filepath.Base(f), ".txt")+"/"+name, func(t *testing.T) {
				t.Parallel()
				converse(t, strings.Split(text, "\n"))
			})
		}
	}
}

func converse(t *testing.T, lines []string) {
	o := ordinary()
	i := 0
	for ; i < len(lines) && (lines[i] == "" || strings.HasPrefix(lines[i], "set ") || strings.HasPrefix(lines[i], "#")); i++ {
		switch strings.TrimPrefix(lines[i], "set ") {
		case "strict":
			o.Files.AllowOverwrite, o.Files.AllowStoreRestart, o.Files.AllowRetrieveRestart = false, false, false
			o.View.AllowStoreRestart, o.View.AllowRetrieveRestart = false, false
		case "ascii":
			o.View.TransferMode = "ascii"
		case "ipv6":
			o.Address = "::1"
		case "ungreeted":
			o.Ungreet = true
		case "texts":
			o.View.AccessGrantMsg, o.View.AccessDenyMsg, o.View.Admin = "Welcome %u", "No, %u", "root@example.org"
		}
	}
	w := begin(t, o)
	t.Cleanup(func() {
		if t.Failed() && i < len(lines) {
			t.Logf("line %d: %s", i+1, lines[i])
		}
	})
	for ; i < len(lines); i++ {
		verb, arg, _ := strings.Cut(lines[i], " ")
		if verb != "" && !strings.HasPrefix(verb, "#") {
			w.play(verb, arg)
		}
	}
}

func (w *world) play(verb, arg string) {
	switch verb {
	case "login":
		w.login()
	case "file":
		name, text := word(w.t, arg)
		w.put(name, unquote(w.t, text))
	case "dir":
		name, _ := word(w.t, arg)
		must(w.t, os.MkdirAll(filepath.Join(w.root, name), 0o755))
	case "link":
		name, to := word(w.t, arg)
		must(w.t, os.Symlink(to, filepath.Join(w.root, name)))
	case "is":
		name, text := word(w.t, arg)
		if got, want := w.content(name), unquote(w.t, text); got != want {
			w.t.Fatalf("%s holds %q, want %q", name, got, want)
		}
	case "gone":
		name, _ := word(w.t, arg)
		if _, err := os.Lstat(filepath.Join(w.root, name)); err == nil {
			w.t.Fatalf("%s is there", name)
		}
	case ">":
		w.send(unquote(w.t, `"`+strings.ReplaceAll(arg, `"`, `\"`)+`"`) + "\r\n")
	case ">>":
		w.send(unquote(w.t, `"`+strings.ReplaceAll(arg, `"`, `\"`)+`"`))
	case "<":
		if got, want := w.line(), unquote(w.t, `"`+strings.ReplaceAll(arg, `"`, `\"`)+`"`); got != want {
			w.t.Fatalf("got  %q\nwant %q", got, want)
		}
	case "<~":
		if got := w.line(); !regexp.MustCompile("^(?:" + arg + ")$").MatchString(got) {
			w.t.Fatalf("got  %q\nwant %s", got, arg)
		}
	case "data":
		w.passive()
	case "put":
		_, err := io.WriteString(w.data, unquote(w.t, arg))
		must(w.t, err)
		w.data.Close()
	case "get":
		b, err := io.ReadAll(w.data)
		must(w.t, err)
		if want := unquote(w.t, arg); string(b) != want {
			w.t.Fatalf("got  %q\nwant %q", b, want)
		}
	case "closed":
		w.ended()
	default:
		w.t.Fatalf("no such line: %s %s", verb, arg)
	}
}

// word takes a name, quoted or not, off the front.
func word(t tb, arg string) (first, rest string) {
	t.Helper()
	if q, err := strconv.QuotedPrefix(arg); err == nil {
		return unquote(t, q), strings.TrimPrefix(arg[len(q):], " ")
	}
	first, rest, _ = strings.Cut(arg, " ")
	return first, rest
}

func unquote(t tb, q string) string {
	t.Helper()
	s, err := strconv.Unquote(q)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return s
}
