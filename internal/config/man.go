package config

import (
	"fmt"
	"io"
	"strings"
)

// ManPage writes sallyport.hcl(5), made from the table.
func ManPage(w io.Writer) error {
	m := new(roff)
	m.raw(`.\" generated from the table of the grammar; do not edit`)
	m.raw(`.TH SALLYPORT.HCL 5 "" "Sallyport" "File formats"`)
	m.head("NAME")
	m.raw(`sallyport.hcl \- configuration of the Sallyport FTP server`)
	m.head("SYNOPSIS")
	m.raw(`.I /etc/sallyport/sallyport.hcl`)
	m.head("DESCRIPTION")
	m.text("The file configures sallyport(8). ftpdctl config check says whether it is right, ftpdctl config show what it means; systemctl reload sallyport applies it to new sessions.")
	for _, g := range general {
		m.sub(g.head)
		m.text(g.text)
	}
	m.head("NAMES")
	for _, g := range reference() {
		m.group(g)
	}
	m.head("NAMES OF FEATURES TO COME")
	m.text("These words are known and refused until their features are built.")
	features, words := featureNames()
	for _, f := range features {
		m.raw(".TP")
		m.raw(esc(f))
		m.text(strings.Join(words[f], ", "))
	}
	m.head("EXAMPLES")
	m.text("A server for the accounts of a users file, with more rights for a network:")
	m.raw(".PP", ".RS 4", ".nf")
	for line := range strings.SplitSeq(manExample, "\n") {
		m.raw(esc(line))
	}
	m.raw(".fi", ".RE")
	m.head("SEE ALSO")
	m.raw(`.BR sallyport (8),`, `.BR ftpdctl (1),`, `.BR passwd (5),`, `.BR pam.d (5),`, `.BR systemd.socket (5)`)
	_, err := io.WriteString(w, m.b.String())
	if err != nil {
		return fmt.Errorf("write manual page: %w", err)
	}
	return nil
}

const manExample = `auth {
  order = ["file"]
  file {
    users = "/etc/sallyport/users"
  }
}
passive {
  ports = "49152-51151"
}
class "lan" { from = ["10.0.0.0/8"] }
when {
  class           = ["lan"]
  allow_overwrite = true
  timeout {
    idle = "1h"
  }
}`

// roff collects the source of a manual page.
type roff struct{ b strings.Builder }

func (m *roff) raw(lines ...string) {
	for _, l := range lines {
		m.b.WriteString(l + "\n")
	}
}

func (m *roff) head(s string) { m.raw(".SH " + esc(s)) }
func (m *roff) sub(s string)  { m.raw(`.SS "` + strings.ReplaceAll(esc(s), `"`, `\(dq`) + `"`) }
func (m *roff) text(s string) { m.raw(esc(s)) }

func (m *roff) group(g group) {
	m.sub(g.title())
	if g.block != nil {
		m.text(g.block.Doc + " " + g.block.More)
		m.raw(".br")
		m.text("Contexts: " + g.block.In.String() + ".")
	}
	for _, k := range g.keys {
		m.raw(".TP", `.BI "`+esc(k.name())+` = " `+strings.ReplaceAll(esc(k.Type.Name), " ", `\ `))
		m.text(strings.TrimSpace(k.Doc + " " + k.More + " " + strings.Join(k.notes(), " ")))
		m.raw(".br")
		m.text("Value: " + k.Type.Form + ".")
		if k.Type.Unit != "" {
			m.raw(".br")
			m.text("Unit: " + k.Type.Unit + ".")
		}
		m.raw(".br")
		m.text("Default: " + k.defaultText() + ". Contexts: " + k.contexts(grammar()) + ".")
	}
}

// esc makes text safe for roff: nothing in it is a request or an escape.
func esc(s string) string {
	s = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `~`, `\(ti`, `^`, `\(ha`, "`", `\(ga`, `'`, `\(aq`, `"`, `\(dq`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	words := strings.Split(s, " ")
	for i, w := range words {
		if len(w) > 30 { // may be broken
			words[i] = strings.ReplaceAll(w, "_", `_\:`)
		}
	}
	return strings.Join(words, " ")
}
