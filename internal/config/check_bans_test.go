package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCheckBans: what the ban system cannot work with, or will not do what it
// seems to say, is told before.
func TestCheckBans(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	good := write(t, dir+"/good", "secret\n", 0o600)
	open := write(t, dir+"/open", "secret\n", 0o640)
	blank := write(t, dir+"/blank", "\nsecret\n", 0o600)
	head := fmt.Sprintf("run_dir = %q\nstate_dir = %q\nauth { order = [] }\n", dir, dir)
	share := func(file string) string {
		return fmt.Sprintf("ban {\nshare \"redis\" {\naddress = \"127.0.0.1:6379\"\npassword_file = %q\n}\n}\n", file)
	}
	const rule = "on_event \"ClientConnectRate\" {\nrate = \"%s\"\nban = \"1m\"\n}\n"
	for _, c := range []struct {
		name, src string
		want      []string
	}{
		{"a password of its owner's", share(good), nil},
		{"no file", share(dir + "/no"), []string{`error ban.share.password_file: "DIR/no" does not exist`}},
		{"a password for the group", share(open), []string{`error ban.share.password_file: "DIR/open" may be read by others than its owner, and it holds a password`}},
		{"no password", share(blank), []string{`error ban.share.password_file: the first line of "DIR/blank" holds no password`}},
		{"log", fmt.Sprintf("ban { log = %q }\n", dir+"/no/ban.log"), []string{`error ban.log: the directory of "DIR/no/ban.log": no such file or directory`}},
		{"observe", "ban { mode = \"observe\" }\n", []string{"notice ban.mode: the rules ban nobody: what they would do is in the log"}},
		{"off", "ban {\nengine = false\n" + fmt.Sprintf(rule, "1/1m") + "}\n", []string{"warning ban.engine: is off everywhere: the rules do nothing"}},
		{"on for a host", "ban {\nengine = false\n" + fmt.Sprintf(rule, "9/1m") + "}\nvirtual_host \"x\" {\nnames = [\"x.example.org\"]\nban { engine = true }\n}\n", nil},
		{"a hasty rule", "ban {\n" + fmt.Sprintf(rule, "2/1m") + "}\n", []string{"warning ban.on_event: bans at connection 2 of an address: programs that open several at once are shut out"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, line := range checked(t, head+c.src, Facts{}, dir) {
				if strings.Contains(line, " ban.") {
					got = append(got, strings.ReplaceAll(line, dir, "DIR"))
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}
