package ftp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// feed pushes pieces through a reader of the given limit and returns its lines,
// each behind its kind, and its telnet answers.
func feed(limit int, pieces ...[]byte) (lines []string, answers string) {
	l := newReader(limit)
	take := func() {
		for {
			line, kind, ok := l.next()
			if !ok {
				return
			}
			if len(line) > limit {
				panic("a line longer than the limit")
			}
			lines = append(lines, string(kind)+string(line))
		}
	}
	for _, p := range pieces {
		for len(p) > 0 {
			room := l.space()
			if len(room) == 0 {
				if !l.waits() {
					panic("no room and no line to take")
				}
				take()
				continue
			}
			n := copy(room, p)
			l.fed(n)
			p = p[n:]
		}
	}
	take()
	return lines, string(l.answers)
}

func TestReader(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
		answers  string
	}{
		{"CR LF", "NOOP\r\nPWD\r\n", []string{"gNOOP", "gPWD"}, ""},
		{"LF", "NOOP\nPWD\n", []string{"gNOOP", "gPWD"}, ""},
		{"no end", "NOOP", nil, ""},
		{"empty", "\r\n\n", []string{"g", "g"}, ""},
		{"CR NUL is a CR", "MKD a\r\x00b\r\n", []string{"gMKD a\rb"}, ""},
		{"CR NUL before the end", "MKD a\r\x00\r\n", []string{"gMKD a\r"}, ""},
		{"CR NUL before a bare LF", "MKD a\r\x00\n", []string{"gMKD a\r"}, ""},
		{"bare CR", "NOOP\rQUIT\r\n", []string{"bNOOP\rQUIT"}, ""},
		{"two CR", "NOOP\r\r\n", []string{"bNOOP\r"}, ""},
		{"NUL", "NO\x00OP\r\n", []string{"bNO\x00OP"}, ""},
		{"a bad line is alone bad", "A\rB\nNOOP\n", []string{"bA\rB", "gNOOP"}, ""},
		{"WILL and WONT", "\xff\xfb\x01NO\xff\xfc\x02OP\n", []string{"gNOOP"}, "\xff\xfe\x01\xff\xfe\x02"},
		{"DO and DONT", "\xff\xfd\x01NO\xff\xfe\x02OP\n", []string{"gNOOP"}, "\xff\xfc\x01\xff\xfc\x02"},
		{"IP and DM", "\xff\xf4\xff\xf2ABOR\n", []string{"gABOR"}, ""},
		{"doubled", "MKD \xff\xff\n", []string{"gMKD \xff"}, ""},
		{"unknown telnet command", "MKD \xff\xf1\n", []string{"gMKD \xff\xf1"}, ""},
		{"option LF", "NO\xff\xfb\nOP\n", []string{"gNOOP"}, "\xff\xfe\n"},
		{"IAC LF", "MKD \xff\nNOOP\n", []string{"gMKD \xff", "gNOOP"}, ""},
		{"IAC CR LF", "MKD \xff\r\nNOOP\n", []string{"gMKD \xff", "gNOOP"}, ""},
		{"CR IAC", "A\r\xff\xffB\n", []string{"bA\r\xffB"}, ""},
		{"as long as may be", strings.Repeat("x", 16) + "\r\n", []string{"g" + strings.Repeat("x", 16)}, ""},
		{"too long", strings.Repeat("x", 17) + "\r\nNOOP\r\n", []string{"l", "gNOOP"}, ""},
		{"too long without an end", strings.Repeat("x", 1000), []string{"l"}, ""},
		{"too long by a bare CR", strings.Repeat("x", 16) + "\rQ\nNOOP\n", []string{"l", "gNOOP"}, ""},
		{"too long by a CR NUL", strings.Repeat("x", 16) + "\r\x00\nNOOP\n", []string{"l", "gNOOP"}, ""},
		{"the tail is no command", strings.Repeat("x", 100) + " QUIT\nNOOP\n", []string{"l", "gNOOP"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines, answers := feed(16, []byte(c.in))
			if d := cmp.Diff(c.want, lines); d != "" {
				t.Error(d)
			}
			if answers != c.answers {
				t.Errorf("answers %q, want %q", answers, c.answers)
			}
			for i := range len(c.in) { // cut anywhere
				l2, a2 := feed(16, []byte(c.in[:i]), []byte(c.in[i:]))
				if !cmp.Equal(lines, l2) || answers != a2 {
					t.Errorf("cut at %d: %q %q", i, l2, a2)
				}
			}
		})
	}
}

