package config

import (
	"strings"

	"sallyport/internal/policy"
)

func limitKeys() []*Key {
	keys := []*Key{
		{
			Path: "max.instances", Type: count(1, 1<<20, true), In: Top, Default: `"none"`, Example: "800", Directive: "MaxInstances",
			Doc: "Greatest number of connections, all hosts together; one more is closed without a word.",
			at:  func(c *scope) any { return &c.g.MaxInstances },
		},
		{
			Path: "max.connection_rate", Type: rate, In: Top, Default: `"none"`, Example: `"100/1s"`, Directive: "MaxConnectionRate",
			Doc: "New connections per time; what comes too fast is closed without a word.",
			at:  func(c *scope) any { return &c.g.ConnectionRate },
		},
		{
			Path: "max.unauthenticated", Type: count(1, 1<<20, true), In: Top, Default: "4096", Example: "500",
			Doc: "Connections that are not logged in, in all. From half of it on, new ones are closed at random, the more the nearer.",
			at:  func(c *scope) any { return &c.g.Unauthenticated },
		},
		{
			Path: "max.unauthenticated_per_address", Type: count(1, 1<<20, true), In: Top, Default: "128", Example: "20",
			Doc: "Connections that are not logged in from one IPv4 address.",
			at:  func(c *scope) any { return &c.g.UnauthPerAddress },
		},
		{
			Path: "max.unauthenticated_per_prefix", Type: count(1, 1<<20, true), In: Top, Default: "128", Example: "20",
			Doc: "Connections that are not logged in from one IPv6 /64.",
			at:  func(c *scope) any { return &c.g.UnauthPerPrefix },
		},
		{
			Path: "max.login_attempts", Type: count(1, 1000, true), In: anywhere, Default: "3", Example: "5", Directive: "MaxLoginAttempts",
			Doc: "Failed logins after which the connection is closed.",
			at:  func(c *scope) any { return &c.s.Auth.LoginAttempts },
		},
		{
			Path: "max.password_size", Type: size(1, 4096), In: anywhere, Default: `"1KiB"`, Example: "128", Also: "auth.max_password_size", Directive: "MaxPasswordSize",
			Doc: "Longest password; a longer one is wrong.",
			at:  func(c *scope) any { return &c.s.Auth.MaxPasswordSize },
		},
		{
			Path: "max.command_rate", Type: rate, In: anywhere, Default: `"none"`, Example: `"20/1s"`, Directive: "MaxCommandRate",
			Doc: "Commands of a logged-in session per time; what comes too fast is answered later.",
			at:  func(c *scope) any { return &c.s.Session.CommandRate },
		},
		{
			Path: "timeout.login", Type: seconds(1, 86400, false), In: anywhere, Default: `"5m"`, Example: `"1m"`, Directive: "TimeoutLogin",
			Doc: "Time a client has to log in.",
			at:  func(c *scope) any { return &c.s.TimeoutLogin },
		},
		{
			Path: "timeout.idle", Type: seconds(1, 7*86400, true), In: sessions, Default: `"10m"`, Example: `"15m"`, Directive: "TimeoutIdle",
			Doc: "Time without a command or a byte of a transfer.",
			at:  func(c *scope) any { return &c.s.TimeoutIdle },
		},
		{
			Path: "timeout.stalled", Type: seconds(1, 7*86400, true), In: sessions, Default: `"1h"`, Example: `"5m"`, Directive: "TimeoutStalled",
			Doc: "Time a data connection may take to come up, or to move a byte.",
			at:  func(c *scope) any { return &c.s.TimeoutStalled },
		},
	}
	keys = append(keys, []*Key{
		{
			Path: "timeout.no_transfer", Type: seconds(1, 7*86400, true), In: sessions, Default: `"none"`, Example: `"30m"`, Directive: "TimeoutNoTransfer",
			Doc: "Time since the login or the last transfer, listings included, after which a session ends.",
			at:  func(c *scope) any { return &c.s.TimeoutNoTransfer },
		},
		{
			Path: "timeout.session", Type: sessionTime, In: sessions, Default: `"none"`, Example: `"8h"`, Directive: "TimeoutSession",
			Doc:  "How long a session may last, from the login on; it ends even during a transfer.",
			More: "For certain users it is written as blocks: session \"8h\" { group = [\"guests\"] }; a single value beside them is for everybody else.",
			at:   func(c *scope) any { return &c.s.TimeoutSession },
		},
		{
			Path: "timeout.linger", Type: seconds(1, 300, true), In: sessions, Default: `"none"`, Example: `"10s"`, Directive: "TimeoutLinger",
			Doc: "How long the 226 after a download may wait for the client to close the data connection; none: it does not wait.",
			at:  func(c *scope) any { return &c.s.Session.TimeoutLinger },
		},
	}...)
	keys = append(keys, limitKey("max.connections_per_host", "MaxConnectionsPerHost", anywhere, "10",
		"Connections of one client address to a host, logged in or not; one more gets 530 instead of the greeting.",
		func(c *scope) *policy.Limit { return &c.s.Max.ConnectionsPerHost })...)
	keys = append(keys, limitKey("max.clients", "MaxClients", sessions, "100",
		"Logged-in clients of a host; one more gets 530.", func(c *scope) *policy.Limit { return &c.s.Max.Clients })...)
	keys = append(keys, limitKey("max.clients_per_host", "MaxClientsPerHost", sessions, "5",
		"Logged-in clients from one client address.", func(c *scope) *policy.Limit { return &c.s.Max.PerHost })...)
	keys = append(keys, limitKey("max.clients_per_user", "MaxClientsPerUser", sessions, "3",
		"Logged-in clients of one user.", func(c *scope) *policy.Limit { return &c.s.Max.PerUser })...)
	keys = append(keys, limitKey("max.clients_per_class", "MaxClientsPerClass", anywhere, "50",
		"Logged-in clients of one class; a when block sets it for a certain class.", func(c *scope) *policy.Limit { return &c.s.Max.PerClass })...)
	keys = append(keys, limitKey("max.hosts_per_user", "MaxHostsPerUser", sessions, "2",
		"Different client addresses that one user is logged in from.", func(c *scope) *policy.Limit { return &c.s.Max.HostsPerUser })...)
	for _, w := range []struct{ path, whose string }{{"max.transfers_per_host", "one client address"}, {"max.transfers_per_user", "one user"}} {
		keys = append(keys,
			&Key{
				Path: w.path + ".count", Type: count(1, 1<<20, true), In: own, Required: true, Example: "2",
				Doc: "Most transfers of " + w.whose + " at a time, of each of the commands; one more gets 451.",
				at:  func(c *scope) any { return &c.count.Count },
			},
			&Key{
				Path: w.path + ".message", Type: text(400), In: own, Default: `""`, Example: `"At most %m at a time"`,
				Doc: "Text of the refusal, after 451; %m is the count. Empty: the usual one.",
				at:  func(c *scope) any { return &c.count.Message },
			})
	}
	size := func(c *scope) *policy.Selector { return &c.size.Selector }
	keys = append(keys, pickKeys("max.store_file_size", "are limited so", size)...)
	keys = append(keys, pickKeys("max.retrieve_file_size", "are limited so", size)...)
	keys = append(keys, pickKeys("timeout.session", "have this time", func(c *scope) *policy.Selector { return &c.time.Selector })...)
	keys = append(keys, rateKeys()...)
	return keys
}

