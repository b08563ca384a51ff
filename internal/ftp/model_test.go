package ftp

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport/ipc"
)

// model is what a client has to know of a session: a small, second account of
// the sequence rules, without any of the real one's machinery.
type model struct {
	named, user string
	renaming    bool
	ascii       bool
	rest, last  int // of REST or RANG; last -1: to the end
	copying     bool
	strays      int
	deflate     bool
	onlyEPSV    bool
	passive     bool
	over        bool
}

const tenBytes = "0123456789"

// expect returns the beginning of the reply to a command and moves on.
func (m *model) expect(verb, arg string) string {
	if m.user == "" && !strings.Contains(" USER PASS QUIT NOOP TYPE XYZZY CLNT LANG ", " "+verb+" ") {
		return "530 Please"
	}
	if m.renaming && !strings.Contains(" RNTO NOOP QUIT STAT XYZZY ", " "+verb+" ") {
		return "501 Bad sequence"
	}
	switch verb {
	case "XYZZY":
		if m.user == "" {
			m.strays++
			m.over = m.strays == maxStrays
		}
		return "500 XYZZY not understood"
	case "NOOP":
		return "200 NOOP"
	case "STAT":
		return "211-"
	case "QUIT":
		m.over = true
		return "221 "
	case "USER":
		return m.userReply(arg)
	case "PASS":
		return m.passReply(arg)
	case "TYPE":
		m.ascii = arg == "A"
		return "200 Type set to " + arg
	case "REST":
		n, err := strconv.Atoi(arg)
		switch {
		case err != nil || n < 0:
			return "501 REST requires"
		case m.ascii && n > 0:
			return "501 REST: Resuming"
		}
		m.rest, m.last = n, -1
		return "350 Restarting at " + arg
	case "RANG":
		return m.rangReply(arg)
	case "CLNT":
		return "200 OK"
	case "LANG":
		if m.user != "" {
			return "500 Unable"
		}
		return "200 Using"
	case "MODE":
		m.deflate = arg == "Z"
		if m.deflate {
			return "200 OK"
		}
		return "200 Mode set to S"
	case "MFMT":
		return "213 Modify=20240102030405; f"
	case "MDTM":
		return "213 "
	case "HASH":
		return m.hashReply()
	case "XCRC":
		return "213 A684C7C6"
	case "SITE":
		return m.siteReply(arg)
	case "RNFR":
		if arg != "f" {
			return "550 "
		}
		m.renaming = true
		return "350 File"
	case "RNTO":
		if !m.renaming {
			return "503 "
		}
		m.renaming = false
		return "250 Rename"
	case "SIZE":
		if m.ascii {
			return "550 SIZE not allowed"
		}
		return "213 10"
	case "ABOR":
		return "226 Abort successful"
	case "PASV":
		if m.onlyEPSV {
			return "500 Illegal PASV"
		}
		m.passive = true
		return "227 "
	case "PORT":
		if m.onlyEPSV {
			return "500 Illegal PORT command, EPSV"
		}
		m.passive = false
		return "500 Illegal PORT command"
	case "EPSV":
		if arg == "ALL" {
			m.onlyEPSV = true
			return "200 EPSV ALL"
		}
		m.passive = true
		return "229 "
	case "RETR":
		return m.retrReply()
	}
	panic(verb)
}

func (m *model) userReply(name string) string {
	switch {
	case name == "":
		return "500 USER"
	case m.user == name:
		return "230 "
	case m.user != "":
		return "501 Reauth"
	}
	m.named = name
	return "331 "
}

func (m *model) passReply(secret string) string {
	name := m.named
	switch {
	case m.user != "":
		return "503 You are"
	case name == "":
		return "503 Login with"
	case secret == "":
		return "501 Login incorrect."
	}
	m.named = ""
	if secret != "secret" {
		return "530 Login incorrect."
	}
	m.user = name
	return "230 User " + name
}

// retrReply is of RETR f, with a client that connects where it can.
func (m *model) retrReply() string {
	off, last := m.rest, m.last
	m.rest, m.last = 0, -1
	end := len(tenBytes)
	if last >= 0 {
		end = last + 1
	}
	switch {
	case last >= 0 && m.ascii:
		return "551 RANG"
	case off > 0 && m.ascii:
		return "501 REST: Resuming"
	case off > len(tenBytes), end > len(tenBytes):
		return "554 "
	case !m.passive:
		return "425 Unable to build data connection: No PORT or PASV"
	}
	m.passive = false
	return "150 " + tenBytes[off:end]
}

