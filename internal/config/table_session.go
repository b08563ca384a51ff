package config

import "sallyport/internal/policy"

func sessionKeys() []*Key {
	return []*Key{
		{
			Path: "ident", Type: text(400), In: anywhere, Default: `"FTP server ready"`, Example: `"Welcome"`, Directive: "ServerIdent",
			Doc: "Text of the greeting, after 220.",
			at:  func(c *scope) any { return &c.s.Session.Ident },
		},
		{
			Path: "server_name", Type: text(200), In: sessions, Default: `"FTP server"`, Example: `"Example FTP"`, Directive: "ServerName",
			Doc: "Name of the server in the answer to STAT.",
			at:  func(c *scope) any { return &c.s.Session.ServerName },
		},
		{
			Path: "admin", Type: text(200), In: sessions, Default: `"ftp-admin"`, Example: `"ftp@example.org"`, Directive: "ServerAdmin",
			Doc: "Whom the answer to HELP names for comments.",
			at:  func(c *scope) any { return &c.s.Session.Admin },
		},
		{
			Path: "access_grant_msg", Type: text(400), In: sessions, Default: `""`, Example: `"Hello %u"`, Directive: "AccessGrantMsg",
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
			Path: "allow_foreign_address", Type: boolean, In: sessions, Default: "false", Example: "true", Directive: "AllowForeignAddress",
			Doc:  "Whether data connections may go to and come from other addresses than the client's.",
			More: "That is needed for transfers from site to site, and it is what bounce attacks use (RFC 2577). Ports below 1024 are refused in any case.",
			at:   func(c *scope) any { return &c.s.AllowForeignAddress },
		},
		{
			Path: "passive.ports", Type: passivePorts, In: sessions, Default: `"any"`, Example: `"49152-51151"`, Directive: "PassivePorts",
			Doc:  "Ports of passive data connections; open them in the packet filter.",
			More: "A port is drawn at random. If the range is used up, the client gets 425. \"any\" leaves the choice to the kernel.",
			at:   func(c *scope) any { return &c.s.Passive },
		},
		{
			Path: "passive.address", Type: shownAddress, In: sessions, Default: `"local"`, Example: `"203.0.113.5"`, Directive: "MasqueradeAddress",
			Doc:  "The address that the answer to PASV (227) shows, where a router translates addresses; \"local\": the one the client called.",
			More: "A host name is looked up again every five minutes. EPSV (229) shows no address, so it is not concerned.",
			at:   func(c *scope) any { return &c.s.Passive.Address },
		},
		{
			Path: "passive.local", Type: someClients, In: sessions, Default: "[]", Example: `["10.0.0.0/8"]`,
			Doc:  "Clients that are shown the address they called all the same: those on this side of the router.",
			More: "They are shown it if one plain item fits and none with \"!\" does.",
			at:   func(c *scope) any { return &c.s.Passive.Local },
		},
		{
			Path: "passive.extended_only", Type: boolean, In: sessions, Default: "false", Example: "true",
			Doc: "Whether PASV and PORT are refused, so that only EPSV and EPRT remain.",
			at:  func(c *scope) any { return &c.s.Passive.Extended },
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
			Path: "require_valid_shell", Type: boolean, In: sessions, Default: "true", Example: "false", Also: "auth.require_valid_shell", Directive: "RequireValidShell",
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

func fileKeys() []*Key {
	return []*Key{
		{
			Path: "hidden_stores", Type: boolean, In: sessions, Default: "false", Example: "true", Also: "hidden_stores.engine", Directive: "HiddenStores",
			Doc:  "Whether an upload appears under its name only when it is whole.",
			More: "Until then it has a hidden name in the same directory. Such uploads cannot be resumed. The block hidden_stores changes the hidden name.",
			at:   func(c *scope) any { return &c.s.Files.HiddenStores.Engine },
		},
		{
			Path: "hidden_stores.prefix", Type: affix(1), In: sessions, Default: `".in."`, Example: `".part-"`,
			Doc: "What stands before the name until then.",
			at:  func(c *scope) any { return &c.s.Files.HiddenStores.Prefix },
		},
		{
			Path: "hidden_stores.suffix", Type: affix(0), In: sessions, Default: `"."`, Example: `".part"`,
			Doc: "What stands behind the name until then.",
			at:  func(c *scope) any { return &c.s.Files.HiddenStores.Suffix },
		},
		{
			Path: "delete_aborted_stores", Type: aborted, In: sessions, Default: `"auto"`, Example: "true", Directive: "DeleteAbortedStores",
			Doc:  "Whether a file goes when its upload fails; \"auto\": with hidden_stores it does.",
			More: "A file that was there before the upload stays in any case.",
			at:   func(c *scope) any { return &c.s.Files },
		},
		{
			Path: "fsync", Type: boolean, In: sessions, Default: "false", Example: "true",
			Doc:  "Whether an upload is on the disk before the answer 226.",
			More: "It costs a write to the disk for every file.",
			at:   func(c *scope) any { return &c.s.Files.FSync },
		},
		{
			Path: "allow_chroot_symlinks", Type: boolean, In: anywhere, Default: "false", Example: "true", Directive: "AllowChrootSymlinks",
			Doc:  "Whether the root, and what is on the way to it, may be a symbolic link.",
			More: "Who can write to a directory above the root could point such a link elsewhere. Where it is off, only links that root alone can have placed are followed on the way, as in /home -> /srv/home.",
			at:   func(c *scope) any { return &c.s.AllowRootSymlinks },
		},
		{
			Path: "mode_z", Type: boolean, In: sessions, Default: "false", Example: "true", Directive: "DeflateEngine",
			Doc: "Whether transfers may be compressed (MODE Z).",
			at:  func(c *scope) any { return &c.s.Session.ModeZ },
		},
		{
			Path: "create_home.engine", Type: boolean, In: anywhere, Default: "false", Example: "true", Directive: "CreateHome",
			Doc:  "Whether a home directory that does not exist is made at the login.",
			More: "It belongs to the user; the directories above it belong to root.",
			at:   func(c *scope) any { return &c.s.CreateHome.Engine },
		},
		{
			Path: "create_home.mode", Type: octal, In: anywhere, Default: `"0700"`, Example: `"0750"`,
			Doc: "Mode of the home directory.",
			at:  func(c *scope) any { return &c.s.CreateHome.Mode },
		},
		{
			Path: "create_home.dir_mode", Type: octal, In: anywhere, Default: `"0711"`, Example: `"0755"`,
			Doc: "Mode of the directories above it that are made.",
			at:  func(c *scope) any { return &c.s.CreateHome.DirMode },
		},
		{
			Path: "create_home.skeleton", Type: path(1024, true), In: anywhere, Default: `"none"`, Example: `"/etc/skel"`,
			Doc: "Directory whose files are copied into it.",
			at:  func(c *scope) any { return &c.s.CreateHome.Skeleton },
		},
		{
			Path: "digest.engine", Type: boolean, In: sessions, Default: "true", Example: "false", Directive: "DigestEngine",
			Doc: "Whether HASH, XCRC, XMD5 and their kin are there.",
			at:  func(c *scope) any { return &c.s.Session.Digest.Engine },
		},
		{
			Path: "digest.max_size", Type: bytes64, In: sessions, Default: `"none"`, Example: `"1GiB"`, Directive: "DigestMaxSize",
			Doc: "Most bytes of one request.",
			at:  func(c *scope) any { return &c.s.Session.Digest.Max },
		},
		{
			Path: "digest.default", Type: choice(digests, nil), In: sessions, Default: `"SHA-1"`, Example: `"SHA-256"`, Directive: "DigestDefaultAlgorithm",
			Doc:  "What HASH computes before OPTS HASH.",
			More: "Where the list of algorithms lacks it, it is the first of the list.",
			at:   func(c *scope) any { return &c.s.DigestDefault },
		},
		{
			Path: "digest.algorithms", Type: wordSet(digests, "", nil), In: sessions, Default: `["CRC32", "MD5", "SHA-1", "SHA-256", "SHA-512"]`, Example: `["SHA-256", "SHA-512"]`, Directive: "DigestAlgorithms",
			Doc: "The algorithms there are.",
			at:  func(c *scope) any { return &c.s.Session.Digest.Algorithms },
		},
		{
			Path: "display.connect", Type: displayText, In: anywhere, Default: `"none"`, Example: `"/etc/sallyport/welcome.txt"`, Directive: "DisplayConnect",
			Doc:  "File whose lines come before the greeting (220).",
			More: "It is read with the configuration, at most 4 KiB; so are the others that are named by an absolute path.",
			at:   func(c *scope) any { return &c.s.Display.Connect },
		},
		{
			Path: "display.login", Type: displayFile, In: sessions, Default: `"none"`, Example: `"welcome.msg"`, Directive: "DisplayLogin",
			Doc: "File whose lines come before the answer to a login (230).",
			at:  func(c *scope) any { return &c.s.Display.Login },
		},
		{
			Path: "display.chdir", Type: displayFile, In: sessions, Default: `"none"`, Example: `".message"`, Directive: "DisplayChdir",
			Doc: "File whose lines come before the answer to a change of the directory (250).",
			at:  func(c *scope) any { return &c.s.Display.Chdir },
		},
		{
			Path: "display.chdir_once", Type: boolean, In: sessions, Default: "false", Example: "true",
			Doc: "Whether they come at the first visit of a directory only, and again when the file has changed.",
			at:  func(c *scope) any { return &c.s.Session.Display.ChdirOnce },
		},
		{
			Path: "display.quit", Type: displayFile, In: sessions, Default: `"none"`, Example: `"/etc/sallyport/bye.txt"`, Directive: "DisplayQuit",
			Doc: "File whose lines come before the answer to QUIT (221).",
			at:  func(c *scope) any { return &c.s.Display.Quit },
		},
		{
			Path: "display.file_transfer", Type: displayFile, In: sessions, Default: `"none"`, Example: `"thanks.txt"`, Directive: "DisplayFileTransfer",
			Doc: "File whose lines come before the answer to a transfer that is complete (226).",
			at:  func(c *scope) any { return &c.s.Display.Transfer },
		},
		{
			Path: "umask", Type: umask, In: sessions, Default: `"022"`, Example: `"027 022"`, Directive: "Umask",
			Doc: "Permissions that new files, and new directories, do not get.",
			at:  func(c *scope) any { return &c.s.Files },
		},
		{
			Path: "allow_overwrite", Type: boolean, In: sessions, Default: "false", Example: "true", Directive: "AllowOverwrite",
			Doc: "Whether uploads and renames may replace a file.",
			at:  func(c *scope) any { return &c.s.Files.AllowOverwrite },
		},
		{
			Path: "allow_store_restart", Type: boolean, In: sessions, Default: "false", Example: "true", Directive: "AllowStoreRestart",
			Doc: "Whether uploads may be resumed (REST and STOR, APPE to a file that exists).",
			at:  func(c *scope) any { return &c.s.Files.AllowStoreRestart },
		},
		{
			Path: "allow_retrieve_restart", Type: boolean, In: sessions, Default: "true", Example: "false", Directive: "AllowRetrieveRestart",
			Doc: "Whether downloads may be resumed (REST and RETR).",
			at:  func(c *scope) any { return &c.s.Files.AllowRetrieveRestart },
		},
		{
			Path: "store_unique_prefix", Type: word("the start of a file name", "-_", 64), In: sessions, Default: `"ftp"`, Example: `"upload-"`, Directive: "StoreUniquePrefix",
			Doc: "How the names that STOU makes begin.",
			at:  func(c *scope) any { return &c.s.Files.StoreUniquePrefix },
		},
		{
			Path: "show_symlinks", Type: boolean, In: sessions, Default: "true", Example: "false", Directive: "ShowSymlinks",
			Doc: "Whether LIST shows symbolic links as links; else it shows what they point to.",
			at:  func(c *scope) any { return &c.s.Files.ShowSymlinks },
		},
		{
			Path: "times_gmt", Type: boolean, In: sessions, Default: "true", Example: "false", Directive: "TimesGMT",
			Doc: "Whether LIST shows times in UTC; else in local time. MDTM and MLSD are always in UTC.",
			at:  func(c *scope) any { return &c.s.Files.TimesGMT },
		},
		{
			Path: "use_globbing", Type: boolean, In: sessions, Default: "true", Example: "false", Directive: "UseGlobbing",
			Doc: "Whether LIST and NLST expand patterns such as *.txt.",
			at:  func(c *scope) any { return &c.s.Files.UseGlobbing },
		},
	}
}

// digests are the algorithms of HASH and its kin.
var digests = []string{"CRC32", "MD5", "SHA-1", "SHA-256", "SHA-512"}

// fileBlocks are the blocks about files and what is said about them.
func fileBlocks() []*Block {
	return []*Block{
		{Path: "hidden_stores", In: sessions, Implies: "hidden_stores", Directive: "HiddenStores", Doc: "The names of uploads that are not whole yet. The block switches hidden_stores on."},
		{Path: "create_home", In: anywhere, Implies: "create_home.engine", Directive: "CreateHome", Doc: "Home directories that are made at the first login. The block switches it on."},
		{Path: "digest", In: sessions, Doc: "Checksums of files."},
		{
			Path: "display", In: sessions, Doc: "Texts for people.",
			More: "In them %C %E %F %L %R %T %U %V and others are replaced; docs/FTP.md lists the variables. A file that is missing is an error where its path is absolute, else nothing is shown.",
		},
		{
			Path: "default_chdir", Label: "PATH", In: sessions, Section: true, Directive: "DefaultChdir",
			LabelType: startPath, labelAt: func(c *scope) any { return &c.start.Path },
			Doc: "The directory a session starts in: the first block that fits.",
			More: "A path without \"/\" or \"~\" is below the home directory; %u is the user name; \"none\" is the home directory. " +
				"A directory that cannot be entered is passed over. In a virtual_host the blocks replace those of the top level, in a when they come before them.",
		},
	}
}

func startKeys() []*Key {
	return pickKeys("default_chdir", "start there", func(c *scope) *policy.Selector { return &c.start.Selector })
}
