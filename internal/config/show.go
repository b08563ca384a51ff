package config

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"sallyport/internal/policy"
)

// Show prints the effective configuration as HCL: what is not the default, or
// with defaults every key. Parsing the output gives the same policy.
func Show(w io.Writer, p *policy.Policy, defaults bool) error {
	var b strings.Builder
	treeOf(p, defaults).write(&b, "")
	_, err := io.WriteString(w, b.String())
	if err != nil {
		return fmt.Errorf("show configuration: %w", err)
	}
	return nil
}

// ShowJSON is Show in JSON: keys as values, blocks as objects, blocks that may
// repeat as lists of {"label", "settings"}.
func ShowJSON(w io.Writer, p *policy.Policy, defaults bool) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(treeOf(p, defaults)); err != nil {
		return fmt.Errorf("show configuration: %w", err)
	}
	return nil
}
