package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"sallyport/internal/access"
	"sallyport/internal/policy"
)

// picks says whether the `when` section w is about the sessions of class.
func picks(w *section, class string) bool {
	if w.who == nil {
		sel := policy.Selector{Match: "any"}
		w.apply(&scope{w: &sel, s: new(policy.Settings)})
		c, err := access.CompileSelector(&sel)
		if err != nil || everybody(&sel) {
			return false
		}
		w.who = c
	}
	return w.who.Fits(access.Subject{Class: class})
}

// validate checks what no single value can show: names that must be unique,
// that must exist, values that must agree.
func (p *parser) validate(top *section, pol *policy.Policy) {
	v := &validator{parser: p, top: top, labels: map[string]map[string]string{}, hosts: map[string][]claim{}, sockets: map[string]string{}}
	for _, c := range pol.Classes {
		v.classes = append(v.classes, c.Name)
	}
	if g := &pol.Global; g.PoolMin > g.PoolMax {
		v.at(top, "pool.max", Diagnostic{Problem: fmt.Sprintf("is below pool.min, which is %d", g.PoolMin), Right: "pool.min must not be greater than pool.max"})
	}
	if n := len(pol.Global.Control.Socket); n > 107 {
		v.at(top, "run_dir", Diagnostic{Problem: fmt.Sprintf("makes the path of the control socket %d bytes long", n), Right: "at most 107 bytes are possible"})
	}
	v.names(top, "names", claim{host: defaultHost, named: top.set("names") != nil}, nil)
	v.bans(&pol.Ban)
	v.section(top)
}

type validator struct {
	*parser
	top     *section
	classes []string
	labels  map[string]map[string]string // block -> label -> where
	hosts   map[string][]claim           // address, and name at an address -> virtual hosts
	sockets map[string]string            // address -> listener
}

// at reports about a value of s, or about s where the value is a default.
func (v *validator) at(s *section, key string, d Diagnostic) {
	rng := s.rng
	d.Key = key
	if val := s.set(key); val != nil {
		rng, d.Value = val.rng, val.src
	}
	v.add(rng, d)
}

func where(rng hcl.Range) string { return fmt.Sprintf("on line %d", rng.Start.Line) }

func (v *validator) section(s *section) {
	seen, blocks := map[string]string{}, map[string]int{}
	for _, k := range s.kids {
		if n := blocks[k.block.Path]; n == maxBlocks && v.t.listed(k.block.Path) {
			v.add(k.rng, Diagnostic{Key: k.block.name(), Problem: "is one block too many", Right: fmt.Sprintf("at most %d of a kind are possible", maxBlocks)})
		}
		blocks[k.block.Path]++
		switch k.block.Path {
		case "listener":
			v.listener(k)
		case "class":
			v.label(k, "a class", 64, false)
			v.class(k)
		case "virtual_host":
			v.virtualHost(k)
		case "when":
			v.when(k)
		case "root":
			v.root(k)
		case "anonymous":
			v.anonymous(k)
		case "log.format":
			if !k.bad && k.label == "default" {
				v.add(k.lrng, Diagnostic{Key: "log.format", Value: k.label, Problem: "\"default\" is there already", Right: "choose another name"})
			}
		case "log.extended":
			v.format(k)
		case "control.acl":
			if !k.bad && k.set("control.acl.user") == nil && k.set("control.acl.group") == nil {
				v.add(k.rng, Diagnostic{Severity: Warning, Key: "acl", Problem: "names neither user nor group: the actions are for root alone"})
			}
		default:
			if v.t.byKey[k.block.Path+".match"] != nil {
				v.selector(k, k.block.Path)
			}
		}
		v.once(k, seen)
		v.section(k)
	}
	v.roots(s)
	v.unreached(s)
	v.display(s)
	if s.set("auth.file.groups") != nil && s.set("auth.file.users") == nil && s == v.top {
		v.at(s, "auth.file.groups", Diagnostic{Severity: Warning, Problem: "is of no use without auth.file.users"})
	}
}

// maxBlocks bounds the blocks of one list in a section: an array of the views'
// codec holds four times as many.
const maxBlocks = 1024

// listed says whether blocks of this path make a list.
func (t *table) listed(path string) bool {
	return slices.ContainsFunc(lists(), func(l lister) bool { return l.blockPath() == path })
}

