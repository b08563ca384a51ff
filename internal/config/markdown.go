package config

import (
	"fmt"
	"io"
	"strings"
)

// Markers between which docs/CONFIGURATION.md holds the output of [Markdown].
const (
	MarkdownBegin = "<!-- reference: generated from the table of the grammar -->"
	MarkdownEnd   = "<!-- end of the reference -->"
)

// Markdown writes the reference part of docs/CONFIGURATION.md, made from the
// table.
func Markdown(w io.Writer) error {
	var b strings.Builder
	for _, g := range reference() {
		title := g.title()
		if g.block != nil {
			title = "`" + title + "`"
		}
		fmt.Fprintf(&b, "### %s\n\n", title)
		if g.block != nil {
			fmt.Fprintf(&b, "%s Contexts: %s.\n\n", cell(strings.TrimSpace(g.block.Doc+" "+g.block.More)), g.block.In)
		}
		if len(g.keys) == 0 {
			continue
		}
		b.WriteString("| name | value | default | contexts | what it does |\n|---|---|---|---|---|\n")
		for _, k := range g.keys {
			doc := []string{k.Doc, k.More}
			doc = append(doc, k.notes()...)
			text := strings.Join(strings.Fields(strings.Join(doc, " ")), " ")
			if k.Directive != "" {
				text += " (" + k.Directive + ")"
			}
			def := cell(k.defaultText())
			if k.Derived == "" && k.Default != "" {
				def = "`" + def + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s: %s | %s | %s | %s |\n", k.name(), cell(k.typeText()), cell(k.Type.Form), def, k.contexts(grammar()), cell(text))
		}
		b.WriteString("\n")
	}
	b.WriteString("### Words of features to come\n\n| feature | words |\n|---|---|\n")
	features, words := featureNames()
	for _, f := range features {
		fmt.Fprintf(&b, "| %s | `%s` |\n", f, strings.Join(words[f], "` `"))
	}
	_, err := io.WriteString(w, b.String())
	if err != nil {
		return fmt.Errorf("write reference: %w", err)
	}
	return nil
}

// cell makes text safe for a cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "~", `\~`, "<", "&lt;", "_", `\_`).Replace(s)
}
