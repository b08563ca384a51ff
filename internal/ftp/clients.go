package ftp

import "strings"

// Courtesies between clients and servers.

// clnt is CLNT: the name of the client's program, for the logs.
func clnt(s *Session, _ string) { s.reply(200, "OK") }

// csid is CSID: both sides tell their names and how their file systems are made.
// What software answers is nobody's business.
func csid(s *Session, _ string) { s.reply(200, "casesensitive=1;") }

// lang is LANG (RFC 2640 §4.1). There is one language, which has to be chosen
// before the login.
func lang(s *Session, arg string) {
	tag := strings.TrimSpace(arg)
	switch {
	case s.user != "":
		s.reply(500, "Unable to handle command")
	case tag == "":
		s.reply(200, "Using default language en_US")
	case !isLanguage(tag):
		s.reply(501, "Invalid language tag")
	default:
		switch upper(strings.ReplaceAll(tag, "_", "-")) {
		case "EN", "EN-US":
			s.reply(200, "Using language en_US")
		default:
			s.reply(504, "Language ", tag, " not supported")
		}
	}
}

// isLanguage tells whether a word has the form of a language tag (RFC 5646):
// parts of one to eight letters and digits, the first of letters.
func isLanguage(tag string) bool {
	for i, part := range strings.Split(strings.ReplaceAll(tag, "_", "-"), "-") {
		if part == "" || len(part) > 8 || i == 0 && strings.ContainsAny(part, "0123456789") {
			return false
		}
		for _, c := range upper(part) {
			if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
				return false
			}
		}
	}
	return true
}
