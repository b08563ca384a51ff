package ftp

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// TestConversations plays testdata/*.txt, line by line:
//
//	# comment, also behind which part of the protocol it shows
//	set name          a setting, see settings
//	login             USER and PASS
//	file name "text"  makes a file; dir name, link name target, fifo name likewise
//	is name "text"    the file holds this
//	gone name         there is no such file
//	> text            sends a line; \xNN and \r as in Go
//	>> text           sends bytes without a line's end
//	< text            the next reply line is exactly this
//	<~ regexp         the next reply line fits
//	data              EPSV and a data connection
//	put "text"        sends on the data connection and closes it
//	get "text"        reads it to the end
//	zput, zget        the same with a zlib stream around it
//	mode name 640     the file has these permission bits; time name seconds likewise
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

// settings are what a conversation may begin with.
var settings = map[string]func(o *setup){
	"strict": func(o *setup) {
		o.Files.AllowOverwrite, o.Files.AllowStoreRestart, o.Files.AllowRetrieveRestart = false, false, false
		o.View.AllowStoreRestart, o.View.AllowRetrieveRestart = false, false
	},
	"ascii":         func(o *setup) { o.View.TransferMode = "ascii" },
	"ipv6":          func(o *setup) { o.Address = "::1" },
	"extended only": func(o *setup) { o.View.ExtendedOnly = true },
	"unconnected":   func(o *setup) { o.Unconnected = true },
	"ungreeted":     func(o *setup) { o.Ungreet = true },
	"texts": func(o *setup) {
		o.View.AccessGrantMsg, o.View.AccessDenyMsg, o.View.Admin = "Welcome %u", "No, %u", "root@example.org"
	},
	"modez": func(o *setup) { o.View.ModeZ = true },
	"digests": func(o *setup) {
		o.View.Digest = policy.Digest{Engine: true, Default: "SHA-1", Algorithms: []string{"CRC32", "MD5", "SHA-1", "SHA-256", "SHA-512"}}
	},
	"few digests": func(o *setup) {
		o.View.Digest = policy.Digest{Engine: true, Max: 8, Default: "SHA-1", Algorithms: []string{"MD5", "SHA-256"}}
		o.Files.DigestMax = 8
	},
	"hidden": func(o *setup) {
		o.Files.HiddenStores = policy.HiddenStores{Engine: true, Prefix: ".in.", Suffix: "."}
		o.Files.DeleteAborted = true
	},
	"sizes": func(o *setup) { o.Sizes = 14 },
	"anonymous": func(o *setup) {
		o.View.Anonymous = []policy.AnonymousName{{Name: "ftp"}, {Name: "guest", Guest: true}}
		o.Anonymous = true
	},
	"anonymous for all": func(o *setup) { o.View.Anonymous = []policy.AnonymousName{{Name: "*"}, {Name: "ann", Guest: true}} },
	"display": func(o *setup) {
		o.View.Display = policy.Display{
			Login: policy.DisplayFile{Text: "Hello %U\r\n2 x %%\n"}, Quit: policy.DisplayFile{Text: "%i %o %t %K"},
			Chdir: policy.DisplayFile{Path: ".message"}, Transfer: policy.DisplayFile{Text: "%{total_files_xfer} files"},
		}
	},
	"display of others": func(o *setup) {
		o.Company = ipc.Company{Clients: 3, Most: 10, OfClass: 2}
		o.View.Display = policy.Display{Login: policy.DisplayFile{Text: "%N of %M, class %y of %z, %u\n"}, Quit: policy.DisplayFile{Text: "%N 50% off 100%\nx%"}}
	},
	"display once": func(o *setup) {
		o.View.Display = policy.Display{Chdir: policy.DisplayFile{Path: ".message"}, ChdirOnce: true}
	},
	"no transfers": func(o *setup) {
		o.View.CountTransfers = true
		o.Transfers = func(string) string { return "Sorry, enough." }
	},
}

func converse(t *testing.T, lines []string) {
	o := ordinary()
	i := 0
	for ; i < len(lines) && (lines[i] == "" || strings.HasPrefix(lines[i], "set ") || strings.HasPrefix(lines[i], "#")); i++ {
		name := strings.TrimPrefix(lines[i], "set ")
		if name == lines[i] {
			continue
		}
		change := settings[name]
		if change == nil {
			t.Fatalf("no setting %q", name)
		}
		change(&o)
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
	case "fifo":
		must(w.t, unix.Mkfifo(filepath.Join(w.root, arg), 0o644))
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
	case "zput":
		_, err := w.data.Write(deflated(unquote(w.t, arg)))
		must(w.t, err)
		w.data.Close()
	case "zget":
		if got, want := inflated(w.t, w.data), unquote(w.t, arg); got != want {
			w.t.Fatalf("got  %q\nwant %q", got, want)
		}
	case "mode":
		name, bits := word(w.t, arg)
		info, err := os.Stat(filepath.Join(w.root, name))
		must(w.t, err)
		if got := fmt.Sprintf("%o", info.Mode().Perm()); got != bits {
			w.t.Fatalf("mode of %s is %s", name, got)
		}
	case "time":
		name, secs := word(w.t, arg)
		info, err := os.Stat(filepath.Join(w.root, name))
		must(w.t, err)
		if got := fmt.Sprint(info.ModTime().Unix()); got != secs {
			w.t.Fatalf("time of %s is %s", name, got)
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

func deflated(text string) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return b.Bytes()
}

func inflated(t tb, r io.Reader) string {
	t.Helper()
	z, err := zlib.NewReader(r)
	must(t, err)
	b, err := io.ReadAll(z)
	must(t, err)
	return string(b)
}
