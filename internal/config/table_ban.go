package config

import "sallyport/internal/policy"

func banKeys() []*Key {
	return append([]*Key{
		{
			Path: "ban.engine", Type: boolean, In: anywhere, Default: "false", Example: "true", Directive: "BanEngine",
			Doc:  "Whether banned clients are refused, and what clients do counts towards a ban.",
			More: "A ban block without it switches it on. Where it is off, for a host or a class, bans hold for nobody and nothing counts; the list stays, and other hosts go by it.",
			at:   func(c *scope) any { return &c.s.BanEngine },
		},
		{
			Path: "ban.message", Type: text(400), In: anywhere, Default: `""`, Example: `"Host %a is banned"`, Directive: "BanMessage",
			Doc:  "What a banned client is told, after 530; %a is its address, %c its class, %u the user. Empty: nothing, the connection just closes.",
			More: "A rule's own message comes first. In a host or class an empty text means that of the top level.",
			at:   func(c *scope) any { return &c.s.BanMessage },
		},
		{
			Path: "ban.mode", Type: observing, In: Top, Default: `"enforce"`, Example: `"observe"`,
			Doc: "\"observe\" logs what the rules would ban and bans nobody.",
			at:  func(c *scope) any { return &c.b.Observe },
		},
		{
			Path: "ban.max_bans", Type: count(16, 1<<20, false), In: Top, Default: "65536", Example: "200000",
			Doc:  "How many bans there may be at a time.",
			More: "In a full list the rule's ban that ends soonest makes room for one that lasts longer; those of ftpdctl and those without an end never do.",
			at:   func(c *scope) any { return &c.b.Most },
		},
		{
			Path: "ban.any_host", Type: boolean, In: Top, Default: "false", Example: "true", Directive: "BanOptions MatchAnyServer",
			Doc: "Whether rules ban on every virtual host, and count what is done on any of them; else each host by itself.",
			at:  func(c *scope) any { return &c.b.AnyHost },
		},
		{
			Path: "ban.prefix_ipv4", Type: bits(8, 32), In: Top, Default: "32", Example: "24",
			Doc: "Length of the IPv4 prefix that a rule bans for an address; 32 is the address alone.",
			at:  func(c *scope) any { return &c.b.Prefix4 },
		},
		{
			Path: "ban.prefix_ipv6", Type: bits(16, 128), In: Top, Default: "64", Example: "56",
			Doc:  "Length of the IPv6 prefix that a rule bans for an address.",
			More: "A single machine has a /64 as a rule, and may choose any address in it.",
			at:   func(c *scope) any { return &c.b.Prefix6 },
		},
		{
			Path: "ban.aggregate", Type: aggregates, In: Top, Default: `["8 of /56", "16 of /48"]`, Example: `["4 of /48"]`,
			Doc:  "So many banned prefixes within a wider IPv6 prefix become one ban of all of it.",
			More: "Else one customer of a provider, who has a /56 or a /48, could fill the list. Bans by ftpdctl stay as they are.",
			at:   func(c *scope) any { return &c.b.Aggregate },
		},
		{
			Path: "ban.never", Type: spared, In: Top, Default: "[]", Example: `["192.0.2.0/24", "2001:db8::/48"]`,
			Doc:  "Addresses and networks that are never banned: not by a rule, not by ftpdctl, not by another server.",
			More: "What they do does not count. Put in the monitoring, the office, the gateway that many customers share.",
			at:   func(c *scope) any { return &c.b.Never },
		},
		{
			Path: "ban.never_class", Type: classNames, In: Top, Default: "[]", Example: `["trusted"]`,
			Doc: "Classes whose clients are never banned by what they do, and that are never banned themselves.",
			at:  func(c *scope) any { return &c.b.NeverIn },
		},
		{
			Path: "ban.log", Type: path(1024, true), In: Top, Default: `"none"`, Example: `"/var/log/sallyport/ban.log"`, Directive: "BanLog",
			Doc: "A file for what the ban system does, besides the daemon's log.",
			at:  func(c *scope) any { return &c.b.Log },
		},
	}, append(banRuleKeys(), banShareKeys()...)...)
}

