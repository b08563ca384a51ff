package ftp

import "sallyport/internal/policy"

// Groups of <Limit>.
const (
	onDirs  = "DIRS"
	onRead  = "READ"
	onWrite = "WRITE"
)

// commands is the table, in the order of HELP.
func commands() []command {
	return []command{
		{verb: "CWD", class: policy.LogDirs, run: cwd, login: true, args: argsSome, group: onDirs, syntax: "<sp> pathname"},
		{verb: "XCWD", class: policy.LogDirs, run: xcwd, login: true, args: argsSome, group: onDirs, syntax: "<sp> pathname"},
		{verb: "CDUP", class: policy.LogDirs, run: cdup, login: true, args: argsNone, group: onDirs, syntax: "(up one directory)"},
		{verb: "XCUP", class: policy.LogDirs, run: xcup, login: true, args: argsNone, group: onDirs, syntax: "(up one directory)"},
		{verb: "SMNT", class: policy.LogMisc, login: true},
		{verb: "QUIT", class: policy.LogInfo, run: quit, flags: inRename, syntax: "(close control connection)"},
		{verb: "PORT", class: policy.LogMisc, run: port, login: true, args: argsOne, syntax: "<sp> h1,h2,h3,h4,p1,p2"},
		{verb: "PASV", class: policy.LogMisc, run: pasv, login: true, args: argsNone, syntax: "(returns address/port)"},
		{verb: "EPRT", class: policy.LogMisc, run: eprt, login: true, args: argsOne, syntax: "<sp> |proto|addr|port|"},
		{verb: "EPSV", class: policy.LogMisc, run: epsv, login: true, args: argsMaybe, syntax: "(returns port |||port|)"},
		{verb: "ALLO", class: policy.LogMisc, run: allo, login: true, args: argsAllo, misfit: quote504, syntax: "<sp> size"},
		{verb: "RNFR", class: policy.LogWrite | policy.LogMisc, run: rnfr, login: true, args: argsSome, group: onWrite, syntax: "<sp> pathname"},
		{verb: "RNTO", class: policy.LogWrite | policy.LogMisc, run: rnto, login: true, args: argsSome, group: onWrite, flags: inRename, syntax: "<sp> pathname"},
		{verb: "DELE", class: policy.LogWrite, run: dele, login: true, args: argsSome, group: onWrite, flags: xferlog, syntax: "<sp> pathname"},
		{verb: "MDTM", class: policy.LogInfo | policy.LogDirs, run: mdtm, login: true, args: argsSome, group: onDirs, syntax: "<sp> pathname"},
		{verb: "MFMT", class: policy.LogWrite, run: mfmt, login: true, args: argsSome, group: onWrite, syntax: "<sp> YYYYMMDDHHMMSS <sp> pathname"},
		{verb: "MFF", class: policy.LogWrite, run: mff, login: true, args: argsSome, group: onWrite, syntax: "<sp> fact=value; ... <sp> pathname"},
		{verb: "RMD", class: policy.LogDirs | policy.LogWrite, run: rmd, login: true, args: argsSome, group: onWrite, syntax: "<sp> pathname"},
		{verb: "XRMD", class: policy.LogDirs | policy.LogWrite, run: xrmd, login: true, args: argsSome, group: onWrite, syntax: "<sp> pathname"},
		{verb: "MKD", class: policy.LogDirs | policy.LogWrite, run: mkd, login: true, args: argsSome, group: onWrite, syntax: "<sp> pathname"},
		{verb: "XMKD", class: policy.LogDirs | policy.LogWrite, run: mkd, login: true, args: argsSome, group: onWrite, syntax: "<sp> pathname"},
		{verb: "PWD", class: policy.LogInfo | policy.LogDirs, run: pwd, login: true, args: argsNone, group: onDirs, syntax: "(returns current working directory)"},
		{verb: "XPWD", class: policy.LogInfo | policy.LogDirs, run: pwd, login: true, args: argsNone, group: onDirs, syntax: "(returns current working directory)"},
		{verb: "SIZE", class: policy.LogInfo, run: size, login: true, args: argsSome, group: onRead, syntax: "<sp> pathname"},
		{verb: "SYST", class: policy.LogInfo, run: syst, syntax: "(returns system type)"},
		{verb: "HELP", class: policy.LogInfo, run: help, flags: inRename, syntax: "[<sp> command]"},
		{verb: "NOOP", class: policy.LogMisc, run: noop, flags: inRename, syntax: "(no operation)"},
		{verb: "FEAT", class: policy.LogInfo, run: feat, args: argsNone, syntax: "(returns feature list)"},
		{verb: "LANG", class: policy.LogMisc, run: lang, args: argsMaybe, syntax: "[<sp> language]"},
		{verb: "CLNT", class: policy.LogInfo, run: clnt, args: argsSome, syntax: "<sp> client-name"},
		{verb: "CSID", class: policy.LogInfo, run: csid, login: true, args: argsSome, syntax: "<sp> name=value; ..."},
		{verb: "AVBL", class: policy.LogInfo, run: avbl, login: true, group: onDirs, syntax: "[<sp> pathname]"},
		{verb: "OPTS", class: policy.LogMisc, run: opts, syntax: "<sp> command [<sp> options]"},
		{verb: "HOST", class: policy.LogAuth | policy.LogMisc, run: host, syntax: "<sp> hostname"},
		{verb: "AUTH", class: policy.LogAuth | policy.LogSec, run: auth, usable: usableTLS, syntax: "<sp> base64-data (mechanism TLS)"},
		{verb: "CCC", class: policy.LogSec, run: ccc, usable: usableTLS, login: true, args: argsNone, syntax: "(clears protection level)"},
		{verb: "PBSZ", class: policy.LogSec, run: pbsz, usable: usableTLS, args: argsOne, syntax: "<sp> protection buffer size"},
		{verb: "PROT", class: policy.LogSec, run: prot, usable: usableTLS, args: argsOne, syntax: "<sp> protection code (C or P)"},
		{verb: "USER", class: policy.LogAuth, run: user, syntax: "<sp> username"},
		{verb: "PASS", class: policy.LogAuth, run: pass, args: argsSecret, syntax: "<sp> password"},
		{verb: "ACCT", class: policy.LogAuth},
		{verb: "REIN", class: policy.LogAuth},
		{verb: "LIST", class: policy.LogDirs, run: list, login: true, group: onDirs, flags: transfers, syntax: "[<sp> pathname]"},
		{verb: "NLST", class: policy.LogDirs, run: nlst, login: true, group: onDirs, flags: transfers, syntax: "[<sp> (pathname)]"},
		{verb: "STAT", class: policy.LogInfo, run: stat, login: true, group: onDirs, flags: inRename, syntax: "[<sp> pathname]"},
		{verb: "SITE", class: policy.LogMisc, run: site, flags: xferlog, syntax: "<sp> string"},
		{verb: "MLSD", class: policy.LogDirs, run: mlsd, login: true, group: onDirs, flags: transfers, syntax: "[<sp> pathname]"},
		{verb: "MLST", class: policy.LogDirs, run: mlst, login: true, group: onDirs, syntax: "[<sp> pathname]"},
		{verb: "TYPE", class: policy.LogMisc, run: typ, args: argsType, misfit: quote500, syntax: "<sp> type-code (A, I, L 7, L 8)"},
		{verb: "STRU", class: policy.LogMisc, run: stru, login: true, args: argsOne, misfit: quote501, syntax: "<sp> structure-code (F only)"},
		{verb: "MODE", class: policy.LogMisc, run: mode, login: true, args: argsOne, misfit: quote501, syntax: "<sp> transfer-mode (S, or Z where it is on)"},
		{verb: "RETR", class: policy.LogRead, run: retr, login: true, args: argsSome, misfit: quote500, group: onRead, flags: transfers | xferlog, syntax: "<sp> pathname"},
		{verb: "STOR", class: policy.LogWrite, run: stor, login: true, args: argsSome, misfit: quote500, group: onWrite, flags: transfers | xferlog, syntax: "<sp> pathname"},
		{verb: "STOU", class: policy.LogWrite, run: stou, login: true, args: argsMaybe, misfit: quote500, group: onWrite, flags: transfers | xferlog, syntax: "(store unique filename)"},
		{verb: "APPE", class: policy.LogWrite, run: appe, login: true, args: argsSome, misfit: quote500, group: onWrite, flags: transfers | xferlog, syntax: "<sp> pathname"},
		{verb: "REST", class: policy.LogMisc, run: rest, login: true, args: argsOne, misfit: quote500, syntax: "<sp> byte-count"},
		{verb: "RANG", class: policy.LogMisc, run: rang, login: true, args: argsTwo, misfit: quote500, syntax: "<sp> first-byte <sp> last-byte"},
		{verb: "ABOR", class: policy.LogMisc, run: abor, login: true, args: argsNone, misfit: quote500, syntax: "(abort current operation)"},
		{verb: "HASH", class: policy.LogInfo | policy.LogRead, run: hashCommand, usable: hashOn, login: true, args: argsSome, group: onRead, flags: transfers, syntax: "<sp> pathname"},
		{verb: "XCRC", class: policy.LogInfo | policy.LogRead, run: xDigest("XCRC", "CRC32"), usable: digestOn("CRC32"), login: true, args: argsSome, group: onRead, flags: transfers, syntax: "<sp> pathname [<sp> start <sp> end]"},
		{verb: "XMD5", class: policy.LogInfo | policy.LogRead, run: xDigest("XMD5", "MD5"), usable: digestOn("MD5"), login: true, args: argsSome, group: onRead, flags: transfers, syntax: "<sp> pathname [<sp> start <sp> end]"},
		{verb: "XSHA", class: policy.LogInfo | policy.LogRead, run: xDigest("XSHA", "SHA-1"), usable: digestOn("SHA-1"), login: true, args: argsSome, group: onRead, flags: transfers, syntax: "<sp> pathname [<sp> start <sp> end]"},
		{verb: "XSHA1", class: policy.LogInfo | policy.LogRead, run: xDigest("XSHA1", "SHA-1"), usable: digestOn("SHA-1"), login: true, args: argsSome, group: onRead, flags: transfers, syntax: "<sp> pathname [<sp> start <sp> end]"},
		{verb: "XSHA256", class: policy.LogInfo | policy.LogRead, run: xDigest("XSHA256", "SHA-256"), usable: digestOn("SHA-256"), login: true, args: argsSome, group: onRead, flags: transfers, syntax: "<sp> pathname [<sp> start <sp> end]"},
		{verb: "XSHA512", class: policy.LogInfo | policy.LogRead, run: xDigest("XSHA512", "SHA-512"), usable: digestOn("SHA-512"), login: true, args: argsSome, group: onRead, flags: transfers, syntax: "<sp> pathname [<sp> start <sp> end]"},
		{verb: "MD5", class: policy.LogInfo | policy.LogRead, run: md5Digest, usable: digestOn("MD5"), login: true, args: argsSome, group: onRead, flags: transfers, syntax: "<sp> pathname"},
	}
}
