package ftp

// Groups of <Limit>.
const (
	onDirs  = "DIRS"
	onRead  = "READ"
	onWrite = "WRITE"
)

// commands is the table, in the order of HELP.
func commands() []command {
	return []command{
		{verb: "CWD", run: cwd, login: true, args: argsSome, group: onDirs, syntax: "<sp> pathname"},
		{verb: "XCWD", run: xcwd, login: true, args: argsSome, group: onDirs, syntax: "<sp> pathname"},
		{verb: "CDUP", run: cdup, login: true, args: argsNone, group: onDirs, syntax: "(up one directory)"},
		{verb: "XCUP", run: xcup, login: true, args: argsNone, group: onDirs, syntax: "(up one directory)"},
		{verb: "SMNT", login: true},
		{verb: "QUIT", run: quit, flags: inRename, syntax: "(close control connection)"},
		{verb: "PORT", run: port, login: true, args: argsOne, syntax: "<sp> h1,h2,h3,h4,p1,p2"},
		{verb: "PASV", run: pasv, login: true, args: argsNone, syntax: "(returns address/port)"},
		{verb: "EPRT", run: eprt, login: true, args: argsOne, syntax: "<sp> |proto|addr|port|"},
		{verb: "EPSV", run: epsv, login: true, args: argsMaybe, syntax: "(returns port |||port|)"},
		{verb: "ALLO", run: allo, login: true, args: argsAllo, misfit: quote504, syntax: "<sp> size"},
		{verb: "RNFR", run: rnfr, login: true, args: argsSome, group: onWrite, syntax: "<sp> pathname"},
		{verb: "RNTO", run: rnto, login: true, args: argsSome, group: onWrite, flags: inRename, syntax: "<sp> pathname"},
		{verb: "DELE", run: dele, login: true, args: argsSome, group: onWrite, syntax: "<sp> pathname"},
		{verb: "MDTM", run: mdtm, login: true, args: argsSome, group: onDirs, syntax: "<sp> pathname"},
		{verb: "RMD", run: rmd, login: true, args: argsSome, group: onWrite, syntax: "<sp> pathname"},
		{verb: "XRMD", run: xrmd, login: true, args: argsSome, group: onWrite, syntax: "<sp> pathname"},
		{verb: "MKD", run: mkd, login: true, args: argsSome, group: onWrite, syntax: "<sp> pathname"},
		{verb: "XMKD", run: mkd, login: true, args: argsSome, group: onWrite, syntax: "<sp> pathname"},
		{verb: "PWD", run: pwd, login: true, args: argsNone, group: onDirs, syntax: "(returns current working directory)"},
		{verb: "XPWD", run: pwd, login: true, args: argsNone, group: onDirs, syntax: "(returns current working directory)"},
		{verb: "SIZE", run: size, login: true, args: argsSome, group: onRead, syntax: "<sp> pathname"},
		{verb: "SYST", run: syst, syntax: "(returns system type)"},
		{verb: "HELP", run: help, flags: inRename, syntax: "[<sp> command]"},
		{verb: "NOOP", run: noop, flags: inRename, syntax: "(no operation)"},
		{verb: "FEAT", run: feat, args: argsNone, syntax: "(returns feature list)"},
		{verb: "OPTS", run: opts, syntax: "<sp> command [<sp> options]"},
		{verb: "USER", run: user, syntax: "<sp> username"},
		{verb: "PASS", run: pass, args: argsSecret, syntax: "<sp> password"},
		{verb: "ACCT"},
		{verb: "REIN"},
		{verb: "LIST", run: list, login: true, group: onDirs, flags: transfers, syntax: "[<sp> pathname]"},
		{verb: "NLST", run: nlst, login: true, group: onDirs, flags: transfers, syntax: "[<sp> (pathname)]"},
		{verb: "STAT", run: stat, login: true, group: onDirs, flags: inRename, syntax: "[<sp> pathname]"},
		{verb: "SITE", run: site, syntax: "<sp> string"},
		{verb: "MLSD", run: mlsd, login: true, group: onDirs, flags: transfers, syntax: "[<sp> pathname]"},
		{verb: "MLST", run: mlst, login: true, group: onDirs, syntax: "[<sp> pathname]"},
		{verb: "TYPE", run: typ, args: argsType, misfit: quote500, syntax: "<sp> type-code (A, I, L 7, L 8)"},
		{verb: "STRU", run: stru, login: true, args: argsOne, misfit: quote501, syntax: "<sp> structure-code (F only)"},
		{verb: "MODE", run: mode, login: true, args: argsOne, misfit: quote501, syntax: "<sp> transfer-mode (S only)"},
		{verb: "RETR", run: retr, login: true, args: argsSome, misfit: quote500, group: onRead, flags: transfers, syntax: "<sp> pathname"},
		{verb: "STOR", run: stor, login: true, args: argsSome, misfit: quote500, group: onWrite, flags: transfers, syntax: "<sp> pathname"},
		{verb: "STOU", run: stou, login: true, args: argsMaybe, misfit: quote500, group: onWrite, flags: transfers, syntax: "(store unique filename)"},
		{verb: "APPE", run: appe, login: true, args: argsSome, misfit: quote500, group: onWrite, flags: transfers, syntax: "<sp> pathname"},
		{verb: "REST", run: rest, login: true, args: argsOne, misfit: quote500, syntax: "<sp> byte-count"},
		{verb: "ABOR", run: abor, login: true, args: argsNone, misfit: quote500, syntax: "(abort current operation)"},
	}
}
