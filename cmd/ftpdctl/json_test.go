package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestJSONIsFitForATerminal and means what it meant.
func TestJSONIsFitForATerminal(t *testing.T) {
	name := "päth \u4e16 \U0001f600 <&>\"\\ \x1b[31m \x7f \u009b31m \u202e \u2028 \u200b \U000e0041 \ufeff"
	var b bytes.Buffer
	if err := writeJSON(&b, map[string]string{name: name}); err != nil {
		t.Fatal(err)
	}
	for _, r := range "\x1b\x7f\u009b\u202e\u2028\u200b\U000e0041\ufeff" {
		if strings.ContainsRune(b.String(), r) {
			t.Errorf("%U stands in %q", r, b.String())
		}
	}
	if !strings.Contains(b.String(), "päth \u4e16 \U0001f600 <&>") {
		t.Errorf("what can be printed is gone: %s", b.String())
	}
	var back map[string]string
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back[name] != name {
		t.Errorf("%v, %q", err, back)
	}
}
