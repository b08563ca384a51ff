package ipc

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/TRUST.md")

// Structs of this package that are no messages of their own.
var noMessages = map[string]string{
	"Conn": "", "Message": "", "Queue": "", "Row": "", "Dialogue": "", "ProtocolError": "",
	"FileInfo": "part of StatReply", "RateRule": "part of FilesChannel", "Company": "part of FilesChannel", "OfferedCertificate": "part of TLSOffer",
	"CertificateInfo": "part of Expiring",
}

// source reads the package's own files, without tests.
func source(t *testing.T) []*ast.File {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var fs []*ast.File
	for _, n := range names {
		if strings.HasSuffix(n, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), n, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		fs = append(fs, f)
	}
	return fs
}

// TestTablesAreClosed reads the source: every dialogue is tested here, and every
// exported struct is a message of exactly one.
func TestTablesAreClosed(t *testing.T) {
	in := map[string][]string{}
	for _, d := range dialogues {
		if _, ok := ends[d]; !ok {
			t.Errorf("%s: its ends are not named", d.Name)
		}
		for _, r := range d.Rows {
			name := d.ready().byKind[r.Kind].typ.Name()
			in[name] = append(in[name], d.Name)
			if e := ends[d]; r.From != e[0] && r.From != e[1] {
				t.Errorf("%s: %s comes from %s, which is at neither end", d.Name, name, r.From)
			}
		}
	}
	made := 0
	for _, f := range source(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "newDialogue" {
					made++
				}
			case *ast.TypeSpec:
				if _, ok := n.Type.(*ast.StructType); !ok || !n.Name.IsExported() {
					break
				}
				name := n.Name.Name
				if _, no := noMessages[name]; no == (len(in[name]) > 0) || len(in[name]) > 1 {
					t.Errorf("%s is a message of %d dialogues %q", name, len(in[name]), in[name])
				}
			}
			return true
		})
	}
	if made != len(dialogues) {
		t.Errorf("the source makes %d dialogues, %d are tested", made, len(dialogues))
	}
	names := map[string]bool{}
	for _, d := range dialogues {
		if names[d.Name] {
			t.Errorf("two dialogues are called %s", d.Name)
		}
		names[d.Name] = true
	}
}

func TestRowOf(t *testing.T) {
	for _, body := range []any{Assign{}, &Assign{}} {
		if r, ok := SessionNotice.RowOf(body); !ok || r.Kind != 1 || r.FDs != 3 {
			t.Errorf("%T: %+v, %v", body, r, ok)
		}
	}
	for _, body := range []any{nil, 1, "x", Stat{}, struct{}{}} {
		if r, ok := SessionNotice.RowOf(body); ok {
			t.Errorf("%T: %+v", body, r)
		}
	}
}

// TestMasterTakesNoDescriptors: what is less trusted passes master nothing.
func TestMasterTakesNoDescriptors(t *testing.T) {
	for _, d := range dialogues {
		if e := ends[d]; (e[0] == Master || e[1] == Master) && d.passes(Master) {
			t.Errorf("%s brings descriptors to master", d.Name)
		}
	}
}