func (m *model) rangReply(arg string) string {
	var a, b int
	_, err := fmt.Sscanf(arg, "%d %d", &a, &b)
	switch {
	case err != nil:
		return "501 RANG requires"
	case a == 1 && b == 0:
		m.rest, m.last = 0, -1
		return "350 Reset"
	case m.ascii:
		return "551 RANG"
	case a > b:
		return "501 RANG start"
	}
	m.rest, m.last = a, b
	return "350 Transferring"
}

// hashReply is of HASH f: it takes REST and RANG as RETR does, and knows no TYPE.
func (m *model) hashReply() string {
	off, last := m.rest, m.last
	m.rest, m.last = 0, -1
	end := len(tenBytes)
	if last >= 0 {
		end = last + 1
	}
	if off > len(tenBytes) || end > len(tenBytes) {
		return "554 "
	}
	return fmt.Sprintf("213 SHA-1 %d-%d ", off, end)
}

func (m *model) siteReply(arg string) string {
	verb, _, _ := strings.Cut(arg, " ")
	switch verb {
	case "CPFR":
		m.copying = arg == "CPFR f"
		if !m.copying {
			return "550 missing"
		}
		return "350 File"
	case "CPTO":
		if !m.copying {
			return "503 Bad"
		}
		m.copying = false
		return "250 Copy"
	case "CHMOD":
		return "200 SITE CHMOD"
	}
	return "500 'SITE NOPE' not understood"
}

// TestSequencesFollowTheModel plays random sessions, each command answered
// before the next.
func TestSequencesFollowTheModel(t *testing.T) {
	command := rapid.SampledFrom([]string{
		"USER ann", "USER ann", "USER bob", "USER", "PASS secret", "PASS secret", "PASS wrong", "PASS", "XYZZY", "NOOP", "STAT", "ABOR",
		"TYPE A", "TYPE I", "TYPE I", "REST 0", "REST 4", "REST 10", "REST 11", "REST x", "RNFR f", "RNFR missing", "RNTO f", "RNTO f",
		"SIZE f", "RANG 2 5", "RANG 0 9", "RANG 3 10", "RANG 1 0", "RANG 5 2", "RANG x y", "CLNT x", "LANG en", "MODE Z", "MODE S", "MODE S",
		"MFMT 20240102030405 f", "MDTM f", "HASH f", "XCRC f", "SITE CPFR f", "SITE CPFR missing", "SITE CPTO g", "SITE CHMOD 644 f", "SITE NOPE", "PASV", "EPSV", "EPSV ALL", "PORT 10,0,0,1,20,20", "RETR f", "RETR f", "QUIT",
	})
	rapid.Check(t, func(t *rapid.T) {
		o := ordinary()
		settings["digests"](&o)
		settings["modez"](&o)
		w := begin(t, o)
		w.put("f", tenBytes)
		m := &model{last: -1}
		if rapid.Bool().Draw(t, "logged in") {
			w.login()
			m.user = "ann"
		}
		var address string
		for !m.over {
			c := command.Draw(t, "command")
			if n := rapid.IntRange(0, 30).Draw(t, "enough"); n == 0 {
				c = "QUIT"
			}
			verb, arg, _ := strings.Cut(c, " ")
			want := m.expect(verb, arg)
			if data, ok := strings.CutPrefix(want, "150 "); ok {
				w.retrieve(c, address, data, m.deflate)
				continue
			}
			got := w.cmd("%s", c)
			if !strings.HasPrefix(got, want) {
				t.Fatalf("%s: %q, the model says %q", c, got, want)
			}
			if a := announced(got); a != "" {
				address = a
			}
		}
		w.ended()
	})
}

// announced returns the port of a 227 or 229 reply.
func announced(reply string) string {
	var a, b, p, q int
	if n, _ := fmt.Sscanf(reply, "227 Entering Passive Mode (127,0,%d,%d,%d,%d)", &a, &b, &p, &q); n == 4 {
		return strconv.Itoa(p<<8 | q)
	}
	if n, _ := fmt.Sscanf(reply, "229 Entering Extended Passive Mode (|||%d|)", &p); n == 1 {
		return strconv.Itoa(p)
	}
	return ""
}

