package config

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/ipc/blob"
)

// TestViewsCanBeSealed: whatever a file may say, master can hand it over: the
// longest texts, the most blocks and names.
func TestViewsCanBeSealed(t *testing.T) {
	var src strings.Builder
	long := func(n int) string { return strings.Repeat("x", n) }
	fmt.Fprintf(&src, "ident = %q\nserver_name = %q\nadmin = %q\naccess_grant_msg = %q\naccess_deny_msg = %q\n", long(400), long(200), long(200), long(400), long(400))
	src.WriteString("display {\nconnect = \"/c\"\nlogin = \"/l\"\nchdir = \"/d\"\nquit = \"/q\"\nfile_transfer = \"/t\"\n}\n")
	fmt.Fprintf(&src, "hidden_stores {\nprefix = %q\nsuffix = %q\n}\nstore_unique_prefix = %q\n", long(64), long(64), long(64))
	var commands []string
	for _, v := range logVerbs {
		commands = append(commands, strings.ReplaceAll(v, " ", "_"))
	}
	src.WriteString("log {\n")
	for i := range maxBlocks {
		fmt.Fprintf(&src, "extended \"/%s%d\" { commands = %s }\n", long(100), i, quoteList(commands))
	}
	src.WriteString("}\n")
	for i := range maxBlocks {
		fmt.Fprintf(&src, "alias \"%s%d\" { user = %q }\n", long(200), i, long(256))
		fmt.Fprintf(&src, "user_password \"%s%d\" { hash = \"$6$%s\" }\n", long(200), i, long(400))
	}
	for i := range maxAnonymous {
		names := make([]string, maxAliases)
		for j := range names {
			names[j] = fmt.Sprintf("%s%d.%d", long(240), i, j)
		}
		fmt.Fprintf(&src, "anonymous \"/%s\" {\nuser = \"%s%d\"\naliases = %s\n}\n", long(1000), long(200), i, quoteList(names))
	}
	src.WriteString("tls {\n")
	for range maxBlocks {
		fmt.Fprintf(&src, "certificate {\nfile = \"/%s\"\nkey = \"/%[1]s\"\nstaple = \"/%[1]s\"\n}\n", long(200))
	}
	src.WriteString("}\n")
	largest, diags := parse("x.hcl", []byte(src.String()), withRoot, func(string) (string, error) { return long(maxText), nil })
	if largest == nil {
		t.Fatal(diags)
	}
	for name, p := range map[string]*policy.Policy{"everything": everything(t), "largest": largest} {
		seal := func(what string, view any) {
			fd, err := blob.Seal(what, view)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			defer unix.Close(fd)
			var st unix.Stat_t
			if err := unix.Fstat(fd, &st); err != nil {
				t.Fatal(err)
			}
			if what == "session" && st.Size > 512<<10 {
				t.Errorf("%s: the view of a session has %d bytes", name, st.Size)
			}
		}
		seal("authd", AuthView(p))
		everySetting(p, func(_ *policy.Host, s *policy.Settings) {
			seal("session", &s.Session)
			seal("files", &s.Files)
		})
	}
}