// limitKey is a limit of clients: a number, or a block with words of its own.
func limitKey(path, directive string, in Context, example, doc string, at func(*scope) *policy.Limit) []*Key {
	name := path[strings.LastIndexByte(path, '.')+1:]
	return []*Key{
		{
			Path: path, Type: count(1, 1<<20, true), In: in, Default: `"none"`, Example: example, Also: path + ".count", Directive: directive, Doc: doc,
			More: "With words of its own it is written as a block: " + name + " { count = " + example + "  message = \"...\" }, one argument a line.",
			at:   func(c *scope) any { return &at(c).Count },
		},
		{
			Path: path + ".message", Type: text(400), In: in, Default: `""`, Example: `"No more than %m, please"`,
			Doc: "Text of the refusal, after 530; %m is the count. Empty: the usual one.",
			at:  func(c *scope) any { return &at(c).Message },
		},
	}
}

func rateKeys() []*Key {
	return append([]*Key{
		{
			Path: "transfer_rate.rate", Type: speed, In: own, Required: true, Example: `"500KiB/s"`,
			Doc: "Bytes a second, on average since the start of the transfer.",
			at:  func(c *scope) any { return &c.rate.PerSecond },
		},
		{
			Path: "transfer_rate.free", Type: bytesFree, In: own, Default: `"0B"`, Example: `"1MiB"`,
			Doc: "Bytes at the start of a transfer that are not slowed.",
			at:  func(c *scope) any { return &c.rate.Free },
		},
	}, pickKeys("transfer_rate", "are slowed so", func(c *scope) *policy.Selector { return &c.rate.Selector })...)
}

