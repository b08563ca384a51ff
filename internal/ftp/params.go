package ftp

import (
	"math"
	"strconv"
	"strings"
)

// typ is TYPE (RFC 959 §3.1.1): A and A N, I, L 8 (= I) and L 7 (= A).
func typ(s *Session, arg string) {
	w := strings.Fields(upper(arg))
	form := ""
	if len(w) == 2 {
		form = w[1]
	}
	switch {
	case w[0] == "A" && (form == "" || form == "N"), w[0] == "L" && form == "7":
		s.ascii = true
	case w[0] == "I" && form == "", w[0] == "L" && form == "8":
		s.ascii = false
	default:
		s.reply(504, "TYPE not implemented for '", strings.Join(w, " "), "' parameter")
		return
	}
	s.reply(200, "Type set to ", w[0])
}

func stru(s *Session, arg string) {
	switch quote := "'STRU " + arg + "'"; upper(strings.TrimSpace(arg)) {
	case "F":
		s.reply(200, "Structure set to F")
	case "R", "P":
		s.reply(504, quote, " unsupported structure type")
	default:
		s.reply(501, quote, " unrecognized structure type")
	}
}

func mode(s *Session, arg string) {
	switch quote := "'MODE " + arg + "'"; upper(strings.TrimSpace(arg)) {
	case "S":
		s.reply(200, "Mode set to S")
	case "B", "C":
		s.reply(504, quote, " unsupported transfer mode")
	default:
		s.reply(501, quote, " unrecognized transfer mode")
	}
}

// allo is a courtesy: nothing has to be reserved.
func allo(s *Session, arg string) {
	w := strings.Fields(arg)
	if _, ok := number(w[0]); !ok {
		s.reply(504, w[0], ": Invalid ALLO argument")
		return
	}
	if len(w) == 3 {
		if _, ok := number(w[2]); !ok || upper(w[1]) != "R" {
			s.reply(504, arg, ": Invalid ALLO argument")
			return
		}
	}
	s.reply(202, "No storage allocation necessary")
}

// rest sets the offset of the next transfer (RFC 3659 §5).
func rest(s *Session, arg string) {
	n, ok := number(strings.TrimSpace(arg))
	switch {
	case !ok:
		s.reply(501, "REST requires a value greater than or equal to 0")
	case s.ascii && n != 0:
		s.reply(501, textNoRest)
	default:
		s.rest = n
		s.reply(350, "Restarting at ", strconv.FormatInt(n, 10), ". Send STORE or RETRIEVE to initiate transfer")
	}
}

const textNoRest = "REST: Resuming transfers not allowed in ASCII mode"

// number reads decimal digits, no sign, that fit off_t.
func number(t string) (int64, bool) {
	if t == "" {
		return 0, false
	}
	var n int64
	for i := range len(t) {
		d := int64(t[i]) - '0'
		if d < 0 || d > 9 || n > (math.MaxInt64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}