// retrieve runs RETR over a connection to the announced port.
func (w *world) retrieve(command, port, want string, deflate bool) {
	w.t.Helper()
	c := dial(w.t, "127.0.0.1:"+port)
	defer c.Close()
	w.want("150 ", command)
	var b []byte
	if deflate {
		b = []byte(inflated(w.t, c))
	} else {
		var err error
		b, err = io.ReadAll(c)
		must(w.t, err)
	}
	if string(b) != want {
		w.t.Fatalf("%s: %q, want %q", command, b, want)
	}
	w.next("226 Transfer complete")
}

// TestTransfersEndInEveryOrder aborts, resets, closes, asks and quits during
// transfers, in every order, and holds that the session stays in step: replies
// come in order, none twice, none is missing.
func TestTransfersEndInEveryOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := ordinary()
		settings["digests"](&o)
		if rapid.Bool().Draw(t, "hidden") {
			settings["hidden"](&o)
		}
		if rapid.Bool().Draw(t, "counted and slowed") {
			o.View.CountTransfers = true
			for _, c := range []string{"RETR", "STOR", "APPE", "STOU"} {
				o.Rates = append(o.Rates, ipc.RateRule{Command: c, PerSecond: 4 << 30, Free: 1 << 16})
			}
		}
		w := begin(t, o)
		w.login()
		w.sparse("big", plenty)
		for range rapid.IntRange(1, 4).Draw(t, "transfers") {
			if !w.disturb(t) {
				w.ended()
				return
			}
		}
		w.called()
		if left, _ := filepath.Glob(filepath.Join(w.root, ".in.*")); len(left) > 0 {
			t.Fatalf("left behind: %q", left)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.running != 0 {
			t.Fatalf("%d transfers run", w.running)
		}
	})
}

// disturb runs one transfer with disturbances; false: the session is over.
func (w *world) disturb(t *rapid.T) bool {
	command := rapid.SampledFrom([]string{"RETR big", "STOR up", "APPE up", "STOU"}).Draw(t, "transfer")
	data := w.passive()
	w.want("150", command)
	var wait []string // replies that come behind the transfer's
	aborted, quit := false, false
	for !aborted {
		switch what := rapid.SampledFrom([]string{"ABOR", "abor synch", "reset", "close", "STAT", "NOOP", "RETR", "HASH", "SITE RMDIR", "SITE CHMOD", "QUIT", "some data"}).Draw(t, "disturbance"); what {
		case "ABOR":
			w.send("ABOR\r\n")
			wait, aborted = append(wait, "226 Abort"), true
		case "abor synch":
			w.urgent()
			w.send("ABOR\r\n")
			wait, aborted = append(wait, "226 Abort"), true
		case "STAT":
			w.send("STAT\r\n")
			if len(wait) == 0 {
				w.next("211-")
			} else {
				wait = append(wait, "211-")
			}
		case "NOOP":
			w.send("NOOP\r\n")
			wait = append(wait, "200 NOOP")
		case "RETR": // a second transfer waits; what follows is not for the first
			w.send("RETR big\r\n")
			wait = append(wait, "425 ")
			w.reset(data)
			aborted = true
		case "HASH":
			w.send("HASH missing\r\n")
			wait = append(wait, "550 ")
			w.reset(data)
			aborted = true
		case "SITE RMDIR":
			w.send("SITE RMDIR missing\r\n")
			wait = append(wait, "550 ")
			w.reset(data)
			aborted = true
		case "SITE CHMOD": // waits, and an ABOR behind it is for the transfer
			w.send("SITE CHMOD 644 missing\r\n")
			wait = append(wait, "550 ")
		case "QUIT":
			w.send("QUIT\r\n")
			if len(wait) > 0 {
				w.reset(data)
			}
			wait, aborted, quit = append(wait, "221"), true, true
		case "reset":
			w.reset(data)
			aborted = true
		case "close":
			data.Close()
			if !strings.HasPrefix(command, "RETR") {
				w.next("226 Transfer complete")
				return w.expectAll(wait, false)
			}
			aborted = true
		case "some data":
			if strings.HasPrefix(command, "RETR") {
				_, _ = io.ReadFull(data, make([]byte, 100000))
			} else {
				_, _ = data.Write(make([]byte, 100000))
			}
		}
	}
	w.next("426 Transfer aborted")
	return w.expectAll(wait, quit)
}

func (w *world) expectAll(replies []string, quit bool) bool {
	w.t.Helper()
	for _, r := range replies {
		w.next(r)
	}
	return !quit
}