// pickKeys are the rows of a selector in a block that is for certain users.
func pickKeys(path, what string, at func(*scope) *policy.Selector) []*Key {
	return []*Key{
		{
			Path: path + ".user", Type: selected, In: own, Example: `["alice"]`, Doc: "Users who " + what + ".",
			at: func(c *scope) any { return &at(c).User },
		},
		{
			Path: path + ".group", Type: selected, In: own, Example: `["video"]`, Doc: "Groups, primary or supplementary, whose members " + what + ".",
			at: func(c *scope) any { return &at(c).Group },
		},
		{
			Path: path + ".class", Type: selected, In: own, Example: `["trusted"]`, Doc: "Classes of clients that " + what + ".",
			at: func(c *scope) any { return &at(c).Class },
		},
		{
			Path: path + ".match", Type: choice([]string{"any", "all", "regex"}, nil), In: own, Default: `"any"`, Example: `"all"`, Directive: "Satisfy",
			Doc: "How the items are combined. See root.match.", at: func(c *scope) any { return &at(c).Match },
		},
	}
}

// limitBlocks are the blocks of limits and times.
func limitBlocks() []*Block {
	out := []*Block{
		{Path: "max", In: sessions, Doc: "Limits."},
		{Path: "timeout", In: sessions, Doc: "Times after which a connection is ended."},
	}
	words := func(in Context, names ...string) {
		for _, n := range names {
			out = append(out, &Block{Path: "max." + n, In: in, Doc: "The limit " + n + " with words of its own."})
		}
	}
	words(anywhere, "connections_per_host", "clients_per_class")
	words(sessions, "clients", "clients_per_host", "clients_per_user", "hosts_per_user")
	const first = "The first block that fits decides. In a virtual_host the blocks replace those of the top level, in a when they come before them. \"none\" is no limit."
	count := func(c *scope) any { return &c.count.Commands }
	const counted = "Transfers are counted for each command of the label by itself. A block replaces that of an outer level with the same label."
	return append(out,
		&Block{
			Path: "max.transfers_per_host", Label: "COMMANDS", In: sessions, Section: true, Directive: "MaxTransfersPerHost", LabelType: transfers, labelAt: count,
			Doc: "How many transfers may run from one client address at a time.", More: counted,
		},
		&Block{
			Path: "max.transfers_per_user", Label: "COMMANDS", In: sessions, Section: true, Directive: "MaxTransfersPerUser", LabelType: transfers, labelAt: count,
			Doc: "How many transfers one user may run at a time.", More: counted,
		},
		&Block{
			Path: "max.store_file_size", Label: "SIZE", In: sessions, Section: true, Directive: "MaxStoreFileSize",
			LabelType: bytes64, labelAt: func(c *scope) any { return &c.size.Max },
			Doc: "How large a file may become by an upload.", More: first,
		},
		&Block{
			Path: "max.retrieve_file_size", Label: "SIZE", In: sessions, Section: true, Directive: "MaxRetrieveFileSize",
			LabelType: bytes64, labelAt: func(c *scope) any { return &c.size.Max },
			Doc: "How large a file may be that is fetched.", More: first,
		},
		&Block{
			Path: "timeout.session", Label: "TIME", In: sessions, Section: true, Directive: "TimeoutSession",
			LabelType: seconds(1, 30*86400, true), labelAt: func(c *scope) any { return &c.time.Seconds },
			Doc: "How long the sessions of certain users may last.", More: first,
		},
		&Block{
			Path: "transfer_rate", Label: "COMMANDS", In: sessions, Section: true, Directive: "TransferRate", LabelType: transfers,
			labelAt: func(c *scope) any { return &c.rate.Commands },
			Doc:     "How fast a session may transfer; each session by itself.", More: first,
		})
}
