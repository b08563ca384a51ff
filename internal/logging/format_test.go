package logging

import (
	"fmt"
	"net/netip"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport/internal/version"
	"sallyport/ipc"
)

var zone = time.FixedZone("CET", 3600)

// full is an entry in which everything has a value.
func full() *Entry {
	return &Entry{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 678901234, zone), PID: 4711,
		Peer: netip.MustParseAddrPort("192.0.2.7:40000"), Local: netip.MustParseAddrPort("198.51.100.1:21"),
		Host: "files.example.org", ServerName: "The Archive", Class: "lan", User: "alice", Group: "staff", UID: 1000, GID: 100,
		Open: true, Anonymous: true, Root: "/srv/ftp/", In: 700, Out: 800, Reason: "Quit",
		Rec: &ipc.Record{
			Verb: "STOR", Arg: "up load.bin", Code: 226, Text: "Transfer complete", Cwd: "/in", Path: "/in/up load.bin", From: "/in/old",
			Named: "anonymous", Secret: "guest@example.org", Nanos: 1_234_567_890, Transfer: true, Received: 3 << 20, Took: 1_500_000_000,
			Size: 4 << 20, Offset: 1 << 20, Existed: true, Way: "i", Status: "success", Failure: "none to speak of", Port: 40001,
			Protocol: "ftps", Cipher: "TLS_AES_128_GCM_SHA256",
		},
	}
}

// bare is one in which nothing has that need not.
func bareEntry() *Entry {
	return &Entry{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 678901234, zone), PID: 4711,
		Peer: netip.MustParseAddrPort("[2001:db8::7]:40000"), Local: netip.MustParseAddrPort("[2001:db8::1]:2121"),
		Rec: &ipc.Record{Verb: "NOOP"},
	}
}

// TestEveryVariable is the table of docs/LOGGING.md: each variable with a value
// and without.
func TestEveryVariable(t *testing.T) {
	t.Setenv("SALLYPORT_TEST", "set")
	cases := []struct{ v, with, without string }{
		{"%a", "192.0.2.7", "2001:db8::7"},
		{"%A", "guest@example.org", "UNKNOWN"},
		{"%b", "3145728", "-"},
		{"%c", "lan", "-"},
		{"%C", "/in", "-"},
		{"%d", "", ""},
		{"%D", "", ""},
		{"%E", "Quit", "-"},
		{"%f", "/srv/ftp/in/up load.bin", "-"},
		{"%F", "/in/up load.bin", "-"},
		{"%g", "staff", "-"},
		{"%h", "192.0.2.7", "2001:db8::7"},
		{"%H", "198.51.100.1", "2001:db8::1"},
		{"%I", "700", "0"},
		{"%J", "up load.bin", "-"},
		{"%l", "UNKNOWN", "UNKNOWN"},
		{"%L", "198.51.100.1", "2001:db8::1"},
		{"%m", "STOR", "NOOP"},
		{"%O", "800", "0"},
		{"%p", "21", "2121"},
		{"%P", "4711", "4711"},
		{"%r", "STOR up load.bin", "NOOP"},
		{"%R", "1234", "0"},
		{"%s", "226", "-"},
		{"%S", "Transfer complete", "-"},
		{"%t", "[02/Jan/2026:03:04:05 +0100]", "[02/Jan/2026:03:04:05 +0100]"},
		{"%T", "1.500", "-"},
		{"%u", "alice", "UNKNOWN"},
		{"%U", "anonymous", "-"},
		{"%v", "The Archive", "-"},
		{"%V", "files.example.org", "2001:db8::1"},
		{"%w", "/in/old", "-"},
		{"%x", "-", "-"},
		{"%%", "%", "%"},
		{"%{basename}", "up load.bin", "-"},
		{"%{epoch}", "1767319445", "1767319445"},
		{"%{file-modified}", "true", "-"},
		{"%{file-offset}", "1048576", "-"},
		{"%{file-size}", "4194304", "-"},
		{"%{gid}", "100", "-"},
		{"%{iso8601}", "2026-01-02 03:04:05,678", "2026-01-02 03:04:05,678"},
		{"%{microsecs}", "678901", "678901"},
		{"%{millisecs}", "678", "678"},
		{"%{protocol}", "ftps", "ftp"},
		{"%{remote-port}", "40000", "40000"},
		{"%{transfer-failure}", "none to speak of", "-"},
		{"%{transfer-millisecs}", "1500", "-"},
		{"%{transfer-port}", "40001", "-"},
		{"%{transfer-speed}", "2048.00", "-"},
		{"%{transfer-status}", "success", "-"},
		{"%{transfer-type}", "binary", "-"},
		{"%{uid}", "1000", "-"},
		{"%{version}", version.Version, version.Version},
		{"%{note:mod_tls.cipher}", "TLS_AES_128_GCM_SHA256", "-"},
		{"%{note:nothing}", "-", "-"},
		{"%{SALLYPORT_TEST}e", "set", "set"},
		{"%{SALLYPORT_NOT_SET}e", "-", "-"},
		{"%{%Y-%m-%d}t", "2026-01-02", "2026-01-02"},
		{"<%{%H}t:%{%M}t>", "<03:04>", "<03:04>"},
	}
	seen := map[string]bool{}
	for _, c := range cases {
		f, err := ParseFormat(c.v)
		if err != nil {
			t.Errorf("%s: %v", c.v, err)
			continue
		}
		if got := string(f.Append(nil, full())); got != c.with {
			t.Errorf("%s = %q, want %q", c.v, got, c.with)
		}
		if got := string(f.Append(nil, bareEntry())); got != c.without {
			t.Errorf("%s without a value = %q, want %q", c.v, got, c.without)
		}
		seen[c.v] = true
	}
	doc, err := os.ReadFile("../../docs/LOGGING.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variableNames() {
		if !seen[v] {
			t.Errorf("%s has no case", v)
		}
		if !strings.Contains(string(doc), "`"+v+"`") {
			t.Errorf("%s is not in docs/LOGGING.md", v)
		}
	}
}

