package config

// actions are what ftpdctl asks the daemon for (docs/CONTROL.md).
var actions = []string{"all", "status", "who", "kick", "reload", "shutdown", "trace", "upgrade", "version", "delay_info", "delay_reset", "delay_explain", "delay", "ban", "ban_info", "ban_explain", "ban_import", "permit"}

var laterActions = map[string]string{
	"up": "listeners switched at run time", "down": "listeners switched at run time",
	"dns": laterDNS, "shaper": laterRates, "explain": laterACL,
}

func daemonKeys() []*Key {
	return []*Key{
		{
			Path: "run_dir", Type: path(80, false), In: Top, Default: `"/run/sallyport"`, Example: `"/run/sallyport-two"`, Restart: true, Directive: "PidFile",
			Doc:  "Directory of what exists while the server runs.",
			More: "It holds the control socket and the empty directory of the session processes. It belongs to the user who starts the server.",
			at:   func(c *scope) any { return &c.g.RunDir },
		},
		{
			Path: "state_dir", Type: path(1024, false), In: Top, Default: `"/var/lib/sallyport"`, Example: `"/srv/sallyport"`, Restart: true,
			Doc: "Directory of what outlives the server.",
			at:  func(c *scope) any { return &c.g.StateDir },
		},
		{
			Path: "instance", Type: word("a name", "-_.", 64), In: Top, Example: `"two"`, Restart: true,
			Derived: `"default" where run_dir is the default one, else made from run_dir`,
			Doc:     "Name of this server among several on one machine.",
			More:    "The shared memory objects are named by it: /dev/shm/sallyport.INSTANCE.board.",
			at:      func(c *scope) any { return &c.g.Instance },
		},
		{
			Path: "user", Type: word("a user of the system", "-_.$", 32), In: Top, Default: `"sallyport"`, Example: `"ftpd"`, Restart: true, Directive: "User",
			Doc:  "Identity of the processes that talk to clients.",
			More: "Nothing should belong to this user. Without root rights it does not matter: everything runs as the user who started the server.",
			at:   func(c *scope) any { return &c.g.User },
		},
		{
			Path: "sandbox", Type: choice([]string{"enforce", "log", "off"}, nil), In: Top, Default: `"enforce"`, Example: `"log"`,
			Doc:  "What happens when a process does what it never needs to do.",
			More: "\"enforce\" refuses it, \"log\" lets it happen and logs it, \"off\" does not look. Anything but \"enforce\" is for finding faults. A process keeps what held when it started.",
			at:   func(c *scope) any { return &c.g.Sandbox },
		},
		{
			Path: "stop_grace", Type: seconds(1, 86400, true), In: Top, Default: `"30s"`, Example: `"2m"`,
			Doc: "How long a stop waits for transfers in hand.",
			at:  func(c *scope) any { return &c.g.StopGrace },
		},
		{
			Path: "pool.min", Type: count(1, 16, false), In: Top, Default: "2", Example: "3",
			Doc: "Least number of idle session processes.",
			at:  func(c *scope) any { return &c.g.PoolMin },
		},
		{
			Path: "pool.max", Type: count(1, 16, false), In: Top, Default: "4", Example: "8",
			Doc:  "Greatest number of idle session processes.",
			More: "It follows pool.min where only that is set.",
			at:   func(c *scope) any { return &c.g.PoolMax },
		},
		{
			Path: "control.engine", Type: boolean, In: Top, Default: "true", Example: "false", Restart: true, Directive: "ControlsEngine",
			Doc: "Whether there is a control socket.",
			at:  func(c *scope) any { return &c.g.Control.Engine },
		},
		{
			Path: "control.socket", Type: path(107, false), In: Top, Example: `"/run/sallyport/ctl"`, Restart: true, Directive: "ControlsSocket",
			Derived: "control.sock in run_dir",
			Doc:     "Path of the control socket.",
			at:      func(c *scope) any { return &c.g.Control.Socket },
		},
		{
			Path: "control.group", Type: word("a group of the system", "-_.$", 32), In: Top, Default: `"sallyport-admin"`, Example: `"adm"`, Restart: true, Directive: "ControlsSocketOwner",
			Doc:  "Group whose members may use the control socket.",
			More: "The socket belongs to root and this group, mode 0660. If the group does not exist, the socket is for root alone.",
			at:   func(c *scope) any { return &c.g.Control.Group },
		},
		{
			Path: "control.acl.actions", Type: wordList(actions, laterActions), In: own, Required: true, Example: `["status", "who"]`,
			Doc: "The actions the block is about; \"all\" is every one.",
			at:  func(c *scope) any { return &c.r.Actions },
		},
		{
			Path: "control.acl.user", Type: names, In: own, Example: `["dave"]`,
			Doc: "Users of the system who may.",
			at:  func(c *scope) any { return &c.r.Users },
		},
		{
			Path: "control.acl.group", Type: names, In: own, Example: `["ops"]`,
			Doc: "Groups of the system, primary or supplementary, whose members may.",
			at:  func(c *scope) any { return &c.r.Groups },
		},
	}
}

