package config

func loginKeys() []*Key {
	return []*Key{
		{
			Path: "auth_alias_only", Type: boolean, In: anywhere, Default: "false", Example: "true", Also: "auth.alias_only", Directive: "AuthAliasOnly",
			Doc: "Whether only names that are an alias may log in.",
			at:  func(c *scope) any { return &c.s.Auth.AliasOnly },
		},
		{
			Path: "alias.user", Type: account, In: own, Required: true, Example: `"alice"`,
			Doc: "The account.",
			at:  func(c *scope) any { return &c.alias.User },
		},
		{
			Path: "user_password.hash", Type: passwordHash, In: own, Required: true, Secret: true, Example: `"$2b$12$abcdefghijklmnopqrstuv"`,
			Doc:  "The hash of the password.",
			More: "ftpdctl passwd hash makes one. A configuration with such a block should not be readable for everybody.",
			at:   func(c *scope) any { return c.pass },
		},
		{
			Path: "anonymous.user", Type: account, In: own, Example: `"ftp"`, Directive: "User",
			Doc:  "The account of the sessions: its uid, its groups. It must exist in a source of auth.order, or in the system.",
			More: "The name itself logs in too, unless alias_only is set. It must be given.",
			at:   func(c *scope) any { return &c.a.user },
		},
		{
			Path: "anonymous.group", Type: account, In: own, Example: `"nogroup"`, Directive: "Group",
			Doc: "Primary group instead of that of the account.",
			at:  func(c *scope) any { return &c.a.group },
		},
		{
			Path: "anonymous.aliases", Type: accountList, In: own, Default: "[]", Example: `["anonymous"]`, Directive: "UserAlias",
			Doc: "Other names that log in here; \"*\" is every name that is no account.",
			at:  func(c *scope) any { return &c.a.aliases },
		},
		{
			Path: "anonymous.alias_only", Type: boolean, In: own, Default: "false", Example: "true", Directive: "AuthAliasOnly",
			Doc: "Whether the name of the account itself does not log in here.",
			at:  func(c *scope) any { return &c.a.only },
		},
		{
			Path: "anonymous.require_password", Type: boolean, In: own, Default: "false", Example: "true", Directive: "AnonRequirePassword",
			Doc:  "Whether the password of the account is asked for: a guest account.",
			More: "Else any password is taken; it is meant to be a mail address, and logged.",
			at:   func(c *scope) any { return &c.a.require },
		},
		{
			Path: "anonymous.using_alias", Type: boolean, In: own, Default: "false", Example: "true", Directive: "AuthUsingAlias",
			Doc: "Whether it is the password of the alias's own account, with require_password.",
			at:  func(c *scope) any { return &c.a.using },
		},
		{
			Path: "anonymous.reject_passwords", Type: rejected, In: own, Default: `"none"`, Example: `"!@"`, Directive: "AnonRejectPasswords",
			Doc: "Passwords that are refused: those that match, with \"!\" those that do not. Here: without \"@\".",
			at:  func(c *scope) any { return &c.a.reject },
		},
		{
			Path: "anonymous.user_dir_root", Type: boolean, In: own, Default: "false", Example: "true", Directive: "UserDirRoot",
			Doc: "Whether the root is the directory below PATH that has the name the client typed.",
			at:  func(c *scope) any { return &c.a.userDir },
		},

		{
			Path: "delay.engine", Type: boolean, In: anywhere, Default: "true", Example: "false", Directive: "DelayEngine",
			Doc:  "Whether answers to USER and PASS are delayed, so that their time tells nothing about the account.",
			More: "See docs/TIMING.md.",
			at:   func(c *scope) any { return &c.s.Auth.Delay.Engine },
		},
		{
			Path: "delay.policy", Type: choice([]string{"deadline", "median"}, nil), In: anywhere, Default: `"deadline"`, Example: `"median"`,
			Doc: "When the answer leaves: \"deadline\": at a time above nearly all real work, the same for every outcome; \"median\": what is faster than the median is made as slow.",
			at:  func(c *scope) any { return &c.s.Auth.Delay.Policy },
		},
		{
			Path: "delay.table", Type: delayTable, In: Top, Example: `"/var/lib/sallyport/delay.table"`, Restart: true, Directive: "DelayTable",
			Derived: "delay.table in state_dir",
			Doc:     "File that keeps the DelayTable over a restart; \"none\": it starts empty.",
			at:      func(c *scope) any { return &c.s.Auth.Delay.Table },
		},
		{
			Path: "delay.cap", Type: nanos(10e6, 60e9), In: anywhere, Default: `"2s"`, Example: `"1s500ms"`,
			Doc: "Longest wait that the DelayTable asks for.",
			at:  func(c *scope) any { return &c.s.Auth.Delay.Cap },
		},
		{
			Path: "delay.on_event.delay", Type: span, In: own, Required: true, Example: `"1s-2s"`, Directive: "DelayOnEvent",
			Doc: "The wait; of a range a random one.",
			at:  func(c *scope) any { return c.event },
		},
	}
}