// once reports a block by name that stands in its section twice.
func (v *validator) once(k *section, seen map[string]string) {
	keyed := k.block.Path == "log.format"
	for _, l := range lists() {
		if l.blockPath() == k.block.Path {
			keyed = l.keyed()
		}
	}
	if !keyed || k.bad {
		return
	}
	c := newScope()
	label := labelValue(k.label)
	k.block.LabelType.read(&label, k.block.labelAt(c), func(problem) {})
	id := k.block.Path + " " + k.block.LabelType.show(k.block.labelAt(c))
	if first := seen[id]; first != "" {
		v.add(k.lrng, Diagnostic{Key: k.block.name(), Value: k.label, Problem: quote(k.label) + " occurs twice", Right: "the first is " + first})
		return
	}
	seen[id] = where(k.lrng)
}

// label checks a section's name and, where it must be, that it is the only one.
func (v *validator) label(s *section, what string, limit int, unique bool) {
	kind := s.block.name()
	if !isWord(s.label, "-_.", limit) {
		v.add(s.lrng, Diagnostic{
			Key: kind, Value: s.label, Problem: quote(s.label) + " is no name for " + what,
			Right: fmt.Sprintf("a name is letters, digits and any of -_., at most %d bytes", limit),
		})
		return
	}
	if v.labels[kind] == nil {
		v.labels[kind] = map[string]string{}
	}
	if first := v.labels[kind][s.label]; first != "" && unique {
		v.add(s.lrng, Diagnostic{Key: kind, Value: s.label, Problem: quote(s.label) + " occurs twice", Right: "the first is " + first})
		return
	}
	v.labels[kind][s.label] = where(s.lrng)
}

func (v *validator) listener(s *section) {
	v.label(s, "a listener", 64, true)
	val := s.set("listener.address")
	if val == nil {
		return
	}
	for i := range val.items {
		item := &val.items[i]
		str, _ := item.text()
		a, err := netip.ParseAddrPort(str)
		if err != nil || a.Port() == 0 {
			continue
		}
		c := netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
		if first := v.sockets[c]; first != "" {
			v.add(item.rng, Diagnostic{Key: "listener.address", Value: item.src, Problem: quote(c) + " is listened on twice", Right: "the first is listener " + quote(first)})
			continue
		}
		v.sockets[c] = s.label
	}
}

func (v *validator) class(s *section) {
	from := s.set("class.from")
	if from == nil || len(from.items) == 0 {
		return
	}
	match := "any"
	if m := s.set("class.match"); m != nil {
		match, _ = m.text()
	}
	if match == "any" && onlyNegated(from) {
		v.at(s, "class.from", Diagnostic{Problem: "fits nobody: with match = \"any\" a plain item must fit", Right: "add \"all\" to the list, or write match = \"all\""})
	}
}

func onlyNegated(v *value) bool {
	return !slices.ContainsFunc(v.items, func(i value) bool {
		s, _ := i.text()
		return !strings.HasPrefix(s, "!")
	})
}

// claim is a host's claim to an address, or to a name at an address.
type claim struct {
	host  string
	named bool
}

func (v *validator) virtualHost(s *section) {
	v.label(s, "a virtual host", 100, true)
	if s.label == defaultHost {
		v.add(s.lrng, Diagnostic{Key: "virtual_host", Value: s.label, Problem: "\"default\" is the name of the top level", Right: "choose another name"})
	}
	val, names := s.set("virtual_host.address"), s.set("virtual_host.names")
	if val == nil && (names == nil || len(names.items) == 0) {
		if !s.bad {
			v.add(s.rng, Diagnostic{Key: "virtual_host.address", Problem: "is missing, and so is names: nothing would choose this host", Right: `write address = ["192.0.2.21"], or names = ["files.example.org"]`})
		}
		return
	}
	c := claim{host: s.label, named: names != nil && len(names.items) > 0}
	var h policy.Host
	if val != nil {
		localAddresses.read(val, &h.Address, func(problem) {})
	}
	for i, a := range h.Address {
		if had := v.hosts[a]; len(had) > 0 && !c.named {
			v.add(val.items[min(i, len(val.items)-1)].rng, Diagnostic{
				Key: "virtual_host.address", Value: a, Problem: quote(a) + " belongs to a virtual host already",
				Right: "the first is virtual_host " + quote(had[0].host) + "; another one at this address needs names",
			})
			continue
		}
		v.hosts[a] = append(v.hosts[a], c)
	}
	v.names(s, "virtual_host.names", c, h.Address)
}

