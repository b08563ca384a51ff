package main

import (
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/config"
	"sallyport/internal/policy"
)

// TestFixedNamesWhatOnlyARestartChanges: each such key refuses a reload by its
// name, and another one does not.
func TestFixedNamesWhatOnlyARestartChanges(t *testing.T) {
	parse := func(src string) *policy.Policy {
		p, diags := config.Parse("x.hcl", []byte(src), config.Facts{})
		if p == nil {
			t.Fatal(diags)
		}
		return p
	}
	from := parse("")
	for key, src := range map[string]string{
		"instance": `instance = "x"`, "run_dir": `run_dir = "/x"`, "state_dir": `state_dir = "/x"`, "user": `user = "x"`,
		"control.engine": "control { engine = false }", "control.socket": `control { socket = "/x" }`, "control.group": `control { group = "x" }`,
		"delay.table": `delay { table = "none" }`,
	} {
		err := fixed(from, parse(src))
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%s (", key)) {
			t.Errorf("%s: %v", key, err)
		}
	}
	if err := fixed(from, parse("delay { engine = false }\numask = \"077\"\n")); err != nil {
		t.Error(err)
	}
}
