package config

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestTLSNamesAreThoseOfCryptoTLS: master does not link crypto/tls, so its names
// stand in the table once more.
func TestTLSNamesAreThoseOfCryptoTLS(t *testing.T) {
	var want []string
	for _, s := range tls.CipherSuites() {
		if slices.Contains(s.SupportedVersions, tls.VersionTLS12) && regexp.MustCompile(`ECDHE.*(GCM|CHACHA20)`).MatchString(s.Name) {
			want = append(want, s.Name)
		}
	}
	got := slices.Clone(tlsCiphers)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("suites %v, crypto/tls has %v", got, want)
	}
	want = nil
	for _, c := range []tls.CurveID{
		tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521,
	} {
		want = append(want, c.String())
	}
	if !slices.Equal(tlsCurves, want) {
		t.Errorf("curves %v, crypto/tls has %v", tlsCurves, want)
	}
}

// TestLogsKnowEveryCommand: whatever a session understands, a log may name.
func TestLogsKnowEveryCommand(t *testing.T) {
	files, err := filepath.Glob("../ftp/*.go")
	if err != nil {
		t.Fatal(err)
	}
	row, n := regexp.MustCompile(`\{verb: "([A-Z0-9]+)"`), 0
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range row.FindAllStringSubmatch(string(src), -1) {
			verb := m[1]
			if filepath.Base(f) == "site.go" {
				verb = "SITE " + verb
			}
			if n++; !slices.Contains(logVerbs, verb) {
				t.Errorf("%s of %s is missing", verb, f)
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d commands found", n)
	}
}

func sorted(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return out
}
