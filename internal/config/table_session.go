package config

import "slices"

func sessionKeys() []*Key {
	return []*Key{
		{
			Path: "ident", Type: text(400), In: anywhere, Default: `"FTP server ready"`, Example: `"Welcome"`, Directive: "ServerIdent",
			Doc: "Text of the greeting, after 220.",
			at:  func(c *scope) any { return &c.s.Session.Ident },
		},
		{
			Path: "server_name", Type: text(200), In: anywhere, Default: `"FTP server"`, Example: `"Example FTP"`, Directive: "ServerName",
			Doc: "Name of the server in the answer to STAT.",
			at:  func(c *scope) any { return &c.s.Session.ServerName },
		},
		{
			Path: "admin", Type: text(200), In: anywhere, Default: `"ftp-admin"`, Example: `"ftp@example.org"`, Directive: "ServerAdmin",
			Doc: "Whom the answer to HELP names for comments.",
			at:  func(c *scope) any { return &c.s.Session.Admin },
		},
		{
			Path: "access_grant_msg", Type: text(400), In: anywhere, Default: `""`, Example: `"Hello %u"`, Directive: "AccessGrantMsg",
			Doc: "Text of the answer to a login, after 230; %u is the user. Empty: the usual one.",
			at:  func(c *scope) any { return &c.s.Session.AccessGrantMsg },
		},
		{
			Path: "access_deny_msg", Type: text(400), In: anywhere, Default: `""`, Example: `"Go away"`, Directive: "AccessDenyMsg",
			Doc: "Text of the answer to a refused login, after 530; %u is the user. Empty: the usual one.",
			at:  func(c *scope) any { return &c.s.Session.AccessDenyMsg },
		},
		{
			Path: "default_transfer_mode", Type: choice([]string{"ascii", "binary"}, nil), In: anywhere, Default: `"ascii"`, Example: `"binary"`, Directive: "DefaultTransferMode",
			Doc: "The TYPE a session starts with (RFC 959 section 3.1.1).",
			at:  func(c *scope) any { return &c.s.Session.TransferMode },
		},
		{
			Path: "command_buffer_size", Type: size(512, 65536), In: anywhere, Default: `"4KiB"`, Example: `"8KiB"`, Directive: "CommandBufferSize",
			Doc: "Longest command line; a longer one is discarded and refused.",
			at:  func(c *scope) any { return &c.s.Session.CommandBufferSize },
		},
		{
			Path: "allow_foreign_address", Type: boolean, In: anywhere, Default: "false", Example: "true", Directive: "AllowForeignAddress",
			Doc:  "Whether data connections may go to and come from other addresses than the client's.",
			More: "That is needed for transfers from site to site, and it is what bounce attacks use (RFC 2577). Ports below 1024 are refused in any case.",
			at:   func(c *scope) any { return &c.s.AllowForeignAddress },
		},
		{
			Path: "passive.ports", Type: passivePorts, In: anywhere, Default: `"any"`, Example: `"49152-51151"`, Directive: "PassivePorts",
			Doc:  "Ports of passive data connections; open them in the packet filter.",
			More: "A port is drawn at random. If the range is used up, the client gets 425. \"any\" leaves the choice to the kernel.",
			at:   func(c *scope) any { return &c.s.Passive },
		},
		{
			Path: "passive.address", Type: shownAddress, In: anywhere, Default: `"local"`, Example: `"203.0.113.5"`, Directive: "MasqueradeAddress",
			Doc: "The address that the answer to PASV (227) shows, where a router translates addresses; \"local\": the one the client called.",
			at:  func(c *scope) any { return &c.s.Passive.Address },
		},
	}
}

