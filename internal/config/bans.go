package config

import (
	"fmt"
	"slices"
	"strconv"

	"sallyport/internal/policy"
)

const (
	maxBanRules  = 256
	maxBanShares = 4
)

// bans reads the blocks of the ban system.
func (p *parser) bans(top *section, b *policy.Ban) {
	b.Rules, b.Share = banRules.entries(top), banShares.entries(top)
	i := 0
	for _, k := range top.kids {
		if k.block.Path == "ban.on_event" {
			b.Rules[i].At = p.name + ":" + strconv.Itoa(k.rng.Start.Line)
			i++
		}
	}
}

// finishBans fills what the ban system takes from the settings of sessions.
func finishBans(pol *policy.Policy) {
	pol.Ban.Message = pol.Hosts[0].Base.BanMessage
	everySetting(pol, func(_ *policy.Host, s *policy.Settings) { pol.Ban.Engine = pol.Ban.Engine || s.BanEngine })
}

// bans checks what the rows of the ban system cannot show by themselves.
func (v *validator) bans(b *policy.Ban) {
	for i := range b.Aggregate {
		if a := b.Aggregate[i]; a.Bits >= b.Prefix6 {
			v.at(v.top, "ban.aggregate", Diagnostic{
				Severity: Warning, Problem: fmt.Sprintf("/%d is no wider than what a rule bans, /%d: nothing is gathered there", a.Bits, b.Prefix6),
				Right: "ban.prefix_ipv6 is the length that rules ban",
			})
		}
	}
	for _, class := range b.NeverIn {
		if !slices.Contains(v.classes, class) {
			v.at(v.top, "ban.never_class", Diagnostic{Problem: "there is no class " + quote(class), Suggest: quoteIf(nearest(class, v.classes)), Right: `a class is a block: class "NAME" { from = [...] }`})
		}
	}
	var rules, shares []*section
	for _, k := range v.top.kids {
		switch {
		case k.bad:
		case k.block.Path == "ban.on_event":
			v.banRule(k, rules)
			rules = append(rules, k)
		case k.block.Path == "ban.share":
			v.banShare(k, shares)
			shares = append(shares, k)
		}
	}
	for _, x := range []struct {
		list []*section
		most int
	}{{rules, maxBanRules}, {shares, maxBanShares}} {
		if len(x.list) > x.most {
			v.add(x.list[x.most].rng, Diagnostic{Key: x.list[x.most].block.name(), Problem: "is one block too many", Right: fmt.Sprintf("at most %d of a kind are possible", x.most)})
		}
	}
}

// banEntry reads one block of a list.
func banEntry[T any](l *list[T], k *section) T {
	return l.entries(&section{kids: []*section{k}})[0]
}

func (v *validator) banRule(k *section, before []*section) {
	r := banEntry(banRules, k)
	for _, o := range before {
		if x := banEntry(banRules, o); x.Event == r.Event && x.Count == r.Count && x.Window == r.Window {
			v.add(k.lrng, Diagnostic{Key: "on_event", Value: k.label, Problem: quote(r.Event) + " occurs twice with this rate", Right: "the first is " + where(o.lrng)})
			return
		}
	}
	switch {
	case r.Max > 0 && r.Max < r.Ban:
		v.at(k, "ban.on_event.max", Diagnostic{Problem: "is shorter than the first ban, which lasts " + formatSeconds(uint64(r.Ban/1e9)), Right: "max bounds what repeat makes of it"})
	case r.Max > 0 && r.Repeat < 2:
		v.at(k, "ban.on_event.max", Diagnostic{Severity: Warning, Problem: "is of no use without repeat"})
	}
}

func (v *validator) banShare(k *section, before []*section) {
	s := banEntry(banShares, k)
	for _, o := range before {
		if x := banEntry(banShares, o); x.Driver == s.Driver && x.Address == s.Address && x.Prefix == s.Prefix {
			v.add(k.lrng, Diagnostic{Key: "share", Value: k.label, Problem: quote(s.Address) + " occurs twice", Right: "the first is " + where(o.lrng)})
			return
		}
	}
	if s.Driver == "memcache" {
		for _, key := range []string{"user", "password_file", "counters"} {
			if k.set("ban.share."+key) != nil && (key != "counters" || s.Counters) && (key != "password_file" || s.Secret != "") {
				v.at(k, "ban.share."+key, Diagnostic{Problem: "is of Redis alone: memcached knows neither users nor events", Right: "keep it reachable for the servers only, by the packet filter"})
			}
		}
	}
	if s.User != "" && s.Secret == "" {
		v.at(k, "ban.share.user", Diagnostic{Problem: "is of no use without a password", Right: `write password_file = "/etc/sallyport/redis.secret"`})
	}
}
