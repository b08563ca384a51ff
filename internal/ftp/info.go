package ftp

import (
	"fmt"
	"slices"
	"strings"
)

func noop(s *Session, _ string) { s.reply(200, "NOOP command successful") }
func syst(s *Session, _ string) { s.reply(215, "UNIX Type: L8") }

// admin is whom HELP tells clients to write to.
func (s *Session) admin() string {
	if s.view.Admin == "" {
		return "ftp-admin"
	}
	return s.view.Admin
}

// help lists the commands, eight in a row, or shows the syntax of one.
func help(s *Session, arg string) {
	comments := "Direct comments to " + s.admin()
	verb := upper(strings.TrimSpace(arg))
	if verb == "" {
		s.multi(214, "The following commands are recognized (* =>'s unimplemented):", s.helpRows(), comments)
		return
	}
	if verb == "SITE" {
		siteHelp(s, "")
		return
	}
	if sub, ok := strings.CutPrefix(verb, "SITE "); ok {
		siteHelp(s, sub)
		return
	}
	c := s.find([]byte(verb))
	switch {
	case c == nil:
		s.reply(502, "Unknown command '", arg, "'")
	case c.run == nil:
		s.reply(214, "Syntax: ", verb, " (not implemented)")
	default:
		s.reply(214, "Syntax: ", verb, " ", c.syntax)
	}
}

func (s *Session) helpRows() []string {
	var rows []string
	for chunk := range slices.Chunk(s.table.list, 8) {
		var b strings.Builder
		for _, c := range chunk {
			verb := c.verb
			if c.run == nil || c.usable != nil && !c.usable(&s.view) {
				verb += "*"
			}
			fmt.Fprintf(&b, "%-8s", verb)
		}
		rows = append(rows, strings.TrimRight(b.String(), " "))
	}
	return rows
}

// feat lists what works beyond RFC 959 (RFC 2389 §3), sorted whatever the case.
func feat(s *Session, _ string) {
	lines := s.features()
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(upper(a), upper(b)) })
	s.multi(211, "Features:", lines, "End")
}

// features are the lines of FEAT: what this host has switched on.
func (s *Session) features() []string {
	lines := []string{
		"AVBL", "CLNT", "CSID", "EPRT", "EPSV", "LANG en-US*", "MDTM", "MFF modify;UNIX.group;UNIX.mode;", "MFMT",
		"MLST " + factList(s.facts), "RANG STREAM", "REST STREAM", "SITE COPY", "SITE MKDIR", "SITE RMDIR", "SITE SYMLINK",
		"SITE UTIME", "SIZE", "TVFS", "UTF8",
	}
	lines = append(lines, s.featuresTLS()...)
	if s.view.ModeZ {
		lines = append(lines, "MODE Z")
	}
	if hashOn(&s.view) {
		lines = append(lines, s.hashFeature())
	}
	for _, verb := range []string{"MD5", "XCRC", "XMD5", "XSHA", "XSHA1", "XSHA256", "XSHA512"} {
		if s.find([]byte(verb)) != nil {
			lines = append(lines, verb)
		}
	}
	return lines
}

// maxOptsWords bounds OPTS.
const maxOptsWords = 8

func opts(s *Session, arg string) {
	name, rest, _ := strings.Cut(strings.TrimSpace(arg), " ")
	switch n := words(arg); {
	case n == 0:
		s.reply(501, "Invalid number of parameters")
		return
	case n > maxOptsWords:
		s.reply(550, "OPTS: Invalid argument")
		return
	}
	switch name = upper(name); name {
	case "MLST":
		s.optsMLST(rest)
	case "UTF8":
		s.optsUTF8(rest)
	case "REST":
		s.optsREST(rest)
	case "HASH":
		s.optsHash(rest)
	case "MODE":
		if s.view.ModeZ {
			s.optsMode(rest)
			return
		}
		fallthrough
	default:
		s.reply(500, "OPTS ", name, " not understood")
	}
}

// optsUTF8 says yes to both: names are bytes, whatever the client means by them.
func (s *Session) optsUTF8(arg string) {
	switch w := upper(strings.TrimSpace(arg)); w {
	case "ON", "OFF":
		s.reply(200, "UTF8 set to ", strings.ToLower(w))
	default:
		s.reply(501, "'OPTS UTF8' not understood")
	}
}

func (s *Session) optsREST(arg string) {
	w := upper(strings.TrimSpace(arg))
	if s.user == "" || w != "RETR" && w != "STOR" {
		s.reply(501, "'OPTS REST' not understood")
		return
	}
	if w == "RETR" && s.view.AllowRetrieveRestart || w == "STOR" && s.view.AllowStoreRestart {
		s.reply(200, "REST ", w, " allowed")
		return
	}
	s.reply(451, "REST ", w, " not allowed")
}
