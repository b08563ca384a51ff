package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Severity says whether a diagnostic makes the file unusable.
type Severity string

// The severities: an error refuses the file, a warning is told and no more, a
// notice says what an administrator may want to choose otherwise.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Notice  Severity = "notice"
)

// Diagnostic is one thing that is wrong with a file, and where.
type Diagnostic struct {
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	Line     int      `json:"line,omitempty"`   // from 1; 0: the file as a whole
	Column   int      `json:"column,omitempty"` // from 1, in characters
	Width    int      `json:"-"`                // characters to underline
	Key      string   `json:"key,omitempty"`    // full path: "max.login_attempts"
	Value    string   `json:"value,omitempty"`  // as written, where a value is at fault
	Problem  string   `json:"problem"`
	Right    string   `json:"right,omitempty"`      // what would be right
	Suggest  string   `json:"suggestion,omitempty"` // the name that was probably meant
	NotBuilt bool     `json:"not_built,omitempty"`  // the word belongs to a feature to come
	Source   string   `json:"source,omitempty"`     // the line of the file; of a long one the part around the column

	cut int // characters of the line that Source leaves out in front
}

// Headline is the diagnostic in one line: `file:3:5: error: max.x: problem`.
func (d Diagnostic) Headline() string {
	var b strings.Builder
	b.WriteString(d.File)
	if d.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", d.Line, d.Column)
	}
	fmt.Fprintf(&b, ": %s: ", d.Severity)
	if d.Key != "" {
		b.WriteString(d.Key + ": ")
	}
	b.WriteString(d.Problem)
	return b.String()
}

// String is the whole diagnostic: headline, source line with carets, help.
func (d Diagnostic) String() string {
	var b strings.Builder
	b.WriteString(d.Headline() + "\n")
	if d.Line > 0 && d.Source != "" {
		num := fmt.Sprintf("%5d", d.Line)
		fmt.Fprintf(&b, "%s | %s\n%s | %s%s\n", num, clean(d.Source), strings.Repeat(" ", len(num)),
			indent(d.Source, d.Column-1-d.cut), strings.Repeat("^", min(max(d.Width, 1), maxSource)))
	}
	if d.Suggest != "" {
		fmt.Fprintf(&b, "      = did you mean %s?\n", d.Suggest)
	}
	if d.Right != "" {
		fmt.Fprintf(&b, "      = %s\n", d.Right)
	}
	return b.String()
}

// indent is as wide as the first n characters of line: tabs stay tabs.
func indent(line string, n int) string {
	var b strings.Builder
	for _, r := range line {
		if n--; n < 0 {
			break
		}
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	b.WriteString(strings.Repeat(" ", max(n, 0)))
	return b.String()
}

// clean makes text of the file safe to print: one line, no control bytes.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return ' '
		}
		if r != '\t' && (r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// Diagnostics is everything that is to be said about a file, in its order.
type Diagnostics []Diagnostic

// HasErrors says whether the file cannot be used.
func (ds Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return d.Severity == Error })
}

// Errors returns the errors alone.
func (ds Diagnostics) Errors() Diagnostics { return ds.only(Error) }

// Warnings returns the warnings alone.
func (ds Diagnostics) Warnings() Diagnostics { return ds.only(Warning) }

func (ds Diagnostics) only(s Severity) Diagnostics {
	return slices.DeleteFunc(slices.Clone(ds), func(d Diagnostic) bool { return d.Severity != s })
}

// Err is nil if there are no errors, else an error with all of them, one
// headline a line.
func (ds Diagnostics) Err() error {
	var errs []error
	for _, d := range ds.Errors() {
		errs = append(errs, errors.New(d.Headline()))
	}
	return errors.Join(errs...)
}

// Lines returns the headlines, for logs and the control socket.
func (ds Diagnostics) Lines() []string {
	var out []string
	for _, d := range ds {
		out = append(out, d.Headline())
	}
	return out
}

// Write prints all diagnostics with their source lines.
func (ds Diagnostics) Write(w io.Writer) {
	for _, d := range ds {
		fmt.Fprint(w, d.String())
	}
}

func (ds Diagnostics) sort() {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