// names checks that no two hosts have the same name at one address.
func (v *validator) names(s *section, key string, c claim, at []string) {
	val := s.set(key)
	if val == nil {
		return
	}
	var names []string
	hostNames.read(val, &names, func(problem) {})
	if len(at) == 0 {
		at = []string{""}
	}
	for i, n := range names {
		for _, a := range at {
			id := n + " " + a
			if had := v.hosts[id]; len(had) > 0 {
				where := ""
				if a != "" {
					where = " at " + a
				}
				item := &val.items[min(i, len(val.items)-1)]
				whose := "virtual_host " + quote(had[0].host)
				if had[0].host == defaultHost {
					whose = "the top level"
				}
				v.add(item.rng, Diagnostic{Key: key, Value: n, Problem: quote(n) + where + " is the name of a host already", Right: "the first is " + whose})
				continue
			}
			v.hosts[id] = append(v.hosts[id], c)
		}
	}
}

func (v *validator) when(s *section) {
	if !s.bad && s.set("when.class") == nil {
		v.add(s.rng, Diagnostic{Key: "when", Problem: "has no selector: it must say whom it is about", Right: `write class = ["NAME"]; settings for everybody stand outside of when`})
	}
	v.selector(s, "when")
}

// selector checks the lists of a section that is or has a selector.
func (v *validator) selector(s *section, path string) {
	match := "any"
	if m := s.set(path + ".match"); m != nil {
		match, _ = m.text()
	}
	any, plain := false, false
	var list *value
	for _, kind := range []string{"user", "group", "class"} {
		val := s.set(path + "." + kind)
		if val == nil {
			continue
		}
		any, list = true, val
		plain = plain || !onlyNegated(val)
		for i := range val.items {
			v.item(s, kind, match, &val.items[i])
		}
	}
	if any && !plain && match != "all" && !s.bad {
		v.add(list.rng, Diagnostic{
			Key: s.block.name(), Value: list.src, Problem: fmt.Sprintf("fits nobody: with match = %q a plain item must fit", match),
			Right: `add "*" to the list, or write match = "all"`,
		})
	}
}

func (v *validator) item(s *section, kind, match string, item *value) {
	name, _ := item.text()
	name = strings.TrimPrefix(name, "!")
	key := s.block.name() + "." + kind
	if match == "regex" {
		if what := badPattern(name); what != "" {
			v.add(item.rng, Diagnostic{Key: key, Value: item.src, Problem: item.src + " is no regular expression: " + what, Right: "the syntax is RE2"})
		}
		return
	}
	if kind == "class" && name != "*" && !slices.Contains(v.classes, name) {
		v.add(item.rng, Diagnostic{Key: key, Value: item.src, Problem: "there is no class " + quote(name), Suggest: quoteIf(nearest(name, v.classes)), Right: `a class is a block: class "NAME" { from = [...] }`})
	}
}

func (v *validator) root(s *section) {
	v.selector(s, "root")
	what := ""
	switch l := s.label; {
	case l == noRoot:
	case l == "~" || strings.HasPrefix(l, "~/"):
		what = badPath("/"+strings.TrimPrefix(l[1:], "/"), 1024)
	case strings.HasPrefix(l, "~"):
		what = "names the home of a certain user"
	default:
		what = badPath(l, 1024)
	}
	if i := strings.IndexByte(s.label, '%'); what == "" && i >= 0 && strings.Contains(strings.ReplaceAll(s.label, "%u", ""), "%") {
		what = "holds a variable that is not %u"
	}
	if what != "" {
		v.add(s.lrng, Diagnostic{Key: "root", Value: s.label, Problem: quote(s.label) + " " + what, Right: `a root is "~", "~/sub", an absolute path or "none"; %u is the user name`})
	}
}

// roots warns of root blocks that cannot be reached and of lists in which not
// everybody has one.
func (v *validator) roots(s *section) {
	var all, last *section
	for _, k := range s.kids {
		if k.block.Path != "root" {
			continue
		}
		last = k
		if all != nil {
			v.add(k.rng, Diagnostic{Severity: Warning, Key: "root", Value: k.label, Problem: "is never reached", Right: "the root block for everybody " + where(all.rng) + " decides before"})
			continue
		}
		if k.set("root.user") == nil && k.set("root.group") == nil && k.set("root.class") == nil && !k.bad {
			all = k
		}
	}
	if last != nil && all == nil && s.ctx != When && !last.bad {
		v.add(last.rng, Diagnostic{Severity: Warning, Key: "root", Value: last.label, Problem: "is the last and not for everybody: whom no root fits may not log in", Right: `for the others add root "~" {}; or root "/" {}, no confinement; or root "none" {}, no login`})
	}
}
