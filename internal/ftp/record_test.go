package ftp

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// takeRecords waits until the session has gone and returns what it told.
func (w *world) takeRecords() []ipc.Record {
	w.t.Helper()
	w.want("221", "QUIT")
	w.ended()
	<-w.lost
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.records
}

// untimed leaves out what no test can foretell.
var untimed = cmpopts.IgnoreFields(ipc.Record{}, "Nanos", "Took", "Port")

func logging(m policy.LogMask) setup {
	o := ordinary()
	o.View.Log = m
	return o
}

func TestRecordsTellOfEachCommand(t *testing.T) {
	w := begin(t, logging(policy.LogMask{Classes: policy.LogAll &^ policy.LogMisc}))
	w.put("d/f", "12345")
	w.want("500", "XYZZY secret stuff")
	w.want("331", "USER ann")
	w.want("530", "PASS wrong")
	w.login()
	w.want("250", "CWD d")
	w.want("550", "SIZE missing")
	w.want("550", "MLST missing")
	w.want("350", "RNFR f")
	w.want("250", "RNTO g")
	w.want("200", "NOOP") // a class that nobody asked for
	want := []ipc.Record{
		{Class: policy.LogOther, Verb: "XYZZY", Code: 500, Text: "XYZZY not understood"},
		{Class: policy.LogAuth, Verb: "USER", Arg: "ann", Code: 331, Text: "Password required for ann", Named: "ann"},
		{Class: policy.LogAuth, Verb: "PASS", Arg: "(hidden)", Code: 530, Text: "Login incorrect.", Named: "ann"},
		{Class: policy.LogAuth, Verb: "USER", Arg: "ann", Code: 331, Text: "Password required for ann", Named: "ann"},
		{Class: policy.LogAuth, Verb: "PASS", Arg: "(hidden)", Code: 230, Text: "User ann logged in", Named: "ann", Cwd: "/"},
		{Class: policy.LogDirs, Verb: "CWD", Arg: "d", Code: 250, Text: "CWD command successful", Named: "ann", Cwd: "/d", Path: "/d"},
		{Class: policy.LogInfo, Verb: "SIZE", Arg: "missing", Code: 550, Text: "missing: No such file or directory", Named: "ann", Cwd: "/d", Path: "/d/missing"},
		{Class: policy.LogDirs, Verb: "MLST", Arg: "missing", Code: 550, Text: "'missing' cannot be listed", Named: "ann", Cwd: "/d", Path: "/d/missing"},
		{Class: policy.LogWrite | policy.LogMisc, Verb: "RNFR", Arg: "f", Code: 350, Text: "File or directory exists, ready for destination name", Named: "ann", Cwd: "/d", Path: "/d/f"},
		{Class: policy.LogWrite | policy.LogMisc, Verb: "RNTO", Arg: "g", Code: 250, Text: "Rename successful", Named: "ann", Cwd: "/d", Path: "/d/g", From: "/d/f"},
		{Class: policy.LogInfo, Verb: "QUIT", Code: 221, Text: "Goodbye.", Named: "ann", Cwd: "/d"},
	}
	for i := range want {
		want[i].Protocol = "ftp"
	}
	if d := cmp.Diff(want, w.takeRecords(), untimed); d != "" {
		t.Error(d)
	}
}

func TestRecordsTellOfTransfers(t *testing.T) {
	w := begin(t, logging(policy.LogMask{Transfer: true}))
	w.login()
	w.put("old", "0123456789")
	w.sparse("big", plenty)
	w.store("STOR new", "hello")
	w.want("350", "REST 4")
	w.fetch("RETR old")
	w.want("200", "TYPE A")
	w.put("text", "a\nb\n")
	w.fetch("RETR text")
	w.want("200", "TYPE I")
	w.want("350", "REST 2")
	w.store("STOR old", "xy")
	w.want("350", "REST 1")
	w.store("STOR old", "z")
	w.want("425", "RETR old") // never began: nothing for the transfer log
	w.want("200", "SITE COPY old copy")
	w.want("250", "DELE copy")
	w.want("550", "DELE copy")
	w.passive()
	w.want("150", "RETR big")
	w.send("ABOR\r\n")
	w.next("426")
	w.next("226")
	data := w.passive()
	w.want("150", "STOR half")
	w.reset(data)
	w.next("426")
	got := w.takeRecords()
	want := []ipc.Record{
		{Verb: "STOR", Arg: "new", Code: 226, Path: "/new", Transfer: true, Received: 5, Size: 5, Way: "i", Status: "success"},
		{Verb: "RETR", Arg: "old", Code: 226, Path: "/old", Transfer: true, Sent: 6, Size: 10, Offset: 4, Way: "o", Status: "success"},
		{Verb: "RETR", Arg: "text", Code: 226, Path: "/text", Transfer: true, Sent: 6, Size: 4, Way: "o", ASCII: true, Status: "success"},
		{Verb: "STOR", Arg: "old", Code: 226, Path: "/old", Transfer: true, Received: 2, Size: 10, Offset: 2, Existed: true, Way: "i", Status: "success"},
		{Verb: "STOR", Arg: "old", Code: 226, Path: "/old", Transfer: true, Received: 1, Size: 10, Offset: 1, Existed: true, Way: "i", Status: "success"},
		{Verb: "RETR", Arg: "old", Code: 425, Path: "/old"},
		{Verb: "SITE COPY", Arg: "old copy", Code: 200, Path: "/copy", From: "/old", Transfer: true, Received: 10, Size: 10, Way: "i", Status: "success"},
		{Verb: "DELE", Arg: "copy", Code: 250, Path: "/copy", Transfer: true, Size: 10, Way: "d", Status: "success"},
		{Verb: "DELE", Arg: "copy", Code: 550, Path: "/copy"},
		{Verb: "RETR", Arg: "big", Code: 426, Path: "/big", Transfer: true, Size: plenty, Way: "o", Status: "cancelled"},
		{Verb: "STOR", Arg: "half", Code: 426, Path: "/half", Transfer: true, Way: "i", Status: "failed", Failure: textAborted},
	}
	for i := range want {
		want[i].Protocol, want[i].Named, want[i].Cwd = "ftp", "ann", "/"
		if i < len(got) {
			if want[i].Transfer && !strings.HasPrefix(want[i].Verb, "DELE") && !strings.HasPrefix(want[i].Verb, "SITE") && (got[i].Port == 0 || got[i].Took == 0) {
				t.Errorf("%s: port %d, took %d", got[i].Verb, got[i].Port, got[i].Took)
			}
			if want[i].Arg == "big" {
				want[i].Sent = got[i].Sent // what the sockets held
			}
		}
	}
	if d := cmp.Diff(want, got, untimed, cmpopts.IgnoreFields(ipc.Record{}, "Text", "Class")); d != "" {
		t.Error(d)
	}
}

