package config

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"sallyport/internal/policy"
)

// prefixes is a list of addresses and networks, without "!" and "all".
var prefixes = &Type{
	Name: "list of addresses", Form: `a list of addresses and networks: ["192.0.2.7", "10.0.0.0/8"]`,
	read: func(v *value, dst any, report func(problem)) {
		var out []string
		each(v, report, func(i *value, s string) {
			prefix, p := prefixOf(s)
			switch {
			case s == "all":
				p = &problem{what: "is everybody, and a header anybody can write says nothing"}
			case strings.HasPrefix(s, "!"):
				p = &problem{what: "is no network; the list says who is believed"}
			case slices.Contains(out, prefix):
				p = &problem{what: "occurs twice"}
			case prefix != "":
				out = append(out, prefix)
			}
			if p != nil {
				p.at = i
				report(*p)
			}
		})
		*dst.(*[]string) = out
	},
	show: func(src any) string { return quoteList(*src.(*[]string)) },
}

// maxNames bounds the names of a host.
const maxNames = 256

// hostNames are the names by which HOST and SNI choose a host.
var hostNames = &Type{
	Name: "list of names", Form: `a list of host names, "*." at the front stands for one label more: ["ftp.example.org", "*.example.org"]`,
	read: func(v *value, dst any, report func(problem)) {
		var out []string
		each(v, report, func(i *value, s string) {
			name := strings.ToLower(strings.TrimSuffix(s, "."))
			rest := strings.TrimPrefix(name, "*.")
			switch _, err := netip.ParseAddr(strings.Trim(rest, "[]")); {
			case err == nil:
				report(problem{at: i, what: "is an address, not a name"})
			case name == "*":
				report(problem{at: i, what: "is every name, and those that no host has are answered by the host of the address anyway"})
			case strings.Contains(rest, "*"):
				report(problem{at: i, what: `has "*" elsewhere than as its first label`})
			case !isDomain(rest):
				report(problem{at: i, what: "is no host name"})
			case slices.Contains(out, name):
				report(problem{at: i, what: "occurs twice"})
			default:
				out = append(out, name)
			}
		})
		if len(out) > maxNames {
			report(problem{what: fmt.Sprintf("has more than %d names", maxNames)})
			return
		}
		*dst.(*[]string) = out
	},
	show: func(src any) string { return quoteList(*src.(*[]string)) },
}

// isDomain says whether s is a DNS name: labels of letters, digits, - and _.
func isDomain(s string) bool {
	if len(s) > 253 {
		return false
	}
	for l := range strings.SplitSeq(s, ".") {
		if len(l) > 63 || !isWord(l, "-_", 63) || strings.HasSuffix(l, "-") {
			return false
		}
	}
	return true
}

// displayFile is a display file: an absolute path of the host, read with the
// configuration, or a name relative to the working directory of the session.
var displayFile = &Type{
	Name: "path", Form: `an absolute path in quotes, a name relative to the working directory, or "none"`,
	read: func(v *value, dst any, report func(problem)) { readDisplay(v, dst, report, true) },
	show: showDisplay,
}

// displayText is a display file that is sent before there is a working directory.
var displayText = &Type{
	Name: "path", Form: withNone("an absolute path in quotes", true),
	read: func(v *value, dst any, report func(problem)) { readDisplay(v, dst, report, false) },
	show: showDisplay,
}

func readDisplay(v *value, dst any, report func(problem), relative bool) {
	if isNone(v) {
		*dst.(*string) = ""
		return
	}
	s, ok := v.text()
	what := badPath(s, 1024)
	switch {
	case !ok:
		what = "is no text"
	case relative && s != "" && !strings.HasPrefix(s, "/"):
		what = badPath("/"+s, 1024)
	}
	if what != "" {
		report(problem{what: what})
		return
	}
	*dst.(*string) = s
}

func showDisplay(src any) string {
	if s := *src.(*string); s != "" {
		return quote(s)
	}
	return `"none"`
}

// pathList is a list of absolute paths.
var pathList = &Type{
	Name: "list of paths", Form: `a list of absolute paths: ["/etc/ssl/certs/ca.pem"]`,
	read: func(v *value, dst any, report func(problem)) {
		var out []string
		each(v, report, func(i *value, s string) {
			what := badPath(s, 1024)
			if what == "" && slices.Contains(out, s) {
				what = "occurs twice"
			}
			if what != "" {
				report(problem{at: i, what: what})
				return
			}
			out = append(out, s)
		})
		if len(out) > 64 {
			report(problem{what: "has more than 64 paths"})
			return
		}
		*dst.(*[]string) = out
	},
	show: func(src any) string { return quoteList(*src.(*[]string)) },
}

// fingerprint is the SHA-256 fingerprint of a certificate.
var fingerprint = &Type{
	Name: "fingerprint", Form: "the SHA-256 fingerprint of a certificate: 64 hexadecimal digits, perhaps with colons",
	read: func(v *value, dst any, report func(problem)) {
		s, _ := v.text()
		s = strings.ToLower(strings.ReplaceAll(s, ":", ""))
		if b, err := hex.DecodeString(s); err != nil || len(b) != 32 {
			report(problem{what: "is no SHA-256 fingerprint"})
			return
		}
		*dst.(*string) = s
	},
	show: func(src any) string { return quote(*src.(*string)) },
}

