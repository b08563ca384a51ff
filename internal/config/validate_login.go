package config

import (
	"maps"
	"slices"
	"strings"

	"sallyport/internal/policy"
)

// withoutPort returns the address of "192.0.2.1:21" or "[::1]:21".
func withoutPort(a string) string {
	i := strings.LastIndexByte(a, ':')
	if i < 0 || strings.HasSuffix(a, "]") || strings.Count(a, ":") > 1 && !strings.HasPrefix(a, "[") {
		return a
	}
	return strings.Trim(a[:i], "[]")
}

// anonymous checks a block of anonymous logins.
func (v *validator) anonymous(k *section) {
	if k.label == noRoot {
		if len(k.sets)+len(k.kids) > 0 {
			v.add(k.rng, Diagnostic{Severity: Warning, Key: "anonymous", Value: k.label, Problem: "\"none\" has no settings: there are no anonymous logins"})
		}
		return
	}
	if k.bad {
		return
	}
	if k.set("anonymous.user") == nil {
		v.add(k.rng, Diagnostic{Key: "anonymous.user", Problem: "is missing", Right: `write user = "ftp": the account of these sessions`})
		return
	}
	a := readAnonymous(k, new(policy.Settings), new(policy.Host))
	if i := slices.Index(a.aliases, a.user); i >= 0 {
		d := Diagnostic{Severity: Warning, Problem: quote(a.user) + " is the account itself, which logs in here anyway", Right: "leave it out of the aliases"}
		if a.only {
			d = Diagnostic{Problem: quote(a.user) + " is the account itself, and alias_only says that it does not log in here", Right: "leave it out, or write alias_only = false"}
		}
		d.Key, d.Value = "anonymous.aliases", a.user
		v.add(k.set("anonymous.aliases").items[i].rng, d)
	}
	if a.only && len(a.aliases) == 0 {
		v.at(k, "anonymous.alias_only", Diagnostic{Problem: "leaves no name that logs in here", Right: `write aliases = ["anonymous"]`})
	}
	if a.using && !a.require {
		v.at(k, "anonymous.using_alias", Diagnostic{Severity: Warning, Problem: "is of no use without require_password"})
	}
	if a.require && a.reject.pattern != "" {
		v.at(k, "anonymous.reject_passwords", Diagnostic{Severity: Warning, Problem: "is of little use where the password of the account is asked for"})
	}
}

// unreached warns of anonymous blocks whose names all belong to earlier ones, and
// of blocks that pick after one for everybody.
func (v *validator) unreached(s *section) {
	had := map[string]bool{}
	n := 0
	for _, k := range anonymousBlocks(s) {
		if n++; n > maxAnonymous {
			v.add(k.rng, Diagnostic{Key: "anonymous", Problem: "is one block too many", Right: "at most 16 are possible"})
			break
		}
		if k.bad || k.label == noRoot || k.set("anonymous.user") == nil {
			continue
		}
		a := readAnonymous(k, new(policy.Settings), new(policy.Host))
		names := slices.Clone(a.aliases)
		if !a.only {
			names = append(names, a.user)
		}
		if len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return !had[n] }) {
			v.add(k.rng, Diagnostic{Severity: Warning, Key: "anonymous", Value: k.label, Problem: "is never reached", Right: "earlier anonymous blocks have all its names"})
		}
		for _, n := range names {
			had[n] = true
		}
	}
	all := map[string]*section{}
	for _, k := range s.kids {
		path := k.block.Path
		if path == "root" || path == "transfer_rate" || v.t.byKey[path+".match"] == nil || v.t.byKey[path+".user"] == nil || k.block.Settings != 0 {
			continue
		}
		if first := all[path]; first != nil {
			v.add(k.rng, Diagnostic{Severity: Warning, Key: k.block.name(), Value: k.label, Problem: "is never reached", Right: "the block for everybody " + where(first.rng) + " decides before"})
			continue
		}
		if !k.bad && k.set(path+".user") == nil && k.set(path+".group") == nil && k.set(path+".class") == nil {
			all[path] = k
		}
	}
}

// format checks that a log's format is a text or the name of one.
func (v *validator) format(k *section) {
	val := k.set("log.extended.format")
	if val == nil {
		return
	}
	if name, _ := val.text(); name != "default" && isWord(name, "-_.", 64) && v.formats[name] == "" {
		v.add(val.rng, Diagnostic{
			Key: "extended.format", Value: val.src, Problem: "there is no format " + quote(name),
			Suggest: quoteIf(nearest(name, slices.Sorted(maps.Keys(v.formats)))),
			Right:   `a format is a text with variables, or log { format "NAME" { text = "..." } } at the top level`,
		})
	}
}

// display reads the display files that a section names by absolute paths.
func (v *validator) display(s *section) {
	for _, set := range s.sets {
		if !strings.HasPrefix(set.key.Path, "display.") || v.readText == nil {
			continue
		}
		path, _ := set.val.text()
		if _, done := v.texts[path]; done || !strings.HasPrefix(path, "/") {
			continue
		}
		text, err := v.readText(path)
		if err != nil {
			v.add(set.val.rng, Diagnostic{Key: set.key.Path, Value: path, Problem: "display file " + quote(path) + " " + err.Error(), Right: "right is a text file of at most 4 KiB"})
			continue
		}
		v.texts[path] = text
	}
}
