package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"sallyport/internal/policy"
)

// selected is a selector's list of names.
var selected = &Type{
	Name: "list of names", Form: `a list of names, each perhaps with "!": ["staff", "!guests"]; "*" fits every name`,
	read: func(v *value, dst any, report func(problem)) {
		var out []policy.Item
		each(v, report, func(i *value, s string) {
			rest, not := strings.CutPrefix(s, "!")
			if what := badName(rest); what != "" {
				report(problem{at: i, what: what})
				return
			}
			out = append(out, policy.Item{Not: not, Name: rest})
		})
		if v.list && len(v.items) == 0 {
			report(problem{what: "is empty"})
		}
		*dst.(*[]policy.Item) = out
	},
	show: func(src any) string {
		var s []string
		for _, i := range *src.(*[]policy.Item) {
			s = append(s, bang(i.Not, i.Name))
		}
		if s == nil {
			return ""
		}
		return quoteList(s)
	},
}

func badName(s string) string {
	switch {
	case s == "":
		return "is an empty name"
	case len(s) > 256:
		return "is longer than 256 bytes"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "holds control characters"
	}
	return ""
}

// badPattern says what is wrong with a regular expression of match = "regex".
func badPattern(s string) string {
	if _, err := regexp.Compile(s); err != nil {
		return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	}
	return ""
}

// names is a list of plain names.
var names = &Type{
	Name: "list of names", Form: `a list of names: ["root", "ops"]`,
	read: func(v *value, dst any, report func(problem)) {
		var out []string
		each(v, report, func(i *value, s string) {
			what := badName(s)
			if what == "" && (s[0] == '!' || s == "*") {
				what = "is no plain name; the list says who may"
			}
			if what == "" && slices.Contains(out, s) {
				what = "occurs twice"
			}
			if what != "" {
				report(problem{at: i, what: what})
				return
			}
			out = append(out, s)
		})
		*dst.(*[]string) = out
	},
	show: func(src any) string {
		if s := *src.(*[]string); s != nil {
			return quoteList(s)
		}
		return ""
	},
}

// wordList is a list of words out of a closed set.
func wordList(words []string, later map[string]string) *Type {
	return &Type{
		Name: "list of words", Form: "a list of " + strings.Join(quoteAll(words), " "),
		read: func(v *value, dst any, report func(problem)) {
			var out []string
			each(v, report, func(i *value, s string) {
				switch {
				case later[s] != "":
					report(problem{at: i, what: quote(s), later: later[s]})
				case !slices.Contains(words, s):
					report(problem{at: i, what: "is none of the words", near: quoteIf(nearest(s, words))})
				case slices.Contains(out, s):
					report(problem{at: i, what: "occurs twice"})
				default:
					out = append(out, s)
				}
			})
			if v.list && len(v.items) == 0 {
				report(problem{what: "is empty"})
			}
			*dst.(*[]string) = out
		},
		show: func(src any) string { return quoteList(*src.(*[]string)) },
	}
}

func quoteIf(s string) string {
	if s == "" {
		return ""
	}
	return quote(s)
}

var (
	sources      = []string{"file", "unix", "pam"}
	laterSources = map[string]string{
		"sql": "accounts in SQL databases", "ldap": "accounts in LDAP directories", "radius": "RADIUS",
		"otp": "one-time passwords", "redis": "accounts in Redis",
	}
)

// authOrder is the list of sources that are asked for a password.
var authOrder = &Type{
	Name: "list of sources", Form: `a list of "file" "unix" "pam", in the order they are asked; "pam*": where it says no, nobody else is asked; []: nobody may log in`,
	read: func(v *value, dst any, report func(problem)) {
		out := []policy.AuthSource{}
		each(v, report, func(i *value, s string) {
			name, final := strings.CutSuffix(s, "*")
			has := func(a policy.AuthSource) bool { return a.Name == name }
			switch {
			case laterSources[name] != "":
				report(problem{at: i, what: quote(name), later: laterSources[name]})
			case !slices.Contains(sources, name):
				report(problem{at: i, what: "is no source of accounts", near: quoteIf(nearest(name, sources))})
			case slices.ContainsFunc(out, has):
				report(problem{at: i, what: "occurs twice"})
			case len(out) > 0 && out[len(out)-1].Final:
				report(problem{at: i, what: fmt.Sprintf("is never asked: %q before it has the last word", out[len(out)-1].Name+"*")})
			default:
				out = append(out, policy.AuthSource{Name: name, Final: final})
			}
		})
		*dst.(*[]policy.AuthSource) = out
	},
	show: func(src any) string {
		var s []string
		for _, a := range *src.(*[]policy.AuthSource) {
			if a.Final {
				a.Name += "*"
			}
			s = append(s, a.Name)
		}
		return quoteList(s)
	},
}

// idRange restricts uids; "any" is every one but 0.
var idRange = &Type{
	Name: "ids", Unit: "uid", Form: `a range such as "2000-9999", or "any" (but 0)`,
	read: func(v *value, dst any, report func(problem)) {
		o := dst.(*policy.FileRule)
		s, _ := v.text()
		if s == "any" {
			o.MinID, o.MaxID = 0, 0
			return
		}
		lo, hi, err := parseRange(s, 1, 1<<32-2)
		if err == errPort {
			report(problem{what: "is no range of ids"})
			return
		}
		if err != nil {
			report(problem{what: err.Error()})
			return
		}
		o.MinID, o.MaxID = uint32(lo), uint32(hi)
	},
	show: func(src any) string {
		o := src.(*policy.FileRule)
		if o.MaxID == 0 {
			return `"any"`
		}
		return fmt.Sprintf("\"%d-%d\"", o.MinID, o.MaxID)
	},
}
