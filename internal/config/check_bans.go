package config

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"sallyport/internal/policy"
)

// bans looks at what the ban system needs, where it is on.
func (c *checker) bans() {
	b := &c.p.Ban
	if !b.Engine {
		if len(b.Rules) > 0 {
			c.say(Warning, "ban.engine", "false", "is off everywhere: the rules do nothing", "write ban { engine = true } where they are to hold")
		}
		return
	}
	if b.Log != "" {
		c.logFile("ban.log", b.Log)
	}
	if b.Observe {
		c.say(Notice, "ban.mode", "observe", "the rules ban nobody: what they would do is in the log", `write mode = "enforce"`)
	}
	for i := range b.Rules {
		if r := &b.Rules[i]; r.Event == "ClientConnectRate" && r.Count < 3 {
			c.say(Warning, "ban.on_event", r.Event, fmt.Sprintf("bans at connection %d of an address: programs that open several at once are shut out", r.Count), "write a rate such as \"60/1m\"")
		}
	}
	for i := range b.Share {
		c.share(&b.Share[i])
	}
}

// share looks at the password of a store.
func (c *checker) share(s *policy.BanShare) {
	const key = "ban.share.password_file"
	if s.Secret == "" || !c.private(key, s.Secret) {
		return
	}
	f, err := os.Open(s.Secret)
	if err != nil {
		return // gone since
	}
	defer f.Close()
	in := bufio.NewReader(io.LimitReader(f, 4096))
	if line, _ := in.ReadString('\n'); strings.TrimRight(line, "\r\n") == "" {
		c.say(Error, key, s.Secret, "the first line of "+quote(s.Secret)+" holds no password", "")
	}
}

// private is trusted for a file that its owner alone may read.
func (c *checker) private(key, path string) bool {
	if !c.trusted(key, path, decides) {
		return false
	}
	st, err := os.Stat(path)
	if err == nil && st.Mode()&0o077 != 0 {
		c.say(Error, key, path, quote(path)+" may be read by others than its owner, and it holds a password", "chmod 0600 "+path)
		return false
	}
	return err == nil
}
