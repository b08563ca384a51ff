package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"sallyport/internal/policy"
)

// Type is a kind of value: how it is written, read and shown.
type Type struct {
	Name string // "duration"
	Form string // what is right, for messages and the manual
	Unit string // "seconds"; "" where there is none

	// read writes v to dst, a pointer of the type that the key's at returns,
	// and reports what is wrong; dst is then left alone or half-written.
	read func(v *value, dst any, report func(problem))
	// show writes the value at src as HCL; "" means that it is not set.
	show func(src any) string
}

// withNone adds the word "none" to a form.
func withNone(form string, none bool) string {
	if none {
		return form + `, or "none"`
	}
	return form
}

func isNone(v *value) bool {
	s, ok := v.text()
	return ok && s == "none"
}

var boolean = &Type{
	Name: "boolean", Form: "true or false",
	read: func(v *value, dst any, report func(problem)) {
		b, ok := v.boolean()
		if !ok {
			report(problem{what: "is neither true nor false"})
			return
		}
		*dst.(*bool) = b
	},
	show: func(src any) string { return strconv.FormatBool(*src.(*bool)) },
}

// text is a line for people, of at most limit bytes.
func text(limit int) *Type {
	return &Type{
		Name: "text", Form: fmt.Sprintf("a text in quotes, one line of at most %d bytes", limit),
		read: func(v *value, dst any, report func(problem)) {
			s, ok := v.text()
			switch {
			case !ok:
				report(problem{what: "is no text"})
			case len(s) > limit:
				report(problem{what: fmt.Sprintf("has %d bytes", len(s))})
			case strings.ContainsFunc(s, unicode.IsControl):
				report(problem{what: "holds control characters"})
			default:
				*dst.(*string) = s
			}
		},
		show: func(src any) string { return quote(*src.(*string)) },
	}
}

// word is a name made of letters, digits and the characters extra.
func word(what, extra string, limit int) *Type {
	form := fmt.Sprintf("%s: letters, digits and any of %s, at most %d bytes", what, extra, limit)
	return &Type{
		Name: "name", Form: form,
		read: func(v *value, dst any, report func(problem)) {
			s, ok := v.text()
			if !ok || !isWord(s, extra, limit) {
				report(problem{what: "is no such name"})
				return
			}
			*dst.(*string) = s
		},
		show: func(src any) string {
			if s := *src.(*string); s != "" {
				return quote(s)
			}
			return ""
		},
	}
}

func isWord(s, extra string, limit int) bool {
	return s != "" && len(s) <= limit && s[0] != '-' && s[0] != '.' && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune(extra, r)
	})
}

// choice is one of the words, or one of the later words, whose feature is not
// built yet.
func choice(words []string, later map[string]string) *Type {
	form := "one of " + strings.Join(quoteAll(words), " ")
	if len(words) == 1 {
		form = quote(words[0])
	}
	return &Type{
		Name: "word", Form: form,
		read: func(v *value, dst any, report func(problem)) {
			s, ok := v.text()
			switch {
			case !ok:
				report(problem{what: "is no text"})
			case slices.Contains(words, s):
				*dst.(*string) = s
			case later[s] != "":
				report(problem{what: quote(s), later: later[s]})
			default:
				report(problem{what: "is none of the words", near: quoteIf(nearest(s, words))})
			}
		},
		show: func(src any) string {
			if s := *src.(*string); s != "" || slices.Contains(words, "") {
				return quote(s)
			}
			return ""
		},
	}
}

func quoteAll(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = quote(w)
	}
	return out
}

// count is a whole number; "none" is 0, no limit.
func count(least, most uint64, none bool) *Type {
	return &Type{
		Name: "count", Form: withNone(fmt.Sprintf("a whole number from %d to %d", least, most), none),
		read: func(v *value, dst any, report func(problem)) {
			if none && isNone(v) {
				*dst.(*uint32) = 0
				return
			}
			n, ok := v.number()
			switch {
			case !ok:
				report(problem{what: "is no whole number"})
			case n < least || n > most:
				report(problem{what: "is out of range"})
			default:
				*dst.(*uint32) = uint32(n)
			}
		},
		show: func(src any) string {
			n := *src.(*uint32)
			if n == 0 && none {
				return `"none"`
			}
			return strconv.FormatUint(uint64(n), 10)
		},
	}
}

