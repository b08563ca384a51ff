package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/zclconf/go-cty/cty"

	"sallyport/internal/logging"
	"sallyport/internal/policy"
)

// labelValue makes a value of a block's label, for the Type that reads it.
func labelValue(s string) value {
	return value{v: cty.StringVal(s), src: quote(s)}
}

// line is any line of text: what is right about it the validator knows.
var line = &Type{
	Name: "text", Form: "a text in quotes",
	read: func(v *value, dst any, report func(problem)) {
		s, ok := v.text()
		if !ok {
			report(problem{what: "is no text"})
			return
		}
		*dst.(*string) = s
	},
	show: func(src any) string { return quote(*src.(*string)) },
}

// switched is a choice in which one word stands for "".
func switched(empty string, words ...string) *Type {
	t := choice(append([]string{empty}, words...), nil)
	read := t.read
	t.read = func(v *value, dst any, report func(problem)) {
		s := *dst.(*string)
		read(v, &s, report)
		if s == empty {
			s = ""
		}
		*dst.(*string) = s
	}
	t.show = func(src any) string {
		if s := *src.(*string); s != "" {
			return quote(s)
		}
		return quote(empty)
	}
	return t
}

// wordSet is a list of words out of a closed set, which may be empty. why says
// of other known words why they are refused.
func wordSet(words []string, empty string, why map[string]string) *Type {
	form := "a list of " + strings.Join(quoteAll(words), " ")
	if empty != "" {
		form += "; []: " + empty
	}
	return &Type{
		Name: "list of words", Form: form,
		read: func(v *value, dst any, report func(problem)) {
			var out []string
			each(v, report, func(i *value, s string) {
				switch {
				case why[s] != "":
					report(problem{at: i, what: why[s]})
				case !slices.Contains(words, s):
					report(problem{at: i, what: "is none of the words", near: quoteIf(nearest(s, words))})
				case slices.Contains(out, s):
					report(problem{at: i, what: "occurs twice"})
				default:
					out = append(out, s)
				}
			})
			if v.list && len(v.items) == 0 && empty == "" {
				report(problem{what: "is empty"})
			}
			*dst.(*[]string) = out
		},
		show: func(src any) string { return quoteList(*src.(*[]string)) },
	}
}