func banRuleKeys() []*Key {
	return []*Key{
		{
			Path: "ban.on_event.rate", Type: ruleRate, In: own, Required: true, Example: `"2/10m"`,
			Doc: "How often within what time; the last of them bans.",
			at:  func(c *scope) any { return c.rule },
		},
		{
			Path: "ban.on_event.ban", Type: long(1, longestBan, false), In: own, Required: true, Example: `"1h"`,
			Doc: "How long the ban lasts.",
			at:  func(c *scope) any { return &c.rule.Ban },
		},
		{
			Path: "ban.on_event.repeat", Type: times, In: own, Default: `"none"`, Example: `"x4"`,
			Doc:  "Whoever is banned again, soon after the last ban or during it, is banned that many times longer.",
			More: "Soon is before as much time has passed as the last ban lasted, and at least an hour.",
			at:   func(c *scope) any { return &c.rule.Repeat },
		},
		{
			Path: "ban.on_event.max", Type: long(1, longestBan, true), In: own, Default: `"none"`, Example: `"24h"`,
			Doc: "The longest that repeat makes of it.",
			at:  func(c *scope) any { return &c.rule.Max },
		},
		{
			Path: "ban.on_event.message", Type: text(400), In: own, Default: `""`, Example: `"Come back in an hour"`,
			Doc: "What whom the rule has banned is told, instead of ban.message.",
			at:  func(c *scope) any { return &c.rule.Message },
		},
	}
}

func banShareKeys() []*Key {
	return []*Key{
		{
			Path: "ban.share.address", Type: peer, In: own, Required: true, Example: `"192.0.2.5:6379"`,
			Doc: "Address or name of the store, with the port.",
			at:  func(c *scope) any { return &c.share.Address },
		},
		{
			Path: "ban.share.user", Type: word("a name", "-_.@", 128), In: own, Example: `"sallyport"`,
			Doc: "User of the store (Redis 6 and later); without it the password is that of the default user.",
			at:  func(c *scope) any { return &c.share.User },
		},
		{
			Path: "ban.share.password_file", Type: path(1024, true), In: own, Default: `"none"`, Example: `"/etc/sallyport/redis.secret"`,
			Doc:  "File whose first line is the password of the store.",
			More: "It belongs to root or to who starts the server, and nobody else may read it.",
			at:   func(c *scope) any { return &c.share.Secret },
		},
		{
			Path: "ban.share.prefix", Type: keyPrefix, In: own, Default: `"mod_ban."`, Example: `"ftp1."`,
			Doc:  "What the keys of bans begin with.",
			More: "The default one, and the form of the values, are those of ProFTPD's mod_ban: both can share a store.",
			at:   func(c *scope) any { return &c.share.Prefix },
		},
		{
			Path: "ban.share.match_server", Type: boolean, In: own, Default: "false", Example: "true", Directive: "BanCacheOptions MatchServer",
			Doc: "Whether only bans count that were made by a server with the same address and port.",
			at:  func(c *scope) any { return &c.share.MatchServer },
		},
		{
			Path: "ban.share.longest", Type: long(60, longestBan, false), In: own, Default: `"7d"`, Example: `"24h"`,
			Doc:  "A ban from the store ends after this at the latest.",
			More: "Who can write to the store can ban whom he likes, but not for ever.",
			at:   func(c *scope) any { return &c.share.Longest },
		},
		{
			Path: "ban.share.counters", Type: boolean, In: own, Default: "false", Example: "true",
			Doc: "Whether events are counted in the store too (Redis alone), for all servers together.",
			at:  func(c *scope) any { return &c.share.Counters },
		},
	}
}

func banBlocks() []*Block {
	return []*Block{
		{
			Path: "ban", In: anywhere, Implies: "ban.engine",
			Doc: "Clients that are refused, for a time, for what they have done. See docs/BANS.md. The block switches it on.",
		},
		{
			Path: "ban.on_event", Label: "EVENT", In: Top, Section: true, Directive: "BanOnEvent", LabelType: eventName, labelAt: func(c *scope) any { return &c.rule.Event },
			Doc: "A rule: what bans, how often it must happen and for how long.",
			More: "The events are in docs/BANS.md; upper and lower case do not matter. One event may have several rules with different rates, say one for the hasty and one for the patient. " +
				"(ProFTPD ignores a second one.)",
		},
		{
			Path: "ban.share", Label: "STORE", In: Top, Section: true, Directive: "BanCache",
			LabelType: choice([]string{"redis", "memcache"}, nil), labelAt: func(c *scope) any { return &c.share.Driver },
			Doc:  "A store that several servers share their bans by.",
			More: "While it does not answer, each server goes by the bans it knows.",
		},
	}
}

// Lists of the ban system: they stand at the top level alone.
var (
	banRules = &list[policy.BanRule]{
		path: "ban.on_event",
		with: func(e *policy.BanRule) *scope { return &scope{rule: e} },
	}
	banShares = &list[policy.BanShare]{
		path: "ban.share",
		with: func(e *policy.BanShare) *scope { return &scope{share: e} },
	}
)