func variableNames() (l []string) {
	for c := range letters {
		l = append(l, "%"+string(rune(c)))
	}
	for n := range names {
		l = append(l, "%{"+n+"}")
	}
	sort.Strings(l)
	return l
}

// TestVariablesOfOtherCommands are the values that hang on the command.
func TestVariablesOfOtherCommands(t *testing.T) {
	for _, c := range []struct {
		rec          ipc.Record
		format, want string
	}{
		{ipc.Record{Verb: "CWD", Path: "/pub/x"}, "%D|%d|%F|%f", "/srv/ftp/pub/x|x|/pub/x|/srv/ftp/pub/x"},
		{ipc.Record{Verb: "XMKD", Path: "/pub/x"}, "%D|%d", "/srv/ftp/pub/x|x"},
		{ipc.Record{Verb: "CDUP", Path: "/"}, "%D|%d", "/srv/ftp/|/"},
		{ipc.Record{Verb: "RETR", Path: "/x", Transfer: true, Way: "o", Sent: 9, ASCII: true}, "%D|%d|%b|%{file-modified}|%{transfer-type}", "||9|-|ASCII"},
		{ipc.Record{Verb: "STOR", Transfer: true, Way: "i"}, "%b|%{file-modified}|%{transfer-speed}|%{transfer-port}|%{transfer-status}", "0|false|-|-|-"},
		{ipc.Record{Verb: "DELE", Transfer: true, Way: "d", Size: 77}, "%b|%{file-size}|%T|%{transfer-type}|%{file-offset}", "77|77|-|-|-"},
		{
			ipc.Record{Verb: "STOR", Transfer: true, Way: "i", Sent: 1 << 62, Received: 1 << 62, Offset: -1, Size: -1, Took: -1, Nanos: -1}, // a session that lies
			"%b|%{file-size}|%R|%{transfer-millisecs}|%{file-offset}", "9223372036854775807|-|0|0|0",
		},
		{ipc.Record{Verb: "LIST", Transfer: true, Sent: 5, Took: 1e6}, "%b|%{file-size}|%T|%{file-offset}", "5|-|0.001|-"},
		{ipc.Record{Verb: "LIST", Code: 7}, "%s", "007"},
		{ipc.Record{Verb: "RETR", Code: 550, Text: "x: No such file or directory"}, "%{transfer-status}|%{transfer-failure}|%{transfer-type}|%b", "failed|x: No such file or directory|binary|-"},
		{ipc.Record{Verb: "SIZE", Code: 550, Text: "x: No such file or directory"}, "%{transfer-status}|%{transfer-failure}", "-|-"},
		{ipc.Record{Verb: "ABOR", Code: 226, Text: "Abort successful", ASCII: true}, "%{transfer-status}|%{transfer-failure}|%{transfer-type}", "cancelled|-|-"},
		{ipc.Record{Verb: "ABOR", Code: 530}, "%{transfer-status}", "-"},
		{ipc.Record{Verb: "PASS", Arg: "open sesame"}, "%r|%J", "PASS (hidden)|(hidden)"},
		{ipc.Record{Verb: "ADAT", Arg: "secret"}, "%r", "ADAT (hidden)"},
		{ipc.Record{Verb: "ACCT", Arg: "secret"}, "%r", "ACCT (hidden)"},
		{ipc.Record{Verb: "AUTH", Arg: "TLS"}, "%r", "AUTH TLS"},
		{ipc.Record{Verb: "NOOP", Protocol: "x\n"}, "%{protocol}", "ftp"},
		{ipc.Record{Verb: "STOR", Transfer: true, Way: "i", Sent: -5, Received: -6, Took: -7, Nanos: -8, Size: -1}, "%b|%T|%R|%{file-size}", "0|0.000|0|-"},
	} {
		f, err := ParseFormat(c.format)
		if err != nil {
			t.Fatal(err)
		}
		e := full()
		e.Rec = &c.rec
		if got := string(f.Append(nil, e)); got != c.want {
			t.Errorf("%s of %s = %q, want %q", c.format, c.rec.Verb, got, c.want)
		}
	}
}