func TestNothingIsRecordedWhereNoLogIs(t *testing.T) {
	w := begin(t, ordinary())
	w.login()
	w.store("STOR f", "x")
	if got := w.takeRecords(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestSingleVerbsAreRecorded(t *testing.T) {
	w := begin(t, logging(policy.LogMask{Verbs: []string{"PWD", "SITE CHMOD"}}))
	w.login()
	w.put("f", "x")
	w.want("257", "PWD")
	w.want("200", "NOOP")
	w.want("200", "SITE CHMOD 600 f")
	w.want("214", "SITE HELP CHMOD")
	got := w.takeRecords()
	if len(got) != 3 || got[2].Verb != "SITE HELP" || got[2].Arg != "CHMOD" || got[0].Verb != "PWD" || got[1].Verb != "SITE CHMOD" {
		t.Errorf("%+v", got)
	}
}

// TestStatusDuringATransferIsARecordOfItsOwn: the records of the two do not
// mix.
func TestStatusDuringATransferIsARecordOfItsOwn(t *testing.T) {
	w := begin(t, logging(policy.LogMask{Classes: policy.LogInfo | policy.LogRead}))
	w.login()
	w.sparse("big", plenty)
	data := w.passive()
	w.want("150", "RETR big")
	w.want("211-", "STAT")
	w.reset(data)
	w.next("426")
	got := w.takeRecords()
	if len(got) != 3 || got[0].Verb != "STAT" || got[0].Code != 211 || got[0].Transfer || got[1].Verb != "RETR" || got[1].Code != 426 || !got[1].Transfer {
		t.Errorf("%+v", got)
	}
}

func TestAnonymousMailIsKeptForTheLogs(t *testing.T) {
	for _, c := range []struct{ name, want string }{{"ftp", "secret"}, {"guest", ""}, {"ann", ""}} {
		o := logging(policy.LogMask{Classes: policy.LogInfo})
		settings["anonymous"](&o)
		w := begin(t, o)
		w.want("331", "USER "+c.name)
		w.want("230", "PASS secret")
		if got := w.takeRecords(); len(got) != 1 || got[0].Secret != c.want {
			t.Errorf("%s: %+v, want the secret %q", c.name, got, c.want)
		}
	}
}

// TestRecordsAreBounded: what a client drives beyond the rate is dropped, and
// the next record says how many there were; what has moved or changed something
// has a rate of its own.
func TestRecordsAreBounded(t *testing.T) {
	a, b := pair(t)
	s := &Session{lane: ipc.New(a, ipc.SessionLane, ipc.Session)}
	master := ipc.New(b, ipc.SessionLane, ipc.Master)
	defer s.lane.Close()
	defer master.Close()
	s.lane.SetState(ipc.SessionOpen)
	master.SetState(ipc.SessionOpen)
	noop := &command{verb: "NOOP", logged: true}
	s.records = pace{since: time.Now().Add(time.Hour), n: maxRecords - 1} // a second that does not end
	for range 4 {
		s.recorded(noop, "", func() {})
	}
	s.records = pace{}
	s.recorded(noop, "", func() {})
	var lost []uint32
	for range 2 {
		m, err := master.Recv()
		must(t, err)
		lost = append(lost, m.Body.(*ipc.Record).Lost)
	}
	if lost[0] != 0 || lost[1] != 3 {
		t.Errorf("lost %d", lost)
	}
	if _, err := master.TryRecv(); err != ipc.ErrAgain {
		t.Errorf("another record: %v", err)
	}
	// A flood of commands that do nothing hides none that does something.
	s.records = pace{since: time.Now().Add(time.Hour), n: maxRecords}
	write := &command{verb: "SITE CHMOD", class: policy.LogWrite, logged: true}
	for _, act := range []func(){
		func() { s.rec.transfer, s.rec.way, s.rec.code = true, "i", 426 },
		func() { s.rec.code = 550 }, // it has changed nothing
		func() { s.rec.code = 250 },
	} {
		s.recorded(write, "", act)
	}
	for _, want := range []struct{ code, lost int }{{426, 0}, {250, 1}} {
		m, err := master.Recv()
		must(t, err)
		if r := m.Body.(*ipc.Record); int(r.Code) != want.code || int(r.Lost) != want.lost {
			t.Errorf("record of %d, %d lost; want %v", r.Code, r.Lost, want)
		}
	}
	if _, err := master.TryRecv(); err != ipc.ErrAgain {
		t.Errorf("another record: %v", err)
	}
}
