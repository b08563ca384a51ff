package ftp

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// cuts splits b at random places.
func cuts(t *rapid.T, b []byte) [][]byte {
	var p [][]byte
	for len(b) > 0 {
		n := rapid.IntRange(1, len(b)).Draw(t, "cut")
		p = append(p, b[:n])
		b = b[n:]
	}
	return p
}

var text = rapid.SliceOfN(rapid.SampledFrom([]byte("\r\n\r\nab\x00\xff")), 0, 200)

func toNetwork(pieces ...[]byte) string {
	var c toNet
	var out []byte
	for _, p := range pieces {
		out = c.convert(out, p)
	}
	return string(out)
}

// fromNetwork converts as receive does: in place, with room for a held CR.
func fromNetwork(pieces ...[]byte) string {
	var c fromNet
	var out []byte
	for _, p := range pieces {
		buf := append([]byte{0}, p...)
		out = append(out, c.convert(buf[:0], buf[1:])...)
	}
	return string(c.end(out))
}

func TestASCIIToNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a": "a", "\n": "\r\n", "a\nb": "a\r\nb", "a\r\nb": "a\r\nb", "\r": "\r", "\r\r\n": "\r\r\n", "\n\n": "\r\n\r\n", "\r\n\n": "\r\n\r\n",
	} {
		if got := toNetwork([]byte(in)); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestASCIIFromNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a": "a", "\r\n": "\n", "a\r\nb": "a\nb", "\n": "\n", "\r": "\r", "\r\r\n": "\r\n", "a\rb": "a\rb", "\r\r": "\r\r", "\r\n\r": "\n\r",
	} {
		if got := fromNetwork([]byte(in)); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestASCIICutAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := text.Draw(t, "text")
		p := cuts(t, b)
		if one, many := toNetwork(b), toNetwork(p...); one != many {
			t.Fatalf("to the network: %q, in pieces %q", one, many)
		}
		if one, many := fromNetwork(b), fromNetwork(p...); one != many {
			t.Fatalf("from the network: %q, in pieces %q", one, many)
		}
	})
}

func TestASCIIRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := text.Draw(t, "text")
		if bytes.Contains(b, []byte("\r\n")) {
			return // a CR LF in a file is a line end on the network, and comes back as LF
		}
		if got := fromNetwork([]byte(toNetwork(b))); got != string(b) {
			t.Fatalf("%q came back as %q", b, got)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		b := string(text.Draw(t, "text"))
		if got := toNetwork([]byte(b)); strings.ReplaceAll(got, "\r\n", "") != strings.ReplaceAll(strings.ReplaceAll(b, "\r\n", ""), "\n", "") {
			t.Fatalf("%q became %q: more than line ends has changed", b, got)
		}
	})
}
