package config

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
)

// plain tells of hosts where passwords may be sent in clear, and of TLS that no
// listener can give.
func (c *checker) plain() {
	explicit := false
	for _, l := range c.p.Listeners {
		explicit = explicit || l.TLS == ""
	}
	var open, bare []string // hosts whose clients may send passwords in clear, and those that must
	for i := range c.p.Hosts {
		h := &c.p.Hosts[i]
		t := &h.Base.Session.TLS
		nobody := len(h.Base.Auth.Order) == 0
		switch {
		case !t.Engine && !explicit:
			c.say(Error, "tls.engine", "false", fmt.Sprintf("host %q has no TLS, and all listeners demand it from the first byte", h.Name), `write tls { engine = true }, or a listener without tls = "implicit"`)
		case nobody:
		case !t.Engine:
			bare = append(bare, h.Name)
		case explicit && (t.Required == "off" || t.Required == "data" || t.Required == "!data"):
			open = append(open, h.Name)
		}
	}
	if bare != nil {
		c.say(Notice, "tls.engine", "false", "passwords can be read on the way for "+hostsText(bare), `write tls { engine = true }`)
	}
	if open != nil {
		c.say(Notice, "tls.required", "", "clients may send passwords in clear for "+hostsText(open), `where all clients speak TLS, write tls { required = "on" }`)
	}
}

// hostsText names hosts, the first few of many.
func hostsText(names []string) string {
	const most = 3
	s := "host " + quote(names[0])
	for _, n := range names[1:min(len(names), most)] {
		s += ", " + quote(n)
	}
	if len(names) > most {
		s += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return s
}

// tls looks at the files that authd will read for a host: who may read and change
// them, and whether they hold what they should. It decodes PEM and no more; authd
// says what is wrong within.
func (c *checker) tls(h *policy.TLSHost) {
	if !h.Engine {
		return
	}
	for _, cert := range h.Certificates {
		c.pemFile("tls.certificate.file", cert.File, public, "CERTIFICATE")
		c.pemFile("tls.certificate.key", cert.Key, secret, "PRIVATE KEY")
		if cert.Staple != "" {
			c.trusted("tls.certificate.staple", cert.Staple, public)
		}
	}
	for _, f := range h.Client.CA {
		c.pemFile("tls.client.ca", f, decides, "CERTIFICATE")
	}
	for _, f := range h.Client.CRL {
		c.trusted("tls.client.crl", f, decides)
	}
	if h.Client.Verify != "off" && len(h.Client.CA) == 0 {
		c.say(Error, "tls.client.ca", "", fmt.Sprintf("host %q asks clients for certificates, and believes nobody who issues them", h.Name), `write client { ca = ["/etc/ssl/sallyport/clients-ca.pem"] }`)
	}
	if h.Client.User != "" && h.Client.Verify == "off" {
		c.say(Warning, "tls.client.user", h.Client.User, "is of no use where clients are not asked for certificates", `write client { verify = "request" }`)
	}
	if h.Client.User == "map" && len(h.Client.Map) == 0 {
		c.say(Warning, "tls.client.map", "", fmt.Sprintf("host %q takes the account of a certificate from map blocks, and there are none", h.Name), "")
	}
}

// What a file is for says who may have it in hand; authd asks the same.
const (
	public  = iota // not everybody may change it
	decides        // and it belongs to root or to who starts the server
	secret         // and nobody else reads it, but the groups root and ssl-cert
)

// trusted looks who may change and read a file. It is true if it can be looked
// into.
func (c *checker) trusted(key, path string, trust int) bool {
	bad := func(problem, right string) bool {
		c.say(Error, key, path, quote(path)+" "+problem, right)
		return false
	}
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return bad("does not exist", "")
	}
	if err != nil {
		return bad(reason(err).Error(), "")
	}
	var st unix.Stat_t
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(real)} {
		if unix.Stat(dir, &st) == nil && st.Mode&0o002 != 0 {
			return bad("lies in "+quote(dir)+", which is world-writable", shut(dir))
		}
	}
	if err := unix.Stat(real, &st); err != nil {
		return bad(err.Error(), "")
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return bad("is no regular file", "")
	case st.Mode&0o002 != 0:
		return bad("is world-writable", "chmod o-w "+real)
	case trust == secret && (st.Mode&0o037 != 0 || st.Mode&0o040 != 0 && !keyGroup(st.Gid)):
		return bad("may be read or changed by others than its owner, and it holds a private key", "chmod 0600 "+real)
	case trust != public && st.Uid != 0 && int(st.Uid) != c.euid:
		return bad(fmt.Sprintf("belongs to uid %d", st.Uid), "it must belong to root or to who starts the server")
	case unix.Access(real, unix.R_OK) != nil:
		return bad("cannot be read", "")
	}
	return true
}

