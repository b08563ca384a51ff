package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"sallyport/internal/logging"
	"sallyport/internal/policy"
)

const (
	defaultHost   = "default"
	defaultRunDir = "/run/sallyport"
	maxAuthHosts  = 4096    // of policy.Authd: an array of the views' codec
	maxSettings   = 1 << 16 // hosts and classes with settings of their own
)

// compile makes a policy of the file's sections. It reports what is wrong among
// them and returns something all the same; the caller drops it.
func (p *parser) compile(top *section) *policy.Policy {
	pol := &policy.Policy{File: p.name}
	base, first := defaults(pol, p.facts)
	top.apply(&scope{g: &pol.Global, s: base, h: first, b: &pol.Ban})
	if top.set("pool.max") == nil {
		pol.Global.PoolMax = max(pol.Global.PoolMax, pol.Global.PoolMin)
	}
	derive(&pol.Global, base)
	p.formats = map[string]string{}
	for _, k := range top.kids {
		switch k.block.Path {
		case "listener":
			l := policy.Listener{Label: k.label, Protocol: "ftp"}
			k.apply(&scope{l: &l})
			pol.Listeners = append(pol.Listeners, l)
		case "class":
			c := policy.Class{Name: k.label, From: policy.Addresses{Match: "any"}}
			k.apply(&scope{c: &c})
			pol.Classes = append(pol.Classes, c)
		case "control.acl":
			var r policy.ControlRule
			k.apply(&scope{r: &r})
			pol.Global.Control.Rules = append(pol.Global.Control.Rules, r)
		case "log.format":
			var f logFormat
			k.apply(&scope{format: &f})
			p.formats[k.label] = f.text
		}
	}
	if len(pol.Listeners) == 0 {
		pol.Listeners = []policy.Listener{{Label: "ftp", Protocol: "ftp", Address: []string{"[::]:21"}}}
	}
	p.bans(top, &pol.Ban)
	p.validate(top, pol)
	if p.diags.HasErrors() {
		return nil
	}
	for _, l := range listsIn(Top) {
		l.join(&scope{s: base, h: first}, top, false)
	}
	if len(base.Roots) == 0 {
		base.Roots = []policy.Root{{Path: "~", Selector: policy.Selector{Match: "any"}}}
	}
	hosts := []*section{nil}
	for _, k := range top.kids {
		if k.block.Path == "virtual_host" {
			hosts = append(hosts, k)
		}
	}
	c := &compiler{parser: p, pol: pol, top: top, base: base, first: first}
	n, pairs := 0, 0
	for _, own := range hosts {
		pol.Hosts = append(pol.Hosts, c.host(own))
		h := &pol.Hosts[len(pol.Hosts)-1]
		n += (1 + len(h.ByClass)) * (1 + len(h.Base.Anonymous))
		for i := range h.ByClass {
			if h.ByClass[i].Settings.Auth.Name != h.Name {
				pairs++
			}
		}
		pairs++
		if p.bound(n, maxSettings, "settings"); p.diags.HasErrors() {
			return nil
		}
	}
	p.bound(pairs, maxAuthHosts, "ways to log in")
	named(pol)
	finishBans(pol)
	return pol
}

// bound reports that hosts and classes multiply to more than is possible.
func (p *parser) bound(n, most int, what string) {
	if n > most {
		p.diags = append(p.diags, Diagnostic{
			Severity: Error, File: p.name, Key: "virtual_host",
			Problem: fmt.Sprintf("virtual hosts and classes make %d or more different %s, at most %d are possible", n, what, most),
		})
	}
}

// compiler makes the hosts of a policy.
type compiler struct {
	*parser
	pol   *policy.Policy
	top   *section
	base  *policy.Settings // of the top level
	first *policy.Host     // likewise: names and TLS of the default host
	ids   map[uint32]bool  // of anonymous blocks, so far
}

