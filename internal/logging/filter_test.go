package logging

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

func TestWhichCommandsALogWants(t *testing.T) {
	recs := map[string]ipc.Record{
		"RETR":       {Class: policy.LogRead, Verb: "RETR"},
		"NOOP":       {Class: policy.LogMisc, Verb: "NOOP"},
		"MKD":        {Class: policy.LogDirs | policy.LogWrite, Verb: "MKD"},
		"SITE CHMOD": {Class: policy.LogMisc, Verb: "SITE CHMOD"},
		"SITE HELP":  {Class: policy.LogMisc, Verb: "SITE HELP"},
		"FOO":        {Class: policy.LogOther, Verb: "FOO"},
		"CONNECT":    {Class: policy.LogConnect, Verb: "CONNECT"},
		"EXIT":       {Class: policy.LogExit, Verb: "EXIT"},
	}
	order := []string{"RETR", "NOOP", "MKD", "SITE CHMOD", "SITE HELP", "FOO", "CONNECT", "EXIT"}
	for list, want := range map[string]string{
		"":                  "RETR,NOOP,MKD,SITE CHMOD,SITE HELP,FOO",
		"ALL":               "RETR,NOOP,MKD,SITE CHMOD,SITE HELP,FOO",
		"all EXIT":          "RETR,NOOP,MKD,SITE CHMOD,SITE HELP,FOO,EXIT",
		"ALL CONNECT EXIT":  "RETR,NOOP,MKD,SITE CHMOD,SITE HELP,FOO,CONNECT,EXIT",
		"READ":              "RETR",
		"ALL !NOOP READ":    "RETR,MKD,SITE CHMOD,SITE HELP,FOO",
		"!NOOP":             "RETR,MKD,SITE CHMOD,SITE HELP,FOO",
		"!noop ALL":         "RETR,MKD,SITE CHMOD,SITE HELP,FOO",
		"ALL !MISC":         "RETR,MKD,FOO",
		"ALL !MISC NOOP":    "RETR,NOOP,MKD,FOO",
		"ALL !WRITE":        "RETR,NOOP,SITE CHMOD,SITE HELP,FOO",
		"ALL !SITE":         "RETR,NOOP,MKD,FOO",
		"ALL !SITE_CHMOD":   "RETR,NOOP,MKD,SITE HELP,FOO",
		"SITE_CHMOD":        "SITE CHMOD",
		"SITE":              "SITE CHMOD,SITE HELP",
		"NONE":              "",
		"NONE FOO":          "FOO",
		"DIRS":              "MKD",
		"EXIT !READ":        "EXIT",
		"RETR !RETR":        "",
		"CONNECT":           "CONNECT",
		"WRITE !DIRS":       "",
		"MISC !NOOP RETR":   "RETR,SITE CHMOD,SITE HELP",
		"READ WRITE !FOO":   "RETR,MKD",
		"ALL !ALL RETR":     "RETR",
		"SIT":               "",
		"!SITE_CHMOD !NOOP": "RETR,MKD,SITE HELP,FOO",
	} {
		var l policy.ExtendedLog
		if err := ParseCommands(&l, strings.Fields(list)); err != nil {
			t.Errorf("%q: %v", list, err)
			continue
		}
		var got []string
		for _, n := range order {
			r := recs[n]
			if !Wants(&l, &r) {
				continue
			}
			got = append(got, n)
			m := Mask(&policy.Log{Extended: []policy.ExtendedLog{l}})
			if r.Class&m.Classes == 0 && !listed(m.Verbs, r.Verb) && n != "CONNECT" && n != "EXIT" {
				t.Errorf("%q: a session would not report %s", list, n)
			}
		}
		if d := cmp.Diff(want, strings.Join(got, ",")); d != "" {
			t.Errorf("%q (-want +got)\n%s", list, d)
		}
	}
	for item, want := range map[string]string{
		"SFTP": `class "SFTP": there is no SFTP yet`,
		"!SSH": `class "!SSH": there is no SFTP yet`,
		"AB":   `"AB" is no class and no command`,
		"!":    `"!" is no class and no command`,
		"RE\n": `"RE\n" is no class and no command`,
		"1FOO": `"1FOO" is no class and no command`,
	} {
		if err := ParseCommands(&policy.ExtendedLog{}, []string{item}); err == nil || err.Error() != want {
			t.Errorf("%q: %v", item, err)
		}
	}
}

func TestMaskIsTheUnion(t *testing.T) {
	got := Mask(&policy.Log{Transfer: "/x", Extended: []policy.ExtendedLog{
		{Classes: policy.LogAuth | policy.LogExit, Verbs: []string{"RETR"}}, {Classes: policy.LogSec | policy.LogConnect, Verbs: []string{"RETR", "STOR"}},
	}})
	want := policy.LogMask{Transfer: true, Classes: policy.LogAuth | policy.LogSec, Verbs: []string{"RETR", "STOR"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(policy.LogMask{}, Mask(&policy.Log{})); d != "" {
		t.Error(d)
	}
}

func TestTargets(t *testing.T) {
	for path, want := range map[string]slog.Level{"syslog:notice": LevelNotice, "syslog:WARNING": slog.LevelWarn, "syslog:emerg": LevelCrit} {
		if level, daemon, err := ParseTarget(path); err != nil || !daemon || level != want {
			t.Errorf("%s: %v, %v, %v", path, level, daemon, err)
		}
	}
	if _, daemon, err := ParseTarget("/var/log/x"); daemon || err != nil {
		t.Errorf("a path: %v, %v", daemon, err)
	}
	for _, path := range []string{"syslog:", "syslog:loud", "relative", ""} {
		if _, _, err := ParseTarget(path); err == nil {
			t.Errorf("%q is taken", path)
		}
	}
	if d := cmp.Diff([]string{"/a", "/b"}, Paths([]string{"/b", "", "/a", "syslog:info", "/b"})); d != "" {
		t.Error(d)
	}
}

func TestDisconnectReasons(t *testing.T) {
	for reason, want := range map[string]string{
		"client QUIT":                        "Quit",
		"read EOF from client":               "Read EOF from client",
		"idle timeout":                       "Timeout exceeded: TimeoutIdle",
		"login timeout":                      "Timeout exceeded: TimeoutLogin",
		"service stops":                      "Server shutting down",
		"login attempts used up":             "Configured policy: Denied by MaxLoginAttempts",
		"login refused: MaxClientsPerHost 2": "Configured policy: Denied by MaxClientsPerHost",
		"login refused: no home":             "Configured policy: Login denied",
		"killed by SIGSEGV":                  "Terminated by signal: SIGSEGV",
		"":                                   "Unknown/unspecified",
		"the moon is full":                   "Unknown/unspecified: the moon is full",
		strings.Repeat("x", 4000):            "Unknown/unspecified: " + strings.Repeat("x", 128) + "… (4000 bytes)",
	} {
		if got := Disconnect(reason); got != want {
			t.Errorf("Disconnect(%q) = %q", reason, got)
		}
	}
}
