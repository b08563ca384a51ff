package ftp

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"sallyport/internal/display"
)

// FuzzInflater feeds arbitrary bytes, cut in two ways, to the reader of MODE Z.
// However they are cut they yield the same, no more than the ratio allows, and
// an end that is one of ours.
func FuzzInflater(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("x\x9c"))
	f.Add([]byte("no stream"))
	f.Add(deflated("hello, hello, hello"))
	f.Add(append(deflated("hello"), 'x'))
	f.Add(deflated(strings.Repeat("\x00", 1<<20)))
	f.Fuzz(func(t *testing.T, in []byte) {
		read := func(r io.Reader) (string, error) {
			var out bytes.Buffer
			raw := int64(len(in))
			_, err := io.Copy(&out, io.LimitReader(newInflater(r, &raw), 8<<20))
			return out.String(), err
		}
		a, errA := read(bytes.NewReader(in))
		b, errB := read(iotest.OneByteReader(bytes.NewReader(in)))
		if a != b || !errors.Is(errA, errB) {
			t.Fatalf("%d bytes, %v; cut otherwise %d bytes, %v", len(a), errA, len(b), errB)
		}
		if errA != nil {
			if errA != errDamaged && errA != errCut && errA != errBomb {
				t.Fatalf("error %v", errA)
			}
			return
		}
		if len(a) == 8<<20 || len(in) == 0 {
			return
		}
		z, err := zlib.NewReader(bytes.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		if want, err := io.ReadAll(z); err != nil || string(want) != a {
			t.Fatalf("%d bytes where zlib has %d, %v", len(a), len(want), err)
		}
	})
}

// FuzzArguments runs the parsers of arguments: whatever comes, what they accept
// is in bounds.
func FuzzArguments(f *testing.F) {
	for _, a := range []string{
		"f 0 5", "a b 7 12", "f -1 5", "20240102030405 f", "20240230000000.5", "u=rw,go-x", "a b 20000101000000 20000101000000 20000101000000 UTC", "en-US", "0644", "%{time:%Y %%} %C %{", "%",
	} {
		f.Add(a)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		if path, start, end, wrong := digestRange("XCRC", arg); wrong == "" {
			if !strings.HasPrefix(arg, path) || start < 0 || end != -1 && end <= start {
				t.Errorf("range of %q: %q %d %d", arg, path, start, end)
			}
		}
		if at, ok := stamp(arg); ok && (at < -62135596800-366*86400 || at > 253402300800) {
			t.Errorf("stamp %q: %d", arg, at)
		}
		if mode, ok := octal(arg); ok && mode > 0o7777 {
			t.Errorf("mode %q: %o", arg, mode)
		}
		if isSymbolic(arg) && strings.Trim(arg, "ugoarwxstX+-=,") != "" {
			t.Errorf("symbolic %q", arg)
		}
		if isLanguage(arg) && strings.ContainsAny(arg, " /\r\n\x00") {
			t.Errorf("language %q", arg)
		}
		s := &Session{cwd: arg, typed: arg}
		if n := len(display.Expand(arg, maxDisplayText, s.variable)); n > maxDisplayText+64*(len(arg)+16) {
			t.Errorf("%d bytes of %d", n, len(arg))
		}
		if strings.ContainsAny(display.Printable(arg), "\r\n\x00\x1b\x7f") {
			t.Errorf("printable %q", arg)
		}
		splitSite(arg)
		siteTakesTime([]byte(arg))
	})
}