// host makes a host of what holds at the top and its own section (nil for the
// default host).
func (c *compiler) host(own *section) policy.Host {
	s, h := *c.base, *c.first
	blocks := anonymousBlocks(c.top)
	if own != nil {
		h.Name, h.Names = own.label, nil
		at := &scope{h: &h, s: &s}
		own.apply(at)
		for _, l := range listsIn(Host) {
			l.join(at, own, false)
		}
		if b := anonymousBlocks(own); len(b) > 0 {
			blocks = b
		}
	}
	for _, l := range listsIn(Top) {
		if listsOf(l, When) { // else it is final, since no class changes it
			continue
		}
		l.settle(&scope{h: &h, s: &s})
	}
	blocks = reachableBlocks(blocks)
	ids := c.identities(s, h, blocks)
	settle := func(class string) policy.Settings {
		e := s
		for _, sec := range []*section{c.top, own} {
			if sec == nil {
				continue
			}
			for _, w := range sec.kids {
				if w.block.Path != "when" || !picks(w, class) {
					continue
				}
				w.apply(&scope{s: &e, w: new(policy.Selector)})
				for _, l := range listsIn(When) {
					l.join(&scope{s: &e}, w, true)
				}
			}
		}
		for _, l := range listsIn(When) {
			l.settle(&scope{s: &e})
		}
		e.Auth.Name = h.Name
		c.finish(&e, &h)
		c.anonymous(&e, &h, blocks, ids)
		return e
	}
	h.Base = settle("")
	done := map[string]bool{}
	for _, class := range c.pol.Classes {
		if done[class.Name] {
			continue
		}
		done[class.Name] = true
		e := settle(class.Name)
		if reflect.DeepEqual(e, h.Base) {
			continue
		}
		if !reflect.DeepEqual(e.Auth, h.Base.Auth) {
			e.Auth.Name = h.Name + "/" + class.Name
		}
		h.ByClass = append(h.ByClass, policy.ClassSettings{Class: class.Name, Settings: e})
	}
	identify(&h, c.pol.Global.StateDir)
	return h
}

func listsOf(l lister, ctx Context) bool { return grammar().byBlock[l.blockPath()].In&ctx != 0 }

// identify fills what authd needs for TLS: one certificate a host, whatever the
// class.
func identify(h *policy.Host, stateDir string) {
	h.TLS.Name = h.Name
	h.TLS.Engine = h.Base.Session.TLS.Engine
	for i := range h.ByClass {
		h.TLS.Engine = h.TLS.Engine || h.ByClass[i].Settings.Session.TLS.Engine
	}
	if h.TLS.Engine && len(h.TLS.Certificates) == 0 {
		h.TLS.SelfSigned = filepath.Join(stateDir, "tls", "self-signed.pem")
	}
}

// defaults are the settings of an empty file and its host. The global ones go
// into pol.
func defaults(pol *policy.Policy, facts Facts) (*policy.Settings, *policy.Host) {
	s, h := new(policy.Settings), &policy.Host{Name: defaultHost}
	c := newScope()
	c.g, c.s, c.h, c.b = &pol.Global, s, h, &pol.Ban
	for _, k := range grammar().keys {
		if k.Default != "" && k.In != own {
			v := mustValue(k.Default)
			k.Type.read(&v, k.at(c), func(pr problem) { panic("config: default of " + k.Path + ": " + pr.what) })
		}
	}
	switch {
	case !facts.Root:
		s.Auth.Order = []policy.AuthSource{{Name: "file"}}
	case facts.PamHelper:
		s.Auth.Order = []policy.AuthSource{{Name: "file"}, {Name: "pam", Final: true}}
	default:
		s.Auth.Order = []policy.AuthSource{{Name: "file"}, {Name: "unix", Final: true}}
	}
	return s, h
}

// derive fills the defaults that depend on other values.
func derive(g *policy.Global, s *policy.Settings) {
	g.RunDir, g.StateDir = filepath.Clean(g.RunDir), filepath.Clean(g.StateDir)
	if g.Instance == "" {
		g.Instance = instanceOf(g.RunDir)
	}
	if g.Control.Socket == "" {
		g.Control.Socket = filepath.Join(g.RunDir, "control.sock")
	}
	if s.Auth.Delay.Table == "" {
		s.Auth.Delay.Table = filepath.Join(g.StateDir, "delay.table")
	}
}

// instanceOf names the instance that runs in dir: servers with different run
// directories never share a name.
func instanceOf(dir string) string {
	if dir == defaultRunDir {
		return "default"
	}
	sum := sha256.Sum256([]byte(dir))
	name := strings.Map(func(r rune) rune {
		if isWord(string(r), "_", 1) {
			return r
		}
		return '_'
	}, filepath.Base(dir))
	return name[:min(len(name), 32)] + "-" + hex.EncodeToString(sum[:6])
}

