package ftp

import (
	"bytes"
	"strings"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// command is a row of the table: all that is decided about a command without
// its handler.
type command struct {
	verb   string
	run    func(s *Session, arg string) // nil: known, but not implemented (502)
	login  bool                         // needs a login
	args   arity
	misfit misfit // how a wrong number of words is answered
	flags  flags
	group  string // of <Limit>
	syntax string // for HELP

	usable func(v *policy.Session) bool // nil: always; a verb that is not is one that nobody knows

	class  uint32 // of logs (docs/LOGGING.md), policy.LogAuth and its kin
	logged bool   // the logs want to know of it; see viewChanged
}

// arity is how many words may follow the verb.
type arity uint8

const (
	argsAny    arity = iota
	argsNone         // exactly none
	argsSome         // something; blanks count, they may be a name
	argsOne          // exactly one word
	argsMaybe        // one word or none
	argsTwo          // exactly two words
	argsType         // one or two words
	argsAllo         // "n" or "n R m"
	argsSecret       // like argsAny, and the argument is never copied
)

func (a arity) fits(arg string) bool {
	switch a {
	case argsNone:
		return arg == ""
	case argsSome:
		return arg != ""
	}
	n := words(arg)
	switch a {
	case argsOne:
		return n == 1
	case argsMaybe:
		return n <= 1
	case argsTwo:
		return n == 2
	case argsType:
		return n == 1 || n == 2
	case argsAllo:
		return n == 1 || n == 3
	}
	return true
}

// words counts the words of arg.
func words(arg string) int {
	n := 0
	for range strings.FieldsSeq(arg) {
		n++
	}
	return n
}

// misfit is the reply to a wrong number of words.
type misfit uint8

const (
	number501 misfit = iota // 501 Invalid number of parameters
	quote500                // 500 'CMD args' not understood
	quote501
	quote504
)

type flags uint8

const (
	inRename  flags = 1 << iota // allowed while RNFR waits for RNTO
	transfers                   // takes time; an ABOR behind it is its own
	xferlog                     // stands in the transfer log
)

// table is the closed list of commands.
type table struct {
	list   []command
	byVerb map[string]*command
}

func newTable() *table {
	t := &table{list: commands()}
	t.byVerb = make(map[string]*command, len(t.list))
	for i := range t.list {
		t.byVerb[t.list[i].verb] = &t.list[i]
	}
	return t
}

// maxVerb is the length of the longest verb there is.
const maxVerb = 7

// find looks a verb up, whatever its case; bytes beyond ASCII are no letters.
func (t *table) find(verb []byte) *command {
	var up [maxVerb]byte
	if len(verb) > maxVerb {
		return nil
	}
	for i, c := range verb {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		up[i] = c
	}
	return t.byVerb[string(up[:len(verb)])]
}

// split cuts a line into its verb and, behind exactly one blank, its argument.
func split(line []byte) (verb, arg []byte) {
	verb, arg, _ = bytes.Cut(line, []byte{' '})
	return verb, arg
}

// dispatch runs one line. The order of the checks is that of the reference:
// foreign protocols, form, known, login, RNFR, number of words.
func (s *Session) dispatch(line []byte, kind lineKind) {
	if kind == lineLong {
		s.tooLong()
		return
	}
	s.longs = 0
	verb, arg := split(line)
	if name := foreignProtocol(line, verb); name != "" {
		s.foreign(name, "client sent "+name+" command '"+string(verb)+"', disconnecting")
		return
	}
	if kind == lineBad || len(verb) == 0 || verb[0] == '\t' {
		s.reply(500, "Invalid command: try being more creative")
		s.event(ipc.EventInvalidCommand, "empty, or a byte that does not belong there") // the line may hold a password
		return
	}
	if s.view.CommandRate.Count > 0 && s.user != "" && !s.slowDown() {
		return
	}
	c := s.find(verb)
	if c == nil {
		s.unknown(verb)
		return
	}
	if c.args == argsSecret {
		s.page.SetCommand(c.verb, nil)
		s.secret = arg
		s.execute(c, "")
		clear(line)
		s.secret = nil
		return
	}
	s.page.SetCommand(c.verb, arg)
	s.execute(c, string(arg))
}

// find is the row of a verb that may be used here.
func (s *Session) find(verb []byte) *command {
	c := s.table.find(verb)
	if c != nil && c.usable != nil && !c.usable(&s.view) {
		return nil
	}
	return c
}

// unknown answers a verb that nobody knows. What stood behind it is shown to
// nobody: it may be a password behind a misspelled PASS.
func (s *Session) unknown(verb []byte) {
	name := strings.ReplaceAll(string(verb), "_", " ")
	s.recorded(&command{verb: upper(string(verb)), class: policy.LogOther, logged: s.logOther}, "", func() {
		s.reply(500, upper(name), " not understood")
	})
	s.event(ipc.EventUnhandledCommand, name)
	if s.user != "" {
		return
	}
	if s.strays++; s.strays >= maxStrays {
		s.event(ipc.EventBadProtocol, "nothing but unknown commands before the login")
		s.leave("client speaks another protocol")
	}
}

// maxStrays is how many verbs that nobody knows are answered before the login:
// the lines of another protocol are that, whatever its first word was.
const maxStrays = 12 // fewer than the events of a second

// execute runs a known command and, where the logs want it, records it.
func (s *Session) execute(c *command, arg string) {
	s.recorded(c, arg, func() { s.run(c, arg) })
}

// run checks a known command's conditions and runs it.
func (s *Session) run(c *command, arg string) {
	switch {
	case s.tooPlain(c):
	case c.login && s.user == "":
		s.reply(530, "Please login with USER and PASS")
	case s.source != "" && c.flags&inRename == 0:
		s.reply(501, "Bad sequence of commands")
	case !c.args.fits(arg):
		if c.verb == "RNTO" {
			s.source = "" // this was the RNTO, or the session could do nothing else any more
		}
		s.misfit(c, arg)
	case c.run == nil:
		s.reply(502, c.verb, " command not implemented")
	default:
		c.run(s, arg)
	}
}

// whole is a command as it is quoted in replies.
func whole(c *command, arg string) string {
	if arg == "" {
		return c.verb
	}
	return c.verb + " " + arg
}

func (s *Session) misfit(c *command, arg string) {
	switch c.misfit {
	case quote500:
		s.notUnderstood(c, arg)
	case quote501:
		s.reply(501, "'", whole(c, arg), "' not understood")
	case quote504:
		s.reply(504, "'", whole(c, arg), "' not understood")
	default:
		s.reply(501, "Invalid number of parameters")
	}
}

func (s *Session) notUnderstood(c *command, arg string) {
	s.reply(500, "'", whole(c, arg), "' not understood")
}

// tooLong answers an over-long line; a client that sends nothing else is not
// talking FTP.
func (s *Session) tooLong() {
	s.reply(500, "Command line too long")
	s.event(ipc.EventInvalidCommand, "over-long command line")
	if s.longs++; s.longs > maxLongs {
		s.leave("over-long command lines")
	}
}

// upper is the verb as replies and logs show it, by ASCII alone.
func upper(verb string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - ('a' - 'A')
		}
		return r
	}, verb)
}