// seconds is a duration; "none" is 0, off.
func seconds(least, most uint64, none bool) *Type {
	return &Type{
		Name: "duration", Unit: "seconds",
		Form: withNone(fmt.Sprintf("a time such as \"90s\" \"10m\" \"1h30m\" \"7d\", from %s to %s", formatSeconds(least), formatSeconds(most)), none),
		read: func(v *value, dst any, report func(problem)) {
			if none && isNone(v) {
				*dst.(*uint32) = 0
				return
			}
			s, ok := v.text()
			if !ok {
				p := problem{what: "has no unit"}
				if n, ok := v.number(); ok && n >= least && n <= most {
					p.near = quote(formatSeconds(n))
				}
				report(p)
				return
			}
			n, err := parseSeconds(s)
			switch {
			case err != nil:
				report(problem{what: err.Error()})
			case n == 0 && none:
				*dst.(*uint32) = 0
			case n < least || n > most:
				report(problem{what: "is out of range"})
			default:
				*dst.(*uint32) = uint32(n)
			}
		},
		show: func(src any) string {
			n := *src.(*uint32)
			if n == 0 && none {
				return `"none"`
			}
			return quote(formatSeconds(uint64(n)))
		},
	}
}

// size is a number of bytes.
func size(least, most uint64) *Type {
	return &Type{
		Name: "size", Unit: "bytes",
		Form: fmt.Sprintf("a size such as 512 or \"512KiB\", from %s to %s", formatSize(least), formatSize(most)),
		read: func(v *value, dst any, report func(problem)) {
			n, ok := v.number()
			if s, isText := v.text(); isText {
				var err error
				if n, err = parseSize(s); err != nil {
					report(problem{what: err.Error(), near: quoteIf(nearSize(s))})
					return
				}
				ok = true
			}
			switch {
			case !ok:
				report(problem{what: "is no size"})
			case n < least || n > most:
				report(problem{what: "is out of range"})
			default:
				*dst.(*uint32) = uint32(n)
			}
		},
		show: func(src any) string { return quote(formatSize(uint64(*src.(*uint32)))) },
	}
}

// rate is events per time; "none" is no limit.
var rate = &Type{
	Name: "rate", Unit: "events per time", Form: `a rate such as "20/1s" or "100/10m", or "none"`,
	read: func(v *value, dst any, report func(problem)) {
		if isNone(v) {
			*dst.(*policy.Rate) = policy.Rate{}
			return
		}
		s, _ := v.text()
		n, nanos, err := parseRate(s)
		if err != nil {
			report(problem{what: err.Error()})
			return
		}
		*dst.(*policy.Rate) = policy.Rate{Count: n, Nanos: nanos}
	},
	show: func(src any) string {
		r := *src.(*policy.Rate)
		if r.Count == 0 {
			return `"none"`
		}
		return quote(formatRate(r.Count, r.Nanos))
	},
}

// umask is one mask, or one for files and one for directories.
var umask = &Type{
	Name: "mode", Unit: "octal", Form: `a mask such as "022", or one for files and one for directories: "022 027"`,
	read: func(v *value, dst any, report func(problem)) {
		s, ok := v.text()
		if !ok {
			p := problem{what: "is no text"}
			if _, isNumber := v.number(); isNumber {
				p.near = quote(v.src)
			}
			report(p)
			return
		}
		f := strings.Fields(s)
		if len(f) != 1 && len(f) != 2 {
			report(problem{what: errMode.Error()})
			return
		}
		file, err := parseMode(f[0])
		dir, err2 := parseMode(f[len(f)-1])
		if err != nil || err2 != nil {
			report(problem{what: errMode.Error()})
			return
		}
		o := dst.(*policy.Files)
		o.Umask, o.DirUmask = file, dir
	},
	show: func(src any) string {
		o := src.(*policy.Files)
		if o.Umask == o.DirUmask {
			return fmt.Sprintf("\"%03o\"", o.Umask)
		}
		return fmt.Sprintf("\"%03o %03o\"", o.Umask, o.DirUmask)
	},
}

// path is an absolute path of at most limit bytes; "none" where it may be absent.
func path(limit int, none bool) *Type {
	return &Type{
		Name: "path", Form: withNone("an absolute path in quotes", none),
		read: func(v *value, dst any, report func(problem)) {
			if none && isNone(v) {
				*dst.(*string) = ""
				return
			}
			s, ok := v.text()
			if what := badPath(s, limit); !ok || what != "" {
				if !ok {
					what = "is no text"
				}
				report(problem{what: what})
				return
			}
			*dst.(*string) = s
		},
		show: func(src any) string {
			if s := *src.(*string); s != "" {
				return quote(s)
			}
			if none {
				return `"none"`
			}
			return ""
		},
	}
}

func badPath(s string, limit int) string {
	switch {
	case !strings.HasPrefix(s, "/"):
		return "is no absolute path"
	case len(s) > limit:
		return fmt.Sprintf("has %d bytes, at most %d are possible", len(s), limit)
	case strings.ContainsFunc(s, unicode.IsControl):
		return "holds control characters"
	case slices.Contains(strings.Split(s, "/"), ".."):
		return "holds \"..\""
	}
	return ""
}
