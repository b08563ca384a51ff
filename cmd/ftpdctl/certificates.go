package main

import (
	"slices"
	"strings"

	"sallyport/internal/config"
	"sallyport/internal/keys"
	"sallyport/internal/policy"
)

// certificateFaults says what authd will say of the certificates, keys and lists of
// a policy once it reads them: config.Check, whose findings are known, looks at the
// files and no deeper.
func certificateFaults(p *policy.Policy, known config.Diagnostics) (out config.Diagnostics) {
	if slices.ContainsFunc(known, func(d config.Diagnostic) bool {
		return d.Severity == config.Error && strings.HasPrefix(d.Key, "tls.")
	}) {
		return nil // it would say the same again
	}
	say := func(sev config.Severity, key, value, problem string) {
		d := config.Diagnostic{Severity: sev, File: p.File, Key: key, Value: value, Problem: problem}
		if !slices.Contains(out, d) { // hosts may name the same files
			out = append(out, d)
		}
	}
	look := func(view policy.TLSHost, key, value string) {
		_, errs := keys.New([]policy.TLSHost{view}, keys.Options{Etc: "/etc", Say: func(text string) {
			say(config.Warning, key, value, text)
		}})
		for _, err := range errs {
			say(config.Error, key, value, strings.TrimPrefix(err.Error(), "tls of host "+view.Name+": "))
		}
	}
	for i := range p.Hosts {
		t := &p.Hosts[i].TLS
		if !t.Engine {
			continue
		}
		for _, c := range t.Certificates {
			look(policy.TLSHost{Name: t.Name, Engine: true, Certificates: []policy.Certificate{c}}, "tls.certificate.file", c.File)
		}
		if len(t.Client.CA) > 0 {
			look(policy.TLSHost{Name: t.Name, Engine: true, Client: t.Client}, "tls.client.ca", t.Client.CA[0])
		}
	}
	out.Locate(p.File)
	return out
}
