package config

import (
	"testing"

	"pgregory.net/rapid"
)

func TestTimes(t *testing.T) {
	for s, want := range map[string]int64{
		"90s": 90, "10m": 600, "1h30m": 5400, "7d": 604800, "2w": 1209600, "0s": 0, "1d1s": 86401, "007s": 7,
		"": -1, "s": -1, "10": -1, "10x": -1, "-1s": -1, "1s1m": -1, "1m1m": -1, "1.5h": -1, "10 m": -1, "99999999999s": -1, "10M": -1, "٣s": -1,
	} {
		n, err := parseSeconds(s)
		if err != nil != (want < 0) || err == nil && int64(n) != want {
			t.Errorf("%q: %d, %v, want %d", s, n, err, want)
		}
	}
}

func TestSizes(t *testing.T) {
	for s, want := range map[string]int64{
		"512KiB": 524288, "2GiB": 2147483648, "1TiB": 1 << 40, "3MiB": 3 << 20, "7B": 7,
		"": -1, "KiB": -1, "1KB": -1, "-1B": -1, "1.5KiB": -1, "12": -1, "99999999TiB": -1, "1 KiB": -1,
	} {
		n, err := parseSize(s)
		if err != nil != (want < 0) || err == nil && int64(n) != want {
			t.Errorf("%q: %d, %v, want %d", s, n, err, want)
		}
	}
}

func TestRates(t *testing.T) {
	for s, want := range map[string]string{
		"20/1s": "20/1s", "100/m": "100/1m", "2/10m": "2/10m",
		"": "", "20": "", "0/1s": "", "20/": "", "20/0s": "", "-1/1s": "", "1/99w": "", "x/1s": "",
	} {
		n, nanos, err := parseRate(s)
		if err != nil != (want == "") || err == nil && formatRate(n, nanos) != want {
			t.Errorf("%q: %d in %d ns, %v", s, n, nanos, err)
		}
	}
}

func TestModes(t *testing.T) {
	for s, want := range map[string]int64{"022": 0o22, "0777": 0o777, "000": 0, "27": -1, "1022": -1, "089": -1, "": -1, "-22": -1, "0o22": -1} {
		n, err := parseMode(s)
		if err != nil != (want < 0) || err == nil && int64(n) != want {
			t.Errorf("%q: %o, %v", s, n, err)
		}
	}
}

// TestFormatsParseBack: what is shown is read as the same value.
func TestFormatsParseBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(0, 1<<33).Draw(t, "n")
		if got, err := parseSeconds(formatSeconds(n)); err != nil || got != n {
			t.Fatalf("%d seconds: %s, %d, %v", n, formatSeconds(n), got, err)
		}
		if got, err := parseSize(formatSize(n)); err != nil || got != n {
			t.Fatalf("%d bytes: %s, %d, %v", n, formatSize(n), got, err)
		}
		s := rapid.String().Draw(t, "s")
		v := mustValue(quote(s))
		again, _ := v.text()
		if w := mustValue(quote(again)); !w.v.RawEquals(v.v) {
			t.Fatalf("%q is written %s", s, quote(s))
		}
	})
}

func TestSuggestions(t *testing.T) {
	words := []string{"umask", "ident", "allow_overwrite", "off", "enforce"}
	for word, want := range map[string]string{
		"umaks": "umask", "Ident": "ident", "allow_overwrites": "allow_overwrite", "allowoverwrite": "allow_overwrite", "of": "off",
		"x": "", "tls": "", "enforced": "enforce", "umask": "", "zzzzzz": "",
	} {
		if got := nearest(word, words); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}