// startPath is the directory a session starts in: absolute, with ~, or below the
// home; "none" is the home itself.
var startPath = &Type{
	Name: "path", Form: `a directory below the home ("incoming"), "~/sub", an absolute path, or "none"; %u is the user name`,
	read: func(v *value, dst any, report func(problem)) {
		s, ok := v.text()
		if s == "none" {
			*dst.(*string) = ""
			return
		}
		what := ""
		switch {
		case !ok || s == "":
			what = "is no directory"
		case s == "~" || strings.HasPrefix(s, "~/"):
			what = badPath("/"+strings.TrimPrefix(s[1:], "/"), 1024)
		case strings.HasPrefix(s, "~"):
			what = "names the home of a certain user"
		case strings.HasPrefix(s, "/"):
			what = badPath(s, 1024)
		default:
			what = badPath("/"+s, 1024)
		}
		if what == "" && strings.Contains(strings.ReplaceAll(s, "%u", ""), "%") {
			what = "holds a variable that is not %u"
		}
		if what != "" {
			report(problem{what: what})
			return
		}
		*dst.(*string) = s
	},
	show: showDisplay,
}

// anonymousPath is the label of an anonymous block.
var anonymousPath = &Type{
	Name: "path", Form: `an absolute path, "~" or "~/sub" (the home of the account), or "none": no anonymous logins`,
	read: func(v *value, dst any, report func(problem)) {
		s, ok := v.text()
		what := ""
		switch {
		case !ok:
			what = "is no text"
		case s == noRoot || s == "~" || strings.HasPrefix(s, "~/") && badPath(s[1:], 1024) == "":
		case strings.HasPrefix(s, "~"):
			what = "is no such path; the account is named by user"
		default:
			what = badPath(s, 1024)
		}
		if what == "" && strings.Contains(s, "%") {
			what = "holds a variable, and there are none"
		}
		if what != "" {
			report(problem{what: what})
			return
		}
		*dst.(*string) = s
	},
	show: func(src any) string { return quote(*src.(*string)) },
}

// transferVerbs are the commands that move files.
var transferVerbs = []string{"RETR", "STOR", "APPE", "STOU"}

// transfers is a list of commands in one text, as the label of a block has them.
var transfers = &Type{
	Name: "commands", Form: `one or more of RETR STOR APPE STOU with commas between: "STOR,APPE,STOU"`,
	read: func(v *value, dst any, report func(problem)) {
		s, ok := v.text()
		var out []string
		for w := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
			w = strings.ToUpper(w)
			switch {
			case !slices.Contains(transferVerbs, w):
				report(problem{what: "holds " + quote(w) + ", which is no transfer", near: quoteIf(nearest(w, transferVerbs))})
				return
			case slices.Contains(out, w):
				report(problem{what: "holds " + w + " twice"})
				return
			}
			out = append(out, w)
		}
		if !ok || len(out) == 0 {
			report(problem{what: "names no command"})
			return
		}
		slices.SortFunc(out, func(a, b string) int { return slices.Index(transferVerbs, a) - slices.Index(transferVerbs, b) })
		*dst.(*[]string) = out
	},
	show: func(src any) string { return quote(strings.Join(*src.(*[]string), ",")) },
}

// affix is what stands before or behind a file's name.
func affix(least int) *Type {
	return &Type{
		Name: "name", Form: fmt.Sprintf("%d to 64 letters, digits and any of .-_ in quotes", least),
		read: func(v *value, dst any, report func(problem)) {
			s, ok := v.text()
			if !ok || len(s) < least || s != "" && !isWord("x"+s, ".-_", 65) {
				report(problem{what: "is no part of a file name"})
				return
			}
			*dst.(*string) = s
		},
		show: func(src any) string { return quote(*src.(*string)) },
	}
}

// aborted is delete_aborted_stores, which follows hidden_stores where it is not
// set.
var aborted = &Type{
	Name: "boolean", Form: `true, false or "auto"`,
	read: func(v *value, dst any, report func(problem)) {
		o := dst.(*policy.Files)
		b, ok := v.boolean()
		if s, _ := v.text(); s == "auto" {
			o.DeleteAborted, o.HiddenStores.Keep = false, false
			return
		}
		if !ok {
			report(problem{what: "is none of these"})
			return
		}
		o.DeleteAborted, o.HiddenStores.Keep = b, !b
	},
	show: func(src any) string {
		switch o := src.(*policy.Files); {
		case o.DeleteAborted:
			return "true"
		case o.HiddenStores.Keep:
			return "false"
		}
		return `"auto"`
	},
}

// table is the DelayTable's file; "none" stays as it is.
var delayTable = &Type{
	Name: "path", Form: withNone("an absolute path in quotes", true),
	read: func(v *value, dst any, report func(problem)) {
		if isNone(v) {
			*dst.(*string) = noRoot
			return
		}
		path(1024, false).read(v, dst, report)
	},
	show: func(src any) string {
		if s := *src.(*string); s != "" {
			return quote(s)
		}
		return ""
	},
}
