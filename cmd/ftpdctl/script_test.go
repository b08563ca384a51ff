package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sallyport/internal/control"
	"sallyport/internal/logging"
	"sallyport/internal/policy"
)

// asFtpdctl makes the test binary the command itself.
const asFtpdctl = "SALLYPORT_TEST_FTPDCTL"

func TestMain(m *testing.M) {
	if os.Getenv(asFtpdctl) != "" {
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	testscript.Main(m, map[string]func(){
		"ftpdctl": func() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs the command as a user would. The script command
// `daemon [healthy|degraded|failing]` starts a daemon that is nothing but its
// control socket, at $SALLYPORT_SOCKET.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("SALLYPORT_SOCKET", filepath.Join(e.WorkDir, "s"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"daemon": startDaemon},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
	})
}

func startDaemon(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: daemon healthy|degraded|failing")
	}
	out, err := os.Create(ts.MkAbs("daemon.log"))
	ts.Check(err)
	log, err := logging.New(logging.Options{Format: logging.FormatText, Output: out})
	ts.Check(err)
	s, err := control.Serve(control.Options{
		Control: policy.Control{Engine: true, Socket: ts.Getenv("SALLYPORT_SOCKET")},
		Backend: &daemon{state: args[0], started: time.Now().Add(-3*time.Hour - 5*time.Minute)},
		Version: "9.9", Log: log.Logger,
	})
	ts.Check(err)
	ts.Defer(func() { s.Close(); log.Close(10 * time.Second); out.Close() })
}

// daemon is a control.Backend in one of three moods.
type daemon struct {
	state    string
	started  time.Time
	upgrades int
}

func (d *daemon) Status(context.Context) (control.Status, error) {
	st := control.Status{
		State: control.StateServing, Version: "9.9", Instance: "test", PID: 4242, Sandbox: "enforce", Landlock: 7,
		Started: d.started, Upgrades: d.upgrades,
		Config: control.ConfigStatus{File: "/etc/sallyport/sallyport.hcl", Generation: 3, Loaded: d.started},
		Listeners: []control.ListenerStatus{
			{Label: "ftp", Protocol: "ftp", Address: "[::]:21", Inherited: true, Accepting: true},
		},
		Sessions: control.SessionCounts{Live: 3, Unauthenticated: 1, Max: 800, Pool: 4},
		Workers:  []control.WorkerStatus{{Role: "authd", State: "up", PID: 4243}},
		Counters: control.Counters{Connections: 1000, Refused: 10, BytesIn: 5 << 20},
		Certificates: []control.CertificateStatus{
			{File: "/etc/ssl/a.pem", Subject: "CN=ftp", Expires: time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC), Days: 41},
			{File: "/var/lib/sallyport/self.pem", Subject: "CN=\x1bhost", Expires: time.Date(2021, 5, 6, 12, 0, 0, 0, time.UTC), Days: -1, SelfSigned: true},
		},
	}
	if d.state == "degraded" {
		st.State, st.Reasons = control.StateDegraded, []string{"authd is being restarted"}
		st.Workers[0] = control.WorkerStatus{Role: "authd", State: "restarting", Restarts: 1}
	}
	return st, nil
}

func (d *daemon) Who(context.Context) ([]control.SessionInfo, error) {
	if d.state == "degraded" {
		return nil, nil
	}
	ago := func(s int) time.Time { return time.Now().Add(-time.Duration(s) * time.Second) }
	return []control.SessionInfo{
		{
			ID: "7", PID: 100, FilesPID: 101, UID: 1000, User: "dave", Client: "192.0.2.7:4711", Local: "192.0.2.1:21",
			Protocol: "ftp", Host: "default", Class: "lan", Connected: ago(123), Since: ago(5),
			Activity: control.ActivityIdle, Directory: "/pub",
		},
		{
			ID: "8", User: "erin", Client: "[2001:db8::1]:999", Local: "[2001:db8::2]:21", Protocol: "ftp", Host: "default",
			Class: "lan", Connected: ago(3720), Since: ago(60), Activity: control.ActivityDownload, Command: "RETR",
			Argument: "big\x1b[31m.iso", Transfer: &control.Transfer{Bytes: 41 << 20, Size: 100 << 20, Rate: 1 << 20},
		},
		{
			ID: "10", PID: 102, User: "ftp", UID: 14, Anonymous: true, Email: "me@\x1b[31mhome", Client: "192.0.2.10:5", Local: "192.0.2.1:990",
			Proxy: "192.0.2.77:80", Protocol: "ftp", TLS: true, Host: "pub", Connected: ago(9), Since: ago(9), Activity: control.ActivityIdle,
		},
		{ID: "9", Client: "192.0.2.9:1", Protocol: "ftp", Host: "default", Connected: ago(1), Since: ago(1), Activity: control.ActivityWaiting},
	}, nil
}