// finish copies the values that several views hold, and makes what is derived.
func (c *compiler) finish(s *policy.Settings, h *policy.Host) {
	g := &c.pol.Global
	s.MinUID = s.Auth.MinUID
	if s.Auth.BanEngine = s.BanEngine; s.BanEngine {
		s.Auth.BanHost = h.Name
	}
	v, f := &s.Session, &s.Files
	v.AllowStoreRestart, v.AllowRetrieveRestart = f.AllowStoreRestart, f.AllowRetrieveRestart
	v.TimeoutLogin, v.TimeoutIdle, v.TimeoutStalled = s.TimeoutLogin, s.TimeoutIdle, s.TimeoutStalled
	v.MaxPasswordSize, v.AllowEmpty = s.Auth.MaxPasswordSize, s.Auth.AllowEmpty
	v.Sandbox, f.Sandbox = g.Sandbox, g.Sandbox
	v.ExtendedOnly = s.Passive.Extended
	for _, e := range s.Auth.Delay.Events {
		if e.Event == "USER" && s.Auth.Delay.Engine {
			v.Hold = e
		}
	}
	v.CountTransfers = len(s.Max.TransfersPerHost)+len(s.Max.TransfersPerUser) > 0
	v.FSync, f.AllowRootSymlinks = f.FSync, s.AllowRootSymlinks
	v.TLS.Client = h.TLS.Client.Verify
	if v.Digest.Default = s.DigestDefault; !slices.Contains(v.Digest.Algorithms, s.DigestDefault) {
		v.Digest.Default = v.Digest.Algorithms[0]
	}
	f.DigestMax = v.Digest.Max
	v.Display.Connect = c.texts[s.Display.Connect]
	for _, d := range []struct {
		name string
		file *policy.DisplayFile
	}{
		{s.Display.Login, &v.Display.Login},
		{s.Display.Chdir, &v.Display.Chdir},
		{s.Display.Quit, &v.Display.Quit},
		{s.Display.Transfer, &v.Display.Transfer},
	} {
		if strings.HasPrefix(d.name, "/") {
			*d.file = policy.DisplayFile{Text: c.texts[d.name]}
		} else {
			*d.file = policy.DisplayFile{Path: d.name}
		}
	}
	s.Log.Extended = slices.Clone(s.Log.Extended)
	for i := range s.Log.Extended {
		if x := &s.Log.Extended[i]; isWord(x.Format, "-_.", 64) {
			x.Format = c.formats[x.Format]
		}
	}
	v.Log = logging.Mask(&s.Log)
}

func everybody(s *policy.Selector) bool {
	return len(s.User)+len(s.Group)+len(s.Class) == 0
}

// noRoot as a root's path refuses the login.
const noRoot = "none"

// AuthView is the view of authd: how each host, and each class where it
// differs, authenticates.
func AuthView(pol *policy.Policy) *policy.Authd {
	v := &policy.Authd{Sandbox: pol.Global.Sandbox, StateDir: pol.Global.StateDir}
	seen := map[string]bool{}
	add := func(a policy.AuthHost) {
		if !seen[a.Name] {
			seen[a.Name] = true
			v.Hosts = append(v.Hosts, a)
		}
	}
	for i := range pol.Hosts {
		h := &pol.Hosts[i]
		add(h.Base.Auth)
		for j := range h.ByClass {
			add(h.ByClass[j].Settings.Auth)
		}
		if h.TLS.Engine {
			v.TLS = append(v.TLS, h.TLS)
		}
	}
	return v
}

// everySetting calls f for the settings of all hosts and classes and of the
// anonymous blocks in them.
func everySetting(pol *policy.Policy, f func(h *policy.Host, s *policy.Settings)) {
	with := func(h *policy.Host, s *policy.Settings) {
		f(h, s)
		for i := range s.Anonymous {
			f(h, &s.Anonymous[i].Settings)
		}
	}
	for i := range pol.Hosts {
		h := &pol.Hosts[i]
		with(h, &h.Base)
		for j := range h.ByClass {
			with(h, &h.ByClass[j].Settings)
		}
	}
}
