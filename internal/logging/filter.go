package logging

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// classes are the names that a log's list of commands may hold.
var classes = map[string]uint32{
	"ALL": policy.LogAll, "NONE": 0, "AUTH": policy.LogAuth, "INFO": policy.LogInfo, "DIRS": policy.LogDirs,
	"READ": policy.LogRead, "WRITE": policy.LogWrite, "MISC": policy.LogMisc, "SEC": policy.LogSec,
	"CONNECT": policy.LogConnect, "EXIT": policy.LogExit,
}

// ParseCommands reads the list of an extended log into l: names of classes and
// of commands ("SITE_CHMOD" for a subcommand), each perhaps with "!" before it,
// which takes it away, whatever stands before or after. An empty list is ALL.
// ALL holds every command, not CONNECT and EXIT.
func ParseCommands(l *policy.ExtendedLog, items []string) error {
	l.Classes, l.NotClasses, l.Verbs, l.Not = 0, 0, nil, nil
	if len(items) == 0 {
		l.Classes = policy.LogAll
	}
	for _, item := range items {
		name, not := strings.CutPrefix(item, "!")
		name = strings.ToUpper(strings.ReplaceAll(name, "_", " "))
		class, known := classes[name]
		switch {
		case name == "SSH" || name == "SFTP":
			return fmt.Errorf("class %q: there is no SFTP yet", item)
		case known && not:
			l.NotClasses |= class
		case known:
			l.Classes |= class
		case !verb(name):
			return fmt.Errorf("%q is no class and no command", item)
		case not:
			l.Not = append(l.Not, name)
		default:
			l.Verbs = append(l.Verbs, name)
		}
	}
	if l.Classes == 0 && len(l.Verbs) == 0 && (l.NotClasses != 0 || len(l.Not) > 0) {
		l.Classes = policy.LogAll // nothing but exceptions
	}
	return nil
}

func verb(s string) bool {
	if len(s) < 3 || len(s) > 16 {
		return false
	}
	for i, c := range s {
		if (c < 'A' || c > 'Z') && (i == 0 || c != ' ' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// Wants tells whether the log is to have a line of the command. A command named
// by itself outdoes the classes, "!" outdoes both.
func Wants(l *policy.ExtendedLog, r *ipc.Record) bool {
	switch {
	case listed(l.Not, r.Verb):
		return false
	case listed(l.Verbs, r.Verb):
		return true
	}
	return r.Class&l.NotClasses == 0 && r.Class&l.Classes != 0
}

// listed tells whether verb, or the command that it is a subcommand of, is in
// list.
func listed(list []string, verb string) bool {
	return slices.ContainsFunc(list, func(s string) bool {
		return s == verb || len(verb) > len(s) && verb[:len(s)] == s && verb[len(s)] == ' '
	})
}

// Mask is what a session has to report for these logs.
func Mask(l *policy.Log) policy.LogMask {
	m := policy.LogMask{Transfer: l.Transfer != ""}
	for i := range l.Extended {
		x := &l.Extended[i]
		m.Classes |= x.Classes &^ (policy.LogConnect | policy.LogExit)
		for _, v := range x.Verbs {
			if !slices.Contains(m.Verbs, v) {
				m.Verbs = append(m.Verbs, v)
			}
		}
	}
	return m
}