// account is the name of a user: any text without what would break a line.
var account = &Type{
	Name: "name", Form: "the name of a user in quotes",
	read: func(v *value, dst any, report func(problem)) {
		s, ok := v.text()
		what := badName(s)
		if !ok {
			what = "is no text"
		}
		if what != "" {
			report(problem{what: what})
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

// accounts is a list of names of users; "*" is every name that is no account.
var accountList = &Type{
	Name: "list of names", Form: `a list of names: ["anonymous"]; "*" is every name that is no account`,
	read: func(v *value, dst any, report func(problem)) {
		var out []string
		each(v, report, func(i *value, s string) {
			what := badName(s)
			if what == "" && slices.Contains(out, s) {
				what = "occurs twice"
			}
			if what != "" {
				report(problem{at: i, what: what})
				return
			}
			out = append(out, s)
		})
		if len(out) > maxAliases {
			report(problem{what: fmt.Sprintf("has more than %d names", maxAliases)})
			return
		}
		*dst.(*[]string) = out
	},
	show: func(src any) string { return quoteList(*src.(*[]string)) },
}

// maxAliases bounds the names of an anonymous block.
const maxAliases = 64

// rejected is a regular expression, with "!" what does not match.
var rejected = &Type{
	Name: "pattern", Form: `a regular expression (RE2) in quotes, with "!" before it: what does not match; or "none"`,
	read: func(v *value, dst any, report func(problem)) {
		o := dst.(*rejection)
		s, ok := v.text()
		if s == "none" {
			*o = rejection{}
			return
		}
		p, not := strings.CutPrefix(s, "!")
		switch {
		case !ok:
			report(problem{what: "is no text"})
		case p == "" || len(p) > 1024 || strings.ContainsFunc(p, unicode.IsControl):
			report(problem{what: "is no pattern of 1 to 1024 bytes in one line"})
		default:
			if what := badPattern(p); what != "" {
				report(problem{what: "is no regular expression: " + what})
				return
			}
			*o = rejection{p, not}
		}
	},
	show: func(src any) string {
		o := src.(*rejection)
		if o.pattern == "" {
			return `"none"`
		}
		return quote(bang(o.not, o.pattern))
	},
}

// passwordName and passwordHash are the parts of "name:hash".
var passwordName = &Type{
	Name: "name", Form: "the name of a user in quotes",
	read: func(v *value, dst any, report func(problem)) {
		s, _ := v.text()
		what := badName(s)
		if what == "" && strings.Contains(s, ":") {
			what = `holds ":"`
		}
		if what != "" {
			report(problem{what: what})
			return
		}
		*dst.(*string) = s + ":"
	},
	show: func(src any) string {
		name, _, _ := strings.Cut(*src.(*string), ":")
		return quote(name)
	},
}

var passwordHash = &Type{
	Name: "hash", Form: `a hash as crypt(5) writes it: "$6$..." "$2b$..." "$y$..." "$argon2id$..."`,
	read: func(v *value, dst any, report func(problem)) {
		s, ok := v.text()
		if !ok || len(s) > 512 || !hashShape.MatchString(s) {
			report(problem{what: "is no hash of a password", hide: true})
			return
		}
		name, _, _ := strings.Cut(*dst.(*string), ":")
		*dst.(*string) = name + ":" + s
	},
	show: func(src any) string {
		_, hash, _ := strings.Cut(*src.(*string), ":")
		return quote(hash)
	},
}

var hashShape = regexp.MustCompile(`^\$[0-9a-z-]{1,16}\$[!-9;-~]+$`)

// logTarget is where a log goes: a file, or the daemon's own log at a level.
var logTarget = &Type{
	Name: "path", Form: `an absolute path in quotes, or "syslog:LEVEL" with a level of emerg alert crit error warn notice info debug`,
	read: func(v *value, dst any, report func(problem)) {
		s, ok := v.text()
		if !ok {
			report(problem{what: "is no text"})
			return
		}
		_, daemon, err := logging.ParseTarget(s)
		switch what := badPath(s, 1024); {
		case daemon && err != nil:
			report(problem{what: "names no level of the log"})
		case !daemon && what != "":
			report(problem{what: what})
		default:
			*dst.(*string) = s
		}
	},
	show: func(src any) string { return quote(*src.(*string)) },
}

// logOrNone is logTarget, or "none".
var logOrNone = &Type{
	Name: "path", Form: withNone(logTarget.Form, true),
	read: func(v *value, dst any, report func(problem)) {
		if isNone(v) {
			*dst.(*string) = ""
			return
		}
		logTarget.read(v, dst, report)
	},
	show: func(src any) string {
		if *src.(*string) == "" {
			return `"none"`
		}
		return logTarget.show(src)
	},
}

// logClasses are the names of docs/LOGGING.md, for lists shown and suggested.
var logClasses = []struct {
	name string
	bits uint32
}{
	{"ALL", policy.LogAll},
	{"AUTH", policy.LogAuth},
	{"INFO", policy.LogInfo},
	{"DIRS", policy.LogDirs},
	{"READ", policy.LogRead},
	{"WRITE", policy.LogWrite},
	{"MISC", policy.LogMisc},
	{"SEC", policy.LogSec},
	{"CONNECT", policy.LogConnect},
	{"EXIT", policy.LogExit},
}

// logCommands is which commands an extended log has.
var logCommands = &Type{
	Name: "list of commands", Form: `a list of classes (ALL NONE AUTH INFO DIRS READ WRITE MISC SEC CONNECT EXIT) and commands (RETR, SITE_CHMOD), "!" takes away: ["ALL", "!NOOP", "EXIT"]`,
	read: func(v *value, dst any, report func(problem)) {
		o := dst.(*policy.ExtendedLog)
		var out []string
		each(v, report, func(i *value, s string) {
			out = append(out, s)
			var one policy.ExtendedLog
			name := strings.ToUpper(strings.TrimPrefix(s, "!"))
			switch err := logging.ParseCommands(&one, []string{s}); {
			case name == "SSH" || name == "SFTP":
				report(problem{at: i, what: quote(s), later: laterSFTP})
			case err != nil:
				report(problem{at: i, what: "is neither a class nor a command"})
			default:
				for _, c := range append(one.Verbs, one.Not...) {
					if !slices.Contains(logVerbs, c) {
						report(problem{at: i, what: "is neither a class nor a command", near: quoteIf(bangIf(s, nearest(c, logWords())))})
					}
				}
			}
		})
		if v.list && len(v.items) == 0 {
			out = []string{"NONE"}
		}
		_ = logging.ParseCommands(o, out) // what is wrong has been reported
	},
	show: func(src any) string {
		o := src.(*policy.ExtendedLog)
		var out []string
		add := func(bits uint32, not bool) {
			for _, c := range logClasses {
				if bits&c.bits == c.bits {
					out = append(out, bang(not, c.name))
					bits &^= c.bits
				}
			}
		}
		add(o.Classes, false)
		add(o.NotClasses, true)
		for _, s := range o.Verbs {
			out = append(out, strings.ReplaceAll(s, " ", "_"))
		}
		for _, s := range o.Not {
			out = append(out, "!"+strings.ReplaceAll(s, " ", "_"))
		}
		if out == nil {
			out = []string{"NONE"}
		}
		return quoteList(out)
	},
}

func bangIf(s, near string) string {
	if near == "" {
		return ""
	}
	return bang(strings.HasPrefix(s, "!"), strings.ReplaceAll(near, " ", "_"))
}

func logWords() []string {
	var out []string
	for _, c := range logClasses {
		out = append(out, c.name)
	}
	return append(out, logVerbs...)
}

// logVerbs are the commands that a list may name, so that a slip of the pen does
// not silence a log.
var logVerbs = []string{
	"ABOR", "ACCT", "ALLO", "APPE", "AUTH", "AVBL", "CCC", "CDUP", "CLNT", "CSID", "CWD", "DELE", "EPRT", "EPSV", "FEAT", "HASH", "HELP", "HOST",
	"LANG", "LIST", "MD5", "MDTM", "MFF", "MFMT", "MKD", "MLSD", "MLST", "MODE", "NLST", "NOOP", "OPTS", "PASS", "PASV", "PBSZ", "PORT", "PROT",
	"PWD", "QUIT", "RANG", "REIN", "REST", "RETR", "RMD", "RNFR", "RNTO", "SIZE", "SITE", "SMNT", "SSCN", "STAT", "STOR", "STOU", "STRU", "SYST",
	"TYPE", "USER", "XCRC", "XCUP", "XCWD", "XMD5", "XMKD", "XPWD", "XRMD", "XSHA", "XSHA1", "XSHA256", "XSHA512",
	"SITE CHGRP", "SITE CHMOD", "SITE COPY", "SITE CPFR", "SITE CPTO", "SITE HELP", "SITE MKDIR", "SITE QUOTA", "SITE RMDIR", "SITE SYMLINK", "SITE UTIME", "SITE WHO",
}

// logText is the format of an extended log: a text with variables or, where it may
// be named, a name, which the validator looks up.
func logText(named bool) *Type {
	form := `a text with variables such as "%h %u %t \"%r\" %s %b" (docs/LOGGING.md)`
	if named {
		form += `, or the name of a log.format`
	}
	return &Type{
		Name: "format", Form: form,
		read: func(v *value, dst any, report func(problem)) {
			s, ok := v.text()
			_, err := logging.ParseFormat(s)
			switch {
			case !ok:
				report(problem{what: "is no text"})
			case named && s == "default":
				*dst.(*string) = logging.DefaultFormat
			case named && isWord(s, "-_.", 64):
				*dst.(*string) = s
			case isWord(s, "-_.", 64) || s == "":
				report(problem{what: "has no variable"})
			case err != nil:
				report(problem{what: "is wrong: " + strings.TrimPrefix(err.Error(), "format: ")})
			default:
				*dst.(*string) = s
			}
		},
		show: func(src any) string {
			if s := *src.(*string); s != "" {
				return quote(s)
			}
			return ""
		},
	}
}
