package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

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
	base := defaults(&pol.Global, p.facts)
	top.apply(&scope{g: &pol.Global, s: base})
	if top.set("pool.max") == nil {
		pol.Global.PoolMax = max(pol.Global.PoolMax, pol.Global.PoolMin)
	}
	derive(&pol.Global)
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
		}
	}
	if len(pol.Listeners) == 0 {
		pol.Listeners = []policy.Listener{{Label: "ftp", Protocol: "ftp", Address: []string{"[::]:21"}}}
	}
	p.validate(top, pol)
	if p.diags.HasErrors() {
		return nil
	}
	pol.Hosts = append(pol.Hosts, compileHost(pol, base, policy.Host{Name: defaultHost}, top, nil))
	n := 1 + len(pol.Hosts[0].ByClass)
	for _, k := range top.kids {
		if k.block.Path == "virtual_host" {
			h := policy.Host{Name: k.label}
			pol.Hosts = append(pol.Hosts, compileHost(pol, base, h, top, k))
			n += 1 + len(pol.Hosts[len(pol.Hosts)-1].ByClass)
			if p.bound(n, maxSettings, "settings"); p.diags.HasErrors() {
				return nil
			}
		}
	}
	p.bound(len(AuthView(pol).Hosts), maxAuthHosts, "ways to log in")
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

// compileHost makes a host of what holds at the top and its own section (nil
// for the default host).
func compileHost(pol *policy.Policy, base *policy.Settings, h policy.Host, top, own *section) policy.Host {
	s := *base
	s.Roots = roots(top)
	if own != nil {
		own.apply(&scope{h: &h, s: &s})
		if r := roots(own); len(r) > 0 {
			s.Roots = r
		}
	}
	if len(s.Roots) == 0 {
		s.Roots = []policy.Root{{Path: "~", Selector: policy.Selector{Match: "any"}}}
	}
	settle := func(class string) policy.Settings {
		e := s
		for _, sec := range []*section{top, own} {
			if sec == nil {
				continue
			}
			for _, w := range sec.kids {
				if w.block.Path != "when" || !picks(w, class) {
					continue
				}
				w.apply(&scope{s: &e, w: new(policy.Selector)})
				e.Roots = append(roots(w), e.Roots...)
			}
		}
		e.Roots = reachable(e.Roots)
		finish(&e, &pol.Global, h.Name)
		return e
	}
	h.Base = settle("")
	done := map[string]bool{}
	for _, c := range pol.Classes {
		if done[c.Name] {
			continue
		}
		done[c.Name] = true
		e := settle(c.Name)
		if reflect.DeepEqual(e, h.Base) {
			continue
		}
		if !reflect.DeepEqual(e.Auth, h.Base.Auth) {
			e.Auth.Name = h.Name + "/" + c.Name
		}
		h.ByClass = append(h.ByClass, policy.ClassSettings{Class: c.Name, Settings: e})
	}
	return h
}

// defaults are the settings of an empty file. The global ones go into g.
func defaults(g *policy.Global, facts Facts) *policy.Settings {
	s := new(policy.Settings)
	c := newScope()
	c.g, c.s = g, s
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
	return s
}

// derive fills the defaults that depend on other values.
func derive(g *policy.Global) {
	g.RunDir, g.StateDir = filepath.Clean(g.RunDir), filepath.Clean(g.StateDir)
	if g.Instance == "" {
		g.Instance = instanceOf(g.RunDir)
	}
	if g.Control.Socket == "" {
		g.Control.Socket = filepath.Join(g.RunDir, "control.sock")
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

// finish copies the values that several views hold.
func finish(s *policy.Settings, g *policy.Global, host string) {
	s.Auth.Name = host
	s.MinUID = s.Auth.MinUID
	s.Session.AllowStoreRestart, s.Session.AllowRetrieveRestart = s.Files.AllowStoreRestart, s.Files.AllowRetrieveRestart
	s.Session.TimeoutLogin, s.Session.TimeoutIdle, s.Session.TimeoutStalled = s.TimeoutLogin, s.TimeoutIdle, s.TimeoutStalled
	s.Session.MaxPasswordSize, s.Session.AllowEmpty = s.Auth.MaxPasswordSize, s.Auth.AllowEmpty
	s.Session.Sandbox, s.Files.Sandbox = g.Sandbox, g.Sandbox
}

// roots compiles the root blocks of a section.
func roots(s *section) []policy.Root {
	var out []policy.Root
	for _, k := range s.kids {
		if k.block.Path == "root" {
			r := policy.Root{Path: k.label, Selector: policy.Selector{Match: "any"}}
			k.apply(&scope{o: &r})
			out = append(out, r)
		}
	}
	return out
}

func everybody(s *policy.Selector) bool {
	return len(s.User)+len(s.Group)+len(s.Class) == 0
}

// noRoot as a root's path refuses the login.
const noRoot = "none"

// reachable drops the roots that nobody can get: those after one for everybody
// and those whose selector occurred before. A list without a root for everybody
// is closed by one that refuses.
func reachable(in []policy.Root) []policy.Root {
	var out []policy.Root
next:
	for _, r := range in {
		for i := range out {
			if reflect.DeepEqual(out[i].Selector, r.Selector) {
				continue next
			}
		}
		out = append(out, r)
		if everybody(&r.Selector) {
			return out
		}
	}
	return append(out, policy.Root{Path: noRoot, Selector: policy.Selector{Match: "any"}})
}

// AuthView is the view of authd: how each host, and each class where it
// differs, authenticates.
func AuthView(pol *policy.Policy) *policy.Authd {
	v := &policy.Authd{Sandbox: pol.Global.Sandbox}
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
	}
	return v
}