func authKeys() []*Key {
	return []*Key{
		{
			Path: "auth.order", Type: authOrder, In: anywhere, Example: `["file"]`, Directive: "AuthOrder",
			Derived: `["file", "pam*"]`,
			Doc:     "The sources of accounts, in the order they are asked.",
			More: "Where the pam helper is not installed, the default is [\"file\", \"unix*\"]; without root rights it is [\"file\"]. " +
				"A source with \"*\" has the last word. An empty list lets nobody log in.",
			at: func(c *scope) any { return &c.s.Auth.Order },
		},
		{
			Path: "auth.file.users", Type: path(1024, true), In: anywhere, Default: `"none"`, Example: `"/etc/sallyport/users"`, Directive: "AuthUserFile",
			Doc:  "The users file, in the form of passwd(5).",
			More: "It is edited by ftpdctl passwd and read anew when it changes. It must not be readable for everybody, nor lie in a directory that everybody may write to.",
			at:   func(c *scope) any { return &c.s.Auth.Users },
		},
		{
			Path: "auth.file.groups", Type: path(1024, true), In: anywhere, Default: `"none"`, Example: `"/etc/sallyport/groups"`, Directive: "AuthGroupFile",
			Doc: "The groups file, in the form of group(5).",
			at:  func(c *scope) any { return &c.s.Auth.Groups },
		},
		{
			Path: "auth.file.id", Type: idRange, In: anywhere, Default: `"any"`, Example: `"2000-9999"`,
			Doc: "Uids that entries of the users file may have; others do not count.",
			at:  func(c *scope) any { return &c.s.Auth.FileRule },
		},
		{
			Path: "auth.file.insecure_permissions", Type: boolean, In: anywhere, Default: "false", Example: "true", Directive: "AuthFileOptions",
			Doc: "Whether a users file is used although everybody may read it.",
			at:  func(c *scope) any { return &c.s.Auth.FileRule.Insecure },
		},
		{
			Path: "auth.legacy_hashes", Type: boolean, In: anywhere, Default: "false", Example: "true",
			Doc:  "Whether passwords stored as md5-crypt ($1$) are accepted.",
			More: "Such hashes are guessed fast; new ones are never made that way.",
			at:   func(c *scope) any { return &c.s.Auth.LegacyHashes },
		},
		{
			Path: "auth.unix.directory", Type: path(1024, false), In: anywhere, Default: `"/etc"`, Example: `"/srv/accounts"`,
			Doc: "Directory of passwd, group, shadow, shells and ftpusers.",
			at:  func(c *scope) any { return &c.s.Auth.SystemDir },
		},
		{
			Path: "auth.pam.service", Type: word("a PAM service", "-_.", 64), In: anywhere, Default: `"sallyport"`, Example: `"ftp"`, Directive: "AuthPAMConfig",
			Doc: "The PAM service: a file in /etc/pam.d, which must exist.",
			at:  func(c *scope) any { return &c.s.Auth.PamService },
		},
		{
			Path: "auth.min_uid", Type: count(1, 1<<32-2, false), In: anywhere, Default: "1000", Example: "500",
			Doc:  "Smallest uid of a system account that may log in.",
			More: "It keeps the accounts of services out. It holds for the sources unix and pam; accounts of the users file may have any uid but 0.",
			at:   func(c *scope) any { return &c.s.Auth.MinUID },
		},
		{
			Path: "require_valid_shell", Type: boolean, In: anywhere, Default: "true", Example: "false", Also: "auth.require_valid_shell", Directive: "RequireValidShell",
			Doc: "Whether the user's shell must be listed in /etc/shells.",
			at:  func(c *scope) any { return &c.s.Auth.RequireValidShell },
		},
		{
			Path: "use_ftpusers", Type: boolean, In: anywhere, Default: "true", Example: "false", Also: "auth.use_ftpusers", Directive: "UseFtpUsers",
			Doc: "Whether users listed in /etc/ftpusers are refused.",
			at:  func(c *scope) any { return &c.s.Auth.UseFtpUsers },
		},
		{
			Path: "root_login", Type: boolean, In: anywhere, Default: "false", Example: "true", Also: "auth.root_login", Directive: "RootLogin",
			Doc: "Whether a user with uid 0 may log in.",
			at:  func(c *scope) any { return &c.s.Auth.RootLogin },
		},
		{
			Path: "allow_empty_passwords", Type: boolean, In: anywhere, Default: "false", Example: "true", Also: "auth.allow_empty_passwords", Directive: "AllowEmptyPasswords",
			Doc: "Whether an empty password may be right.",
			at:  func(c *scope) any { return &c.s.Auth.AllowEmpty },
		},
	}
}

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
			Path: "max.connections_per_host", Type: count(1, 1<<20, true), In: anywhere, Default: `"none"`, Example: "10", Also: "max.connections_per_host.count", Directive: "MaxConnectionsPerHost",
			Doc:  "Connections of one client address to a host, logged in or not; one more gets 530 instead of the greeting.",
			More: "With words of its own it is written as a block: connections_per_host { count = 10  message = \"...\" }, one argument a line.",
			at:   func(c *scope) any { return &c.s.Max.ConnectionsPerHost.Count },
		},
		{
			Path: "max.connections_per_host.message", Type: text(400), In: anywhere, Default: `""`, Example: `"No more than %m, please"`,
			Doc: "Text of the refusal, after 530; %m is the count. Empty: the usual one.",
			at:  func(c *scope) any { return &c.s.Max.ConnectionsPerHost.Message },
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
			Path: "timeout.login", Type: seconds(1, 86400, false), In: anywhere, Default: `"5m"`, Example: `"1m"`, Directive: "TimeoutLogin",
			Doc: "Time a client has to log in.",
			at:  func(c *scope) any { return &c.s.TimeoutLogin },
		},
		{
			Path: "timeout.idle", Type: seconds(1, 7*86400, true), In: anywhere, Default: `"10m"`, Example: `"15m"`, Directive: "TimeoutIdle",
			Doc: "Time without a command or a byte of a transfer.",
			at:  func(c *scope) any { return &c.s.TimeoutIdle },
		},
		{
			Path: "timeout.stalled", Type: seconds(1, 7*86400, true), In: anywhere, Default: `"1h"`, Example: `"5m"`, Directive: "TimeoutStalled",
			Doc: "Time a data connection may take to come up, or to move a byte.",
			at:  func(c *scope) any { return &c.s.TimeoutStalled },
		},
	}
	return slices.Clip(keys)
}