func TestDefaultFormat(t *testing.T) {
	f, err := ParseFormat("")
	if err != nil {
		t.Fatal(err)
	}
	e := full()
	e.Rec = &ipc.Record{Verb: "LIST", Code: 226, Transfer: true, Sent: 1234}
	got := string(f.Append([]byte("before "), e))
	if want := `before 192.0.2.7 UNKNOWN alice [02/Jan/2026:03:04:05 +0100] "LIST" 226 1234`; got != want {
		t.Errorf("LIST: %s", got)
	}
	e.Rec = &ipc.Record{Verb: "RETR", Arg: "nothing", Code: 550}
	if got, want := string(f.Append(nil, e)), `192.0.2.7 UNKNOWN alice [02/Jan/2026:03:04:05 +0100] "RETR nothing" 550 -`; got != want {
		t.Errorf("a failed RETR: %s", got)
	}
	if f.Totals() {
		t.Error("the default format asks for totals")
	}
	if g, _ := ParseFormat("%I"); !g.Totals() {
		t.Error("%I does not ask for totals")
	}
}

func TestFormatErrorsNameThePlace(t *testing.T) {
	for format, want := range map[string]string{
		"%h %q":           `format: unknown variable "%q" at byte 4`,
		"%":               `format: "%" at byte 1: a variable is missing`,
		"ab %{nothing} c": `format: unknown variable "%{nothing}" at byte 4`,
		"%{open":          `format: "%{open" at byte 1 has no "}"`,
		"a\nb":            `format: control character \x0a at byte 2`,
		"%{%n}t":          `format: "%{%n}t" at byte 1: unknown time conversion "%n"`,
		"%{%t}t":          `format: "%{%t}t" at byte 1: unknown time conversion "%t"`,
		"%{}t":            `format: "%{}t" at byte 1: an empty time format`,
		"%{%}t":           `format: "%{%}t" at byte 1: the time format ends in %`,
		"%{a\x1bb}t":      `format: "%{a\x1bb}t" at byte 1: control character \x1b`,
		"%{}e":            `format: unknown variable "%{}" at byte 1`,
		"%{note:}":        `format: unknown variable "%{note:}" at byte 1`,
		"\u00fc %k":       `format: unknown variable "%k" at byte 4`,
	} {
		if f, err := ParseFormat(format); err == nil || f != nil || err.Error() != want {
			t.Errorf("ParseFormat(%q): %v, want %s", format, err, want)
		}
	}
	if _, err := ParseFormat(strings.Repeat("x", maxFormat+1)); err == nil {
		t.Error("a format without end is taken")
	}
}

// nasty are names that try to be more than one.
func nasty() []string {
	l := []string{
		"x\nFAKE 192.0.2.99", "x\r\n10.0.0.1 UNKNOWN root [02/Jan/2026:03:04:05 +0100] \"PASS\" 230 -", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07",
		"a\" 230 0\n", `back\slash`, `\x0a`, `\"`, "\x00", "\x7f", "\u0085", "\u009b31m", "\u2028", "\u2029", "\u202e", "\ufeff", "\xff\xfe\n", "\xc2",
		"a\tb\vc\fd", strings.Repeat("\n", 5000), strings.Repeat("\xff", 5000), strings.Repeat("ü", 5000), "%s%n%{iso8601}", "", " ", "-",
		"x from 203.0.113.9", "x [203.0.113.9]", "203.0.113.9",
	}
	for i := 0; len(l) < 200; i++ {
		l = append(l, fmt.Sprintf("n%c%c%d", rune(i%256), i%32, i), string([]byte{byte(i), '"', byte(255 - i), '\n'}))
	}
	return l
}