func (d *daemon) Kick(_ context.Context, r control.KickRequest) (control.KickResult, error) {
	var res control.KickResult
	for _, n := range r.Names {
		k := control.KickCount{Name: n}
		if n == "dave" || n == "lan" {
			if k.Sessions = 2; r.Max > 0 {
				k.Sessions = min(2, r.Max)
			}
		}
		res.Kicked = append(res.Kicked, k)
	}
	return res, nil
}

func (d *daemon) Reload(context.Context) (control.ReloadResult, error) {
	if d.state == "failing" {
		diag := []string{"sallyport.hcl:3:1: error: max.instanzes: is not known"}
		return control.ReloadResult{Generation: 3, Diagnostics: diag}, fmt.Errorf("the configuration has errors: nothing has changed")
	}
	return control.ReloadResult{Generation: 4, Changed: true}, nil
}

func (d *daemon) Shutdown(_ context.Context, grace time.Duration) error {
	if d.state == "failing" {
		return fmt.Errorf("%w: already stopping", control.ErrRefused)
	}
	if grace != 0 && grace != 30*time.Second && grace != 90*time.Second {
		return fmt.Errorf("grace %s", grace)
	}
	return nil
}

func (d *daemon) Trace(_ context.Context, set []control.TraceLevel) ([]control.TraceLevel, error) {
	l := []control.TraceLevel{{Channel: "auth"}, {Channel: "data"}}
	for _, s := range set {
		if s.Channel != "auth" && s.Channel != "data" {
			return nil, fmt.Errorf("%w: no trace channel %s", control.ErrParameters, logging.Quote(s.Channel))
		}
		for i := range l {
			if l[i].Channel == s.Channel {
				l[i].Level = s.Level
			}
		}
	}
	return l, nil
}

func (d *daemon) Upgrade(context.Context) error {
	if d.state == "failing" {
		return fmt.Errorf("%w: /usr/sbin/sallyport: exec format error", control.ErrRefused)
	}
	d.upgrades++
	return nil
}

// TestManPage holds that every command and option is in the manual page, and
// that nothing in it is taken for a roff request.
func TestManPage(t *testing.T) {
	var b strings.Builder
	t.Setenv("SOURCE_DATE_EPOCH", "0")
	if err := manPage(&b, newRoot(&app{out: &b, err: &b})); err != nil {
		t.Fatal(err)
	}
	s := b.String()
	for _, w := range []string{
		`.TH FTPDCTL 8 "1970-01-01"`, ".SS ftpdctl status\n", ".SS ftpdctl passwd group add NAME", `\fB\-\-socket\fR`,
		"  ftpdctl passwd change web", `\fB\-n\fR, \fB\-\-max\fR`,
	} {
		if !strings.Contains(s, strings.ReplaceAll(strings.TrimPrefix(w, "  "), "passwd-", "")) {
			t.Errorf("the page lacks %q", w)
		}
	}
	known := map[string]bool{".TH": true, ".SH": true, ".SS": true, ".PP": true, ".TP": true, ".RS": true, ".RE": true, ".nf": true, ".fi": true, ".B": true, ".I": true, ".BR": true}
	for l := range strings.SplitSeq(s, "\n") {
		if strings.HasPrefix(l, ".") && !known[strings.Fields(l)[0]] {
			t.Errorf("line %q is a request", l)
		}
		if strings.HasPrefix(l, "'") {
			t.Errorf("line %q is a request", l)
		}
	}
	if strings.Contains(s, "gen\\-man") {
		t.Error("a hidden command is documented")
	}
}
