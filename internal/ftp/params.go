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
		s.deflate = false
		s.reply(200, "Mode set to S")
	case "Z":
		if !s.view.ModeZ {
			s.reply(501, quote, " unrecognized transfer mode")
			return
		}
		s.deflate = true
		s.reply(200, "OK")
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

// span is what REST or RANG left for the next transfer: the later one counts.
type span struct {
	first  int64
	last   int64 // with ranged
	ranged bool  // RANG: the bytes from first to last, both included
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
		s.span = span{first: n}
		s.reply(350, "Restarting at ", strconv.FormatInt(n, 10), ". Send STORE or RETRIEVE to initiate transfer")
	}
}

// rang sets the bytes of the next transfer (draft-bryan-ftp-range).
func rang(s *Session, arg string) {
	w := strings.Fields(arg)
	a, ok := number(w[0])
	b, okb := number(w[1])
	switch {
	case !ok || !okb || a == 0 && b == math.MaxInt64: // the number of bytes must be one, too
		s.reply(501, "RANG requires values greater than or equal to 0")
	case a == 1 && b == 0:
		s.span = span{}
		s.reply(350, "Reset byte transfer range")
	case s.ascii:
		s.reply(551, textNoRange)
	case a > b:
		s.reply(501, "RANG start must be less than end")
	default:
		s.span = span{first: a, last: b, ranged: true}
		unit := " bytes"
		if a == b {
			unit = " byte"
		}
		s.reply(350, "Transferring byte range of ", strconv.FormatInt(b-a+1, 10), unit, " starting from ", strconv.FormatInt(a, 10))
	}
}

// takeSpan takes what was left for this transfer; the next one is whole again.
func (s *Session) takeSpan() span {
	p := s.span
	s.span = span{}
	return p
}

// fits answers what cannot be: an offset in TYPE A, which means nothing there,
// and whatever a command with a name here (APPE, STOU) cannot do.
func (p span) fits(s *Session, without string) bool {
	switch {
	case p.ranged && without != "":
		s.reply(550, without, " incompatible with RANG")
	case p.ranged && s.ascii:
		s.reply(551, textNoRange)
	case p.first != 0 && without == "STOU":
		s.reply(550, "STOU incompatible with REST")
	case p.first != 0 && without == "" && s.ascii:
		s.reply(501, textNoRest)
	default:
		return true
	}
	return false
}

const (
	textNoRest  = "REST: Resuming transfers not allowed in ASCII mode"
	textNoRange = "RANG: Transfer ranges not allowed in ASCII mode"
)

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