// hostileEntry has the name wherever a client or a session could put it.
func hostileEntry(name string) *Entry {
	e := full()
	e.User, e.Group, e.Class, e.Host, e.ServerName, e.Reason = name, name, name, name, name, name
	r := e.Rec
	r.Verb, r.Arg, r.Text, r.Cwd, r.Path, r.From, r.Named, r.Secret = name, name, name, name, name, name, name, name
	r.Status, r.Failure, r.Protocol, r.Cipher, r.Way = name, name, name, name, name
	return e
}

// TestNoNameForgesALine holds, for every variable and many hostile names, that
// what comes out is one line of printable characters in which the client's
// address stands first and quotes are only those of the format.
func TestNoNameForgesALine(t *testing.T) {
	for _, name := range nasty() {
		e := hostileEntry(name)
		for _, v := range append(variableNames(), "%{note:tls.cipher}") {
			f, err := ParseFormat(`%a "` + v + `" end`)
			if err != nil {
				t.Fatal(err)
			}
			line := string(f.Append(nil, e))
			inner, ok := strings.CutPrefix(line, `192.0.2.7 "`)
			inner, ok2 := strings.CutSuffix(inner, `" end`)
			if !ok || !ok2 {
				t.Fatalf("%s of %q: %q", v, name, line)
			}
			holdHarmless(t, line)
			if _, err := strconv.Unquote(`"` + inner + `"`); err != nil {
				t.Fatalf("%s of %q: %q cannot be read back", v, name, inner)
			}
		}
	}
}

func holdHarmless(t *testing.T, line string) {
	t.Helper()
	for i, r := range line {
		if !strconv.IsPrint(r) || r == '\ufffd' && line[i] != 0xef {
			t.Fatalf("%U in %q", r, line)
		}
	}
}

func TestLineIsBounded(t *testing.T) {
	f, err := ParseFormat(strings.Repeat("%F", 2000))
	if err != nil {
		t.Fatal(err)
	}
	e := hostileEntry(strings.Repeat("\xff", 8192))
	if n := len(f.Append(nil, e)); n > maxLine+4*maxValue+64 {
		t.Errorf("a line of %d bytes", n)
	}
}

func TestArgumentsAreCut(t *testing.T) {
	f, err := ParseFormat("%J")
	if err != nil {
		t.Fatal(err)
	}
	e := full()
	e.Rec.Arg = strings.Repeat("a", 3000)
	if d := cmp.Diff(strings.Repeat("a", 1024)+"… (3000 bytes)", string(f.Append(nil, e))); d != "" {
		t.Error(d)
	}
}

// TestRawIsForALogThatEscapes: the text goes through one escaping, not two.
func TestRawIsForALogThatEscapes(t *testing.T) {
	got := lines(t, func(l *Log) {
		f, err := ParseFormat("%U")
		if err != nil {
			t.Fatal(err)
		}
		l.Info(string(f.AppendRaw(nil, &Entry{Rec: &ipc.Record{Named: "a\nb\\c"}})))
	})
	if d := cmp.Diff([]string{`INFO a\x0ab\\c`}, got); d != "" {
		t.Error(d)
	}
}

func TestFormatAllocatesNothing(t *testing.T) {
	f, err := ParseFormat(DefaultFormat + " %{iso8601} %F %T %I")
	if err != nil {
		t.Fatal(err)
	}
	e, b := full(), make([]byte, 0, 4096)
	e.Rec.Path = "/in/file"
	e.Root = "/"
	if n := testing.AllocsPerRun(100, func() { b = f.Append(b[:0], e) }); n > 0 {
		t.Errorf("%v allocations a line", n)
	}
}

func FuzzParseFormat(f *testing.F) {
	for _, s := range []string{DefaultFormat, "%{iso8601}", "%{%Y}t", "%{A}e", "%{note:x}", "%", "%{", "%{}", "\x00", "%%%"} {
		f.Add(s, "name\n")
	}
	f.Fuzz(func(t *testing.T, s, name string) {
		p, err := ParseFormat(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(string(p.Append(nil, hostileEntry(name))), "\n\r\x1b\x00") {
			t.Errorf("format %q and name %q make more than a line", s, name)
		}
	})
}

// TestAnyBytesAnyFormat is the same by property.
func TestAnyBytesAnyFormat(t *testing.T) {
	all := variableNames()
	rapid.Check(t, func(rt *rapid.T) {
		vs := rapid.SliceOfN(rapid.SampledFrom(all), 1, 6).Draw(rt, "variables")
		name := string(rapid.SliceOf(rapid.Byte()).Draw(rt, "name"))
		f, err := ParseFormat(strings.Join(vs, " "))
		if err != nil {
			rt.Fatal(err)
		}
		for _, r := range string(f.Append(nil, hostileEntry(name))) {
			if !strconv.IsPrint(r) {
				rt.Fatalf("%U", r)
			}
		}
	})
}