func TestReaderCutAnywhere(t *testing.T) {
	alphabet := rapid.SampledFrom([]byte("aZ \r\n\x00\xff\xfb\xfc\xfd\xfe\xf4\xf2\xf1\x16x"))
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(alphabet, 0, 300).Draw(t, "in")
		limit := rapid.IntRange(1, 40).Draw(t, "limit")
		var pieces [][]byte
		for rest := in; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "cut")
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		l1, a1 := feed(limit, in)
		l2, a2 := feed(limit, pieces...)
		if d := cmp.Diff(l1, l2); d != "" || a1 != a2 {
			t.Fatalf("%s\n%q %q", d, a1, a2)
		}
	})
}

func TestReaderGrowsWithWhatWaits(t *testing.T) {
	l := newReader(16)
	l.fed(copy(l.space(), "NOOP\r\nPW"))
	l.next()
	l.setLimit(10000)
	l.fed(copy(l.space(), "D "+strings.Repeat("y", 5000)))
	l.fed(copy(l.space(), "\r\n"))
	if line, kind, ok := l.next(); !ok || kind != lineGood || string(line) != "PWD "+strings.Repeat("y", 5000) {
		t.Errorf("%.20q %c %t", line, kind, ok)
	}
}

func TestReaderMemoryIsBounded(t *testing.T) {
	l := newReader(512)
	size := len(l.buf)
	for range 10000 {
		l.fed(copy(l.space(), bytes.Repeat([]byte("A"), 2048)))
		for {
			if _, _, ok := l.next(); !ok {
				break
			}
		}
	}
	if len(l.buf) != size || !l.skip || l.dropped == 0 {
		t.Errorf("buffer %d, skip %t, dropped %d", len(l.buf), l.skip, l.dropped)
	}
}

// FuzzReadCommand holds what the flaws of attack class 1 broke: at most one
// command for each LF, none longer than the limit, the same whatever the cuts,
// and no panic.
func FuzzReadCommand(f *testing.F) {
	for _, s := range []string{
		"USER ann\r\nPASS x\r\n",
		strings.Repeat("\xff", 2000) + "\r\n",                        // a run of IAC (CVE-2010-4221)
		"\xff\xfb\xff\xfc\xff\xfd\xff\xfe\xff\xff\n",                 // every telnet verb
		strings.Repeat("\xff\xf9", 500),                              // IAC with something else, no end
		"\n\n\nNOOP\n",                                               // lines that begin with LF
		"\"MKD a\"b\" \\\"\r\n",                                      // quotes (CVE-2023-51713)
		"\xe4\xf6\xfc\xdf \xc3\r\n",                                  // bytes beyond ASCII in the verb
		"MKD a\r\x00b\r\x00\r\nNO\x00OP\rQUIT\r\n",                   // CR and NUL
		strings.Repeat("A", 5000) + " QUIT\r\nNOOP\r\n",              // an over-long line with a tail (CVE-2008-4242)
		strings.Repeat("x\n", 3000),                                  // many lines
		"GET / HTTP/1.0\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\xfc", // other protocols
	} {
		f.Add([]byte(s), uint16(512), uint16(7))
		f.Add([]byte(s), uint16(1), uint16(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, limit, cut uint16) {
		if len(in) > 1<<16 {
			return
		}
		lim := 1 + int(limit)%5000
		step := 1 + int(cut)%4096
		var pieces [][]byte
		for i := 0; i < len(in); i += step {
			pieces = append(pieces, in[i:min(i+step, len(in))])
		}
		whole, a1 := feed(lim, in)
		parts, a2 := feed(lim, pieces...)
		if fmt.Sprint(whole) != fmt.Sprint(parts) || a1 != a2 {
			t.Fatalf("cut every %d:\n%q\n%q", step, whole, parts)
		}
		if n := bytes.Count(in, []byte{'\n'}); len(whole) > n+1 || len(whole) == n+1 && whole[n] != "l" {
			t.Fatalf("%d lines of %d LF", len(whole), n)
		}
		for _, l := range whole {
			if strings.ContainsRune(l, '\n') || len(l)-1 > lim || l[0] == 'g' && strings.ContainsRune(l, 0) {
				t.Fatalf("line %q", l)
			}
		}
		if len(a1) > len(in) {
			t.Fatalf("%d bytes of answers to %d", len(a1), len(in))
		}
	})
}
