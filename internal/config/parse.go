package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
)

// Facts are what a file's defaults depend on. [DetectFacts] finds them.
type Facts struct {
	Root      bool // started with root rights; else rootless: virtual users only
	PamHelper bool // the pam helper is installed
}

// DetectFacts looks at the own uid and for the pam helper in the directory
// libexec.
func DetectFacts(libexec string) Facts {
	st, err := os.Stat(libexec + "/pam")
	return Facts{Root: os.Geteuid() == 0, PamHelper: err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0}
}

// Load reads and compiles the file at path. The policy is nil if the
// diagnostics have errors; all errors of the file are in them, in its order.
func Load(path string, facts Facts) (*policy.Policy, Diagnostics) {
	src, err := readFile(path)
	if err != nil {
		return nil, Diagnostics{{Severity: Error, File: path, Problem: err.Error()}}
	}
	return parse(path, src, facts, readText)
}

// readFile reads at most MaxFile bytes of a file. A pipe is read, too.
func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", reason(err))
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", reason(err))
	}
	if st.IsDir() {
		return nil, errors.New("is a directory")
	}
	src, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", reason(err))
	}
	if len(src) == 0 && st.Mode()&os.ModeNamedPipe != 0 {
		return nil, errors.New("is a pipe that nobody writes to")
	}
	if len(src) > MaxFile {
		return nil, fmt.Errorf("is longer than %d bytes", MaxFile)
	}
	return src, nil
}

// maxText bounds a display file, in bytes.
const maxText = 4 << 10

// readText reads a display file: a regular file of at most maxText bytes of text.
func readText(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", reason(err))
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return "", errors.New("is no regular file")
	}
	b, err := io.ReadAll(io.LimitReader(f, maxText+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("cannot be read: %w", reason(err))
	case len(b) > maxText:
		return "", fmt.Errorf("is longer than %d bytes", maxText)
	case bytes.IndexByte(b, 0) >= 0:
		return "", errors.New("is no text: it holds a zero byte")
	}
	return string(b), nil
}

// reason strips the path that the diagnostic already shows.
func reason(err error) error {
	if p := (*os.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Parse compiles src, the content of the file that messages call name. It does
// what [Load] does but for display files: their texts stay empty.
func Parse(name string, src []byte, facts Facts) (*policy.Policy, Diagnostics) {
	return parse(name, src, facts, nil)
}

// parse is Load and Parse; read reads display files.
func parse(name string, src []byte, facts Facts, read func(path string) (string, error)) (*policy.Policy, Diagnostics) {
	p := &parser{t: grammar(), name: name, src: src, lines: bytes.Split(src, []byte("\n")), facts: facts, readText: read, texts: map[string]string{}}
	top := p.read()
	if p.diags.HasErrors() && top == nil {
		p.diags.sort()
		return nil, p.diags
	}
	pol := p.compile(top)
	p.diags.sort()
	if p.diags.HasErrors() {
		return nil, p.diags
	}
	return pol, p.diags
}

// maxSlips bounds what is told of a file that is no HCL.
const maxSlips = 20

// parser is one run over one file.
type parser struct {
	t     *table
	name  string
	src   []byte
	lines [][]byte
	facts Facts
	diags Diagnostics

	readText func(path string) (string, error) // nil: display files are not read
	texts    map[string]string                 // display files by path
	formats  map[string]string                 // log formats by name
	tokens   hclsyntax.Tokens                  // for keyAt, once they are needed
}

// read turns the file into its top section, or nil if it is no HCL.
func (p *parser) read() *section {
	if len(p.src) > MaxFile {
		p.diags = append(p.diags, Diagnostic{Severity: Error, File: p.name, Problem: fmt.Sprintf("is longer than %d bytes", MaxFile)})
		return nil
	}
	if i := bytes.IndexByte(p.src, 0); i >= 0 {
		p.diags = append(p.diags, Diagnostic{Severity: Error, File: p.name, Line: 1 + bytes.Count(p.src[:i], []byte("\n")), Column: 1, Problem: "is no text: it holds a zero byte"})
		return nil
	}
	if !scan(p.name, p.src, func(rng hcl.Range, what, right string) {
		src := string(rng.SliceBytes(p.src))
		p.add(rng, Diagnostic{Key: p.keyAt(rng.Start.Byte), Value: src, Problem: src + " " + what, Right: right})
	}) {
		return nil
	}
	f, diags := hclsyntax.ParseConfig(p.src, p.name, hcl.InitialPos)
	for i, d := range diags {
		rng := hcl.Range{Filename: p.name, Start: hcl.InitialPos, End: hcl.InitialPos}
		if d.Subject != nil {
			rng = *d.Subject
		}
		if i == maxSlips { // each byte of a file that is none would be one
			p.add(rng, Diagnostic{Problem: fmt.Sprintf("is the first of %d more such mistakes", len(diags)-i)})
			break
		}
		p.add(rng, Diagnostic{Key: p.keyAt(rng.Start.Byte), Problem: strings.TrimSuffix(strings.ToLower(d.Summary[:1])+d.Summary[1:], "."), Right: d.Detail})
	}
	if diags.HasErrors() {
		return nil
	}
	top := &section{ctx: Top}
	p.body(f.Body.(*hclsyntax.Body), "", top)
	return top
}

// maxSource bounds the line that a diagnostic shows, in characters.
const maxSource = 200

// around returns what is shown of a line whose character at matters, and how
// many characters are left out in front of it.
func around(line string, at int) (shown string, cut int) {
	if len(line) <= maxSource {
		return line, 0
	}
	r := []rune(line)
	if len(r) <= maxSource {
		return line, 0
	}
	cut = min(max(at-maxSource/2, 0), len(r)-maxSource)
	return string(r[cut : cut+maxSource]), cut
}

// add completes a diagnostic with its place. Its severity is Error if none is
// given.
func (p *parser) add(rng hcl.Range, d Diagnostic) {
	if d.Severity == "" {
		d.Severity = Error
	}
	d.File, d.Line, d.Column, d.Width = p.name, rng.Start.Line, rng.Start.Column, 1
	if rng.End.Line == rng.Start.Line && rng.End.Column > rng.Start.Column {
		d.Width = rng.End.Column - rng.Start.Column
	}
	if i := rng.Start.Line - 1; i >= 0 && i < len(p.lines) {
		line := strings.TrimRight(strings.ToValidUTF8(string(p.lines[i]), "?"), "\r")
		if rng.End.Line > rng.Start.Line { // underline to the end of the first line
			d.Width = max(1, utf8.RuneCountInString(line)-d.Column+1)
		}
		d.Source, d.cut = around(line, d.Column-1)
	}
	d.Key, d.Value, d.Problem, d.Suggest, d.Right = clean(d.Key), clean(d.Value), clean(d.Problem), clean(d.Suggest), clean(d.Right)
	if len(d.Value) > 100 {
		d.Value = strings.ToValidUTF8(d.Value[:97], "") + "..."
	}
	p.diags = append(p.diags, d)
}