var delayEvents = []string{"USER", "PASS", "FailedLogin", "Connect"}

func loginBlocks() []*Block {
	return []*Block{
		{
			Path: "alias", Label: "NAME", In: perHost, Section: true, Directive: "UserAlias",
			LabelType: account, labelAt: func(c *scope) any { return &c.alias.Name },
			Doc:  "A name that logs in as another account, with its password and its home.",
			More: "\"*\" is every name that is no account. A virtual_host has those of the top level too, and replaces one of the same name.",
		},
		{
			Path: "user_password", Label: "NAME", In: perHost, Section: true, Directive: "UserPassword",
			LabelType: passwordName, labelAt: func(c *scope) any { return c.pass },
			Doc: "A password of an account instead of the one that its source has.",
		},
		{
			Path: "anonymous", Label: "PATH", In: perHost, Section: true, Settings: Anon, Directive: "Anonymous",
			LabelType: anonymousPath, labelAt: func(c *scope) any { return &c.a.path },
			Doc: "Logins without a password, or with that of a guest account, that end up as one account in one directory.",
			More: "PATH is the root of the sessions: an absolute path, or \"~\" or \"~/sub\", the home of the account. A name belongs to the first block that has it. " +
				"Settings in the block win over all others, those of when blocks included. A virtual_host with blocks of its own has those alone; anonymous \"none\" {} has none.",
		},
		{Path: "delay", In: anywhere, Doc: "The DelayTable: logins whose timing tells nothing."},
		{
			Path: "delay.on_event", Label: "EVENT", In: anywhere, Section: true, Directive: "DelayOnEvent",
			LabelType: choice(delayEvents, nil), labelAt: func(c *scope) any { return &c.event.Event },
			Doc:  "A wait of its own, on top of what the DelayTable asks for.",
			More: "Events: USER, PASS: before the answer to the command; FailedLogin: before the answer to a failed login; Connect: before the greeting. A block replaces that of an outer level for the same event; \"none\" takes it away.",
		},
	}
}

func logKeys() []*Key {
	return []*Key{
		{
			Path: "log.transfer", Type: logOrNone, In: sessions, Default: `"none"`, Example: `"/var/log/sallyport/xferlog"`, Directive: "TransferLog",
			Doc:  "File of the transfer log, in the form of xferlog(5).",
			More: "\"syslog:LEVEL\" makes events transfer.done of it, in the journal.",
			at:   func(c *scope) any { return &c.s.Log.Transfer },
		},
		{
			Path: "log.extended.commands", Type: logCommands, In: own, Default: `["ALL"]`, Example: `["AUTH", "EXIT"]`,
			Doc:  "What is logged.",
			More: "ALL is every command, but not CONNECT and EXIT, the begin and the end of a session. A command named by itself outdoes classes, \"!\" outdoes both.",
			at:   func(c *scope) any { return c.log },
		},
		{
			Path: "log.extended.format", Type: logText(true), In: own, Default: `"%h %l %u %t \"%r\" %s %b"`, Example: `"%a %u [%%{iso8601}] \"%r\" %s"`, Directive: "LogFormat",
			Doc: "A line of it: a text with variables, the name of a log.format, or \"default\".",
			at:  func(c *scope) any { return &c.log.Format },
		},
		{
			Path: "log.format.text", Type: logText(false), In: own, Required: true, Example: `"%a %u %r %s"`,
			Doc: "The text with variables.",
			at:  func(c *scope) any { return &c.format.text },
		},
	}
}

func logBlocks() []*Block {
	return []*Block{
		{Path: "log", In: sessions, Doc: "Logs for programs, besides the journal. See docs/LOGGING.md."},
		{
			Path: "log.extended", Label: "PATH", In: sessions, Section: true, Directive: "ExtendedLog",
			LabelType: logTarget, labelAt: func(c *scope) any { return &c.log.Path },
			Doc:  "A log of commands.",
			More: "PATH is a file, or \"syslog:LEVEL\". A virtual_host, when or anonymous block adds to the logs there are, and replaces one of the same path; commands = [\"NONE\"] takes it away.",
		},
		{
			Path: "log.format", Label: "NAME", In: Top, Section: true, Directive: "LogFormat",
			LabelType: word("a format", "-_.", 64), labelAt: func(c *scope) any { return &c.format.name },
			Doc: "A format by name, for several logs.",
		},
	}
}
