package strftime

import (
	"testing"
	"time"
)

func TestConversions(t *testing.T) {
	zone := time.FixedZone("CET", 3600)
	for _, c := range []struct{ at, format, want string }{
		{"2026-01-02 03:04:05", "%a %A %b %B %h %c", "Fri Friday Jan January Jan Fri Jan  2 03:04:05 2026"},
		{"2026-01-02 13:04:05", "%d %D %e %F %H %I %j", "02 01/02/26  2 2026-01-02 13 01 002"},
		{"2026-01-02 13:04:05", "%k|%l|%m|%M|%p|%P", "13| 1|01|04|PM|pm"},
		{"2026-01-02 00:04:05", "%k|%l", " 0|12"},
		{"2026-01-02 13:04:05", "%r|%R|%S|%T|%x|%X|%y|%Y|%z|%Z|%%", "01:04:05 PM|13:04|05|13:04:05|01/02/26|13:04:05|26|2026|+0100|CET|%"},
		{"2026-01-02 13:04:05", "%C %g %G %s %u %U %V %w %W", "20 26 2026 1767355445 5 00 01 5 00"},
		{"2027-01-03 13:04:05", "%g %G %u %U %V %w %W", "26 2026 7 01 53 0 00"},
		{"2024-12-30 13:04:05", "%G %u %U %V %w %W", "2025 1 52 01 1 53"},
	} {
		at, err := time.ParseInLocation("2006-01-02 15:04:05", c.at, zone)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Compile(c.format)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(f.Append(nil, at)); got != c.want {
			t.Errorf("%s at %s = %q, want %q", c.format, c.at, got, c.want)
		}
	}
}

func TestWhatIsNoFormat(t *testing.T) {
	for format, want := range map[string]string{
		"":      "an empty time format",
		"%":     "the time format ends in %",
		"%n":    `unknown time conversion "%n"`,
		"%t":    `unknown time conversion "%t"`,
		"%Q":    `unknown time conversion "%Q"`,
		"a\x1b": "control character \\x1b",
	} {
		if f, err := Compile(format); err == nil || f != nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", format, err, want)
		}
	}
}