// keyGroup says whether a group may read private keys: root, and ssl-cert where
// the system has it.
func keyGroup(gid uint32) bool {
	g, err := user.LookupGroup("ssl-cert")
	return gid == 0 || err == nil && g.Gid == strconv.FormatUint(uint64(gid), 10)
}

// pemFile wants a block of the kind in a file: "PRIVATE KEY" is also the end of
// other names of keys.
func (c *checker) pemFile(key, path string, trust int, kind string) {
	if !c.trusted(key, path, trust) {
		return
	}
	f, err := os.Open(path)
	if err != nil {
		return // said by trusted, or gone since
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		c.say(Error, key, path, fmt.Sprintf("%s cannot be read: %v", quote(path), reason(err)), "")
		return
	}
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			c.say(Error, key, path, fmt.Sprintf("%s holds no PEM block of a %s", quote(path), strings.ToLower(kind)), "")
			return
		}
		if strings.HasSuffix(block.Type, kind) {
			if trust == secret && (strings.HasPrefix(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "") {
				c.say(Error, key, path, quote(path)+" is encrypted, and nobody is there to type its pass phrase", "openssl pkey -in "+path+" -out NEW")
			}
			return
		}
		b = rest
	}
}

// paths looks at what the settings of sessions name.
func (c *checker) paths(s *policy.Settings) {
	if strings.HasPrefix(s.Log.Transfer, "/") {
		c.logFile("log.transfer", s.Log.Transfer)
	}
	for _, x := range s.Log.Extended {
		if strings.HasPrefix(x.Path, "/") {
			c.logFile("log.extended", x.Path)
		}
	}
	if h := &s.CreateHome; h.Engine && h.Skeleton != "" {
		if st, err := os.Stat(h.Skeleton); err != nil || !st.IsDir() {
			c.say(Error, "create_home.skeleton", h.Skeleton, quote(h.Skeleton)+" is no directory", "")
		}
	}
	if s.CreateHome.Engine && !c.facts.Root {
		c.say(Warning, "create_home.engine", "true", "needs root rights: without them all homes belong to the one user there is", "")
	}
	for i := range s.Anonymous {
		p := s.Anonymous[i].Path
		if !strings.HasPrefix(p, "/") {
			continue
		}
		if st, err := os.Stat(p); err != nil || !st.IsDir() {
			c.say(Warning, "anonymous", p, quote(p)+" is no directory: these logins will be refused", "mkdir -p "+p)
		}
	}
}

// shut is what to do about a directory that everybody may write to. One with the
// sticky bit, as /tmp, is meant to be so.
func shut(dir string) string {
	var st unix.Stat_t
	if unix.Stat(dir, &st) == nil && st.Mode&unix.S_ISVTX != 0 {
		return "choose a directory that is not everybody's"
	}
	return "chmod o-w " + dir
}

// logFile wants a log to be possible to open the way master does.
func (c *checker) logFile(key, path string) {
	dir := filepath.Dir(path)
	st, err := os.Stat(dir)
	switch {
	case err != nil:
		c.say(Error, key, path, fmt.Sprintf("the directory of %s: %v", quote(path), reason(err)), "mkdir -p "+dir)
		return
	case !st.IsDir():
		c.say(Error, key, path, quote(dir)+" is no directory", "")
		return
	case st.Mode()&0o002 != 0:
		c.say(Error, key, path, quote(path)+" lies in "+quote(dir)+", which is world-writable", shut(dir))
		return
	}
	switch l, err := os.Lstat(path); {
	case err != nil:
	case l.Mode()&fs.ModeSymlink != 0:
		c.say(Error, key, path, quote(path)+" is a symbolic link, and logs do not follow them", "name the file itself")
	case !l.Mode().IsRegular() && l.Mode()&fs.ModeNamedPipe == 0:
		c.say(Error, key, path, quote(path)+" is neither a file nor a FIFO", "")
	}
}