func listenerKeys() []*Key {
	return []*Key{
		{
			Path: "listener.protocol", Type: choice([]string{"ftp"}, map[string]string{"sftp": laterSFTP, "ssh": laterSFTP}), In: own, Default: `"ftp"`,
			Doc: "What is spoken there.",
			at:  func(c *scope) any { return &c.l.Protocol },
		},
		{
			Path: "listener.address", Type: listenAddresses, In: own, Required: true, Example: `["127.0.0.1:2121", "[::1]:2121"]`,
			Doc:  "Addresses with ports.",
			More: "[::] is every address of the machine, of IPv6 and IPv4; 0.0.0.0 every one of IPv4. Port 0 takes a free port; it is told when the server is ready.",
			at:   func(c *scope) any { return &c.l.Address },
		},
		{
			Path: "listener.tls", Type: switched("none", "implicit"), In: own, Default: `"none"`, Example: `"implicit"`,
			Doc: "\"implicit\": TLS from the first byte, as on port 990. Else TLS begins with AUTH TLS.",
			at:  func(c *scope) any { return &c.l.TLS },
		},
		{
			Path: "listener.proxy", Type: prefixes, In: own, Default: "[]", Example: `["192.0.2.7", "10.0.0.0/24"]`, Directive: "ProxyProtocolEngine",
			Doc:  "Proxies whose PROXY header (version 1 or 2) says who the client is.",
			More: "From these addresses a header is demanded; from others it is never read.",
			at:   func(c *scope) any { return &c.l.Proxy },
		},
		{
			Path: "names", Type: hostNames, In: Top, Default: "[]", Example: `["ftp.example.org"]`, Directive: "ServerAlias",
			Doc: "Names of the default host, for HOST and SNI. See virtual_host.names.",
			at:  func(c *scope) any { return &c.h.Names },
		},
		{
			Path: "virtual_host.address", Type: localAddresses, In: own, Example: `["192.0.2.21", "2001:db8::21"]`,
			Doc:  "Addresses that choose this host when a client connects to them.",
			More: "With a port it is this one port of the address; that wins over the address alone. An address may belong to several hosts if all but the first have names.",
			at:   func(c *scope) any { return &c.h.Address },
		},
		{
			Path: "virtual_host.names", Type: hostNames, In: own, Example: `["files.example.org", "*.files.example.org"]`, Directive: "ServerAlias",
			Doc: "Names that choose this host, by the command HOST or by the name in a TLS handshake (SNI).",
			More: "They count at the addresses of the host; where it has none, at all those that no virtual_host names. " +
				"\"*.\" stands for one label more. A name as it is comes before one with \"*.\".",
			at: func(c *scope) any { return &c.h.Names },
		},
	}
}

func selectorKeys() []*Key {
	match := func(path, doc string, at func(*scope) any, words ...string) *Key {
		return &Key{Path: path, Type: choice(words, nil), In: own, Default: `"any"`, Example: `"all"`, Directive: "Satisfy", Doc: doc, at: at}
	}
	const how = "How the items are combined."
	return []*Key{
		{
			Path: "class.from", Type: clientAddresses, In: own, Required: true, Example: `["10.0.0.0/8", "2001:db8:1::/48", "!10.9.9.9"]`, Directive: "From",
			Doc:  "Addresses and networks of the clients.",
			More: "The class fits if one plain item fits and no item with \"!\" does. IPv4 addresses in IPv6 form are the IPv4 addresses they mean.",
			at:   func(c *scope) any { return &c.c.From.Items },
		},
		match("class.match", how+" \"any\": one plain item fits and none with \"!\"; \"all\": every plain item fits and none with \"!\".",
			func(c *scope) any { return &c.c.From.Match }, "any", "all"),

		{
			Path: "when.class", Type: selected, In: own, Example: `["trusted"]`,
			Doc:  "Classes of the clients that are meant.",
			More: "A session without a class fits no name, but match = \"all\" with nothing but \"!\" items fits it.",
			at:   func(c *scope) any { return &c.w.Class },
		},
		match("when.match", how+" See root.match.", func(c *scope) any { return &c.w.Match }, "any", "all", "regex"),
		{Path: "when.user", In: own, Later: laterWhen, Directive: "IfUser", Doc: "Users that are meant."},
		{Path: "when.group", In: own, Later: laterWhen, Directive: "IfGroup", Doc: "Groups that are meant."},
		{Path: "when.authenticated", In: own, Later: laterWhen, Directive: "IfAuthenticated", Doc: "Everybody who is logged in."},

		{
			Path: "root.user", Type: selected, In: own, Example: `["alice"]`,
			Doc: "Users who get this root.",
			at:  func(c *scope) any { return &c.o.Selector.User },
		},
		{
			Path: "root.group", Type: selected, In: own, Example: `["webmasters"]`,
			Doc: "Groups, primary or supplementary, whose members get this root.",
			at:  func(c *scope) any { return &c.o.Selector.Group },
		},
		{
			Path: "root.class", Type: selected, In: own, Example: `["trusted"]`,
			Doc: "Classes of clients that get this root.",
			at:  func(c *scope) any { return &c.o.Selector.Class },
		},
		match("root.match", how+" \"any\": one plain item of the block fits and none with \"!\"; \"all\": every plain item fits and none with \"!\"; "+
			"\"regex\": as \"any\", and the items are regular expressions (RE2, not anchored).", func(c *scope) any { return &c.o.Selector.Match }, "any", "all", "regex"),
	}
}