func fileKeys() []*Key {
	return []*Key{
		{
			Path: "umask", Type: umask, In: anywhere, Default: `"022"`, Example: `"027 022"`, Directive: "Umask",
			Doc: "Permissions that new files, and new directories, do not get.",
			at:  func(c *scope) any { return &c.s.Files },
		},
		{
			Path: "allow_overwrite", Type: boolean, In: anywhere, Default: "false", Example: "true", Directive: "AllowOverwrite",
			Doc: "Whether uploads and renames may replace a file.",
			at:  func(c *scope) any { return &c.s.Files.AllowOverwrite },
		},
		{
			Path: "allow_store_restart", Type: boolean, In: anywhere, Default: "false", Example: "true", Directive: "AllowStoreRestart",
			Doc: "Whether uploads may be resumed (REST and STOR, APPE to a file that exists).",
			at:  func(c *scope) any { return &c.s.Files.AllowStoreRestart },
		},
		{
			Path: "allow_retrieve_restart", Type: boolean, In: anywhere, Default: "true", Example: "false", Directive: "AllowRetrieveRestart",
			Doc: "Whether downloads may be resumed (REST and RETR).",
			at:  func(c *scope) any { return &c.s.Files.AllowRetrieveRestart },
		},
		{
			Path: "store_unique_prefix", Type: word("the start of a file name", "-_", 64), In: anywhere, Default: `"ftp"`, Example: `"upload-"`, Directive: "StoreUniquePrefix",
			Doc: "How the names that STOU makes begin.",
			at:  func(c *scope) any { return &c.s.Files.StoreUniquePrefix },
		},
		{
			Path: "show_symlinks", Type: boolean, In: anywhere, Default: "true", Example: "false", Directive: "ShowSymlinks",
			Doc: "Whether LIST shows symbolic links as links; else it shows what they point to.",
			at:  func(c *scope) any { return &c.s.Files.ShowSymlinks },
		},
		{
			Path: "times_gmt", Type: boolean, In: anywhere, Default: "true", Example: "false", Directive: "TimesGMT",
			Doc: "Whether LIST shows times in UTC; else in local time. MDTM and MLSD are always in UTC.",
			at:  func(c *scope) any { return &c.s.Files.TimesGMT },
		},
		{
			Path: "use_globbing", Type: boolean, In: anywhere, Default: "true", Example: "false", Directive: "UseGlobbing",
			Doc: "Whether LIST and NLST expand patterns such as *.txt.",
			at:  func(c *scope) any { return &c.s.Files.UseGlobbing },
		},
	}
}