func TestWrongTablesPanic(t *testing.T) {
	type twice struct{ A int }
	type hidden struct{ a int } //nolint:unused // a field that is not exported is the point
	type deep struct{ A [][][][][][][][][]int }
	ok := Row{Kind: 1, From: Master, In: 1, Body: twice{}}
	for name, d := range map[string]*Dialogue{
		"no version":       {Rows: []Row{ok}},
		"no states":        {Version: 1, Rows: []Row{ok}},
		"version too high": {Version: 128, Rows: []Row{ok}},
		"kind 0":           {Version: 1, Rows: []Row{{From: Master, In: 1, Body: twice{}}}},
		"kind 128":         {Version: 1, Rows: []Row{{Kind: 128, From: Master, In: 1, Body: twice{}}}},
		"kind twice":       {Version: 1, Rows: []Row{ok, {Kind: 1, From: Master, In: 1, Body: Ping{}}}},
		"struct twice":     {Version: 1, Rows: []Row{ok, {Kind: 2, From: Master, In: 1, Body: twice{}}}},
		"no struct":        {Version: 1, Rows: []Row{{Kind: 1, From: Master, In: 1, Body: 1}}},
		"from nobody":      {Version: 1, Rows: []Row{{Kind: 1, In: 1, Body: twice{}}}},
		"from a stranger":  {Version: 1, Rows: []Row{{Kind: 1, From: 99, In: 1, Body: twice{}}}},
		"never":            {Version: 1, Rows: []Row{{Kind: 1, From: Master, Body: twice{}}}},
		"unnamed state":    {Version: 1, Rows: []Row{{Kind: 1, From: Master, In: 2, Body: twice{}}}},
		"five descriptors": {Version: 1, Rows: []Row{{Kind: 1, From: Master, In: 1, FDs: 5, Body: twice{}}}},
		"may have none":    {Version: 1, Rows: []Row{{Kind: 1, From: Master, In: 1, MayFD: true, Body: twice{}}}},
		"map":              {Version: 1, Rows: []Row{{Kind: 1, From: Master, In: 1, Body: struct{ A map[string]int }{}}}},
		"interface":        {Version: 1, Rows: []Row{{Kind: 1, From: Master, In: 1, Body: struct{ A any }{}}}},
		"pointer":          {Version: 1, Rows: []Row{{Kind: 1, From: Master, In: 1, Body: struct{ A *int }{}}}},
		"float":            {Version: 1, Rows: []Row{{Kind: 1, From: Master, In: 1, Body: struct{ A float64 }{}}}},
		"not exported":     {Version: 1, Rows: []Row{{Kind: 1, From: Master, In: 1, Body: hidden{}}}},
		"embedded":         {Version: 1, Rows: []Row{{Kind: 1, From: Master, In: 1, Body: struct{ Ping }{}}}},
		"msgpack tag": {Version: 1, Rows: []Row{{Kind: 1, From: Master, In: 1, Body: struct {
			A int `msgpack:"-"`
		}{}}}},
		"bad limit": {Version: 1, Rows: []Row{{Kind: 1, From: Master, In: 1, Body: struct {
			A string `ipc:"-1"`
		}{}}}},
		"too deep": {Version: 1, Rows: []Row{{Kind: 1, From: Master, In: 1, Body: deep{}}}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("accepted")
				}
			}()
			if name != "no states" {
				d.States = []string{"only"}
			}
			newDialogue(d).check()
		})
	}
}

const (
	trustPage  = "../docs/TRUST.md"
	trustBegin = "<!-- dialogues: written by `go test ./ipc -run TestTrustPage -update` -->"
	trustEnd   = "<!-- dialogues: end -->"
)

// TestTrustPage holds the tables of docs/TRUST.md against the code.
func TestTrustPage(t *testing.T) {
	page, err := os.ReadFile(trustPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), trustBegin+"\n")
	_, after, ok2 := strings.Cut(rest, trustEnd)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the lines %q and %q", trustPage, trustBegin, trustEnd)
	}
	want := before + trustBegin + "\n" + trustTables() + trustEnd + after
	if want == string(page) {
		return
	}
	if *update {
		if err := os.WriteFile(trustPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("the tables of %s are not those of the code; run go test ./ipc -run TestTrustPage -update. It must say:\n%s", trustPage, trustTables())
}

// trustTables is who may send what, when, with how many descriptors.
func trustTables() string {
	var b strings.Builder
	for _, d := range dialogues {
		fmt.Fprintf(&b, "\n### %s\n\nVersion %d; states: %s.\n\n", d.Name, d.Version, strings.Join(d.States, ", "))
		b.WriteString("| no. | message | from | to | in state | descriptors |\n|---|---|---|---|---|---|\n")
		rows := slices.SortedFunc(slices.Values(d.Rows), func(a, b Row) int { return int(a.Kind) - int(b.Kind) })
		for _, r := range rows {
			fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s |\n", r.Kind, d.ready().byKind[r.Kind].typ.Name(), r.From, other(d, r.From), inStates(d, r.In), descriptors(r))
		}
	}
	b.WriteString("\n")
	return b.String()
}

func inStates(d *Dialogue, in State) string {
	var names []string
	for i, n := range d.States {
		if in&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	if len(names) == len(d.States) {
		return "any"
	}
	return strings.Join(names, ", ")
}

func descriptors(r Row) string {
	switch {
	case r.FDs == 0:
		return "none"
	case r.MayFD:
		return fmt.Sprintf("%d or none", r.FDs)
	}
	return fmt.Sprint(r.FDs)
}

// check makes a table ready and computes every message's shape: what is wrong
// with it panics here.
func (d *Dialogue) check() {
	for i := range d.ready().byKind {
		if r := d.byKind[i]; r != nil {
			r.shape()
		}
	}
}
