package config

import (
	"slices"
	"sync"
)

// grammar is the whole table. The parts are where their subjects are.
var grammar = sync.OnceValue(func() *table {
	var keys []*Key
	for _, part := range [][]*Key{
		daemonKeys(), listenerKeys(), selectorKeys(), sessionKeys(), tlsKeys(), authKeys(), loginKeys(), limitKeys(), fileKeys(), startKeys(), logKeys(), laterKeys(), banKeys(),
	} {
		keys = append(keys, part...)
	}
	return newTable(slices.Concat(builtBlocks(), tlsBlocks(), loginBlocks(), limitBlocks(), fileBlocks(), logBlocks(), banBlocks(), laterBlocks()), keys)
})

// builtBlocks are the blocks whose features exist.
func builtBlocks() []*Block {
	return []*Block{
		{
			Path: "listener", Label: "NAME", In: Top, Section: true, Directive: "Port",
			Doc: "A socket that clients connect to.",
			More: "The label is the FileDescriptorName= of a systemd socket unit: a socket handed over under this name is used as it is, " +
				"and the addresses of the file are bound only where systemd hands over none. Without any listener block the server listens as \"ftp\" on [::]:21.",
		},
		{
			Path: "virtual_host", Label: "NAME", In: Top, Section: true, Settings: Host, Directive: "VirtualHost",
			Doc: "A server of its own at addresses or with names of its own.",
			More: "Everything that holds at the top level holds here too, unless the block sets it anew. A connection to an address that no block names " +
				"belongs to the default host, which is the top level of the file, until the client names another host.",
		},
		{
			Path: "class", Label: "NAME", In: Top, Section: true, Directive: "Class",
			Doc:  "A class of clients by their address.",
			More: "A session belongs to the first class that fits, or to none. It is decided once, when the client connects.",
		},
		{
			Path: "when", In: Top | Host, Section: true, Settings: When, Directive: "IfClass",
			Doc: "Settings for the sessions that a selector picks.",
			More: "They win over those of the top level and of the virtual_host. Where several blocks fit, they apply in the order of the file and the later wins; " +
				"those of a virtual_host come after those of the top level.",
		},
		{
			Path: "root", Label: "PATH", In: anywhere, Section: true, Directive: "DefaultRoot", LabelType: line, labelAt: func(c *scope) any { return &c.o.Path },
			Doc: "The directory a user is confined to.",
			More: "\"~\" is the home directory, \"~/sub\" a directory in it, %u the user name, \"/\" no confinement. \"none\" refuses the login. " +
				"The first block that fits decides; whom none fits may not log in. Without any block it is \"~\" for everybody. The path is resolved with the rights of the user, " +
				"who sees it as \"/\". In a virtual_host the blocks replace those of the top level, in a when they come before them.",
		},
		{Path: "passive", In: sessions, Doc: "Where clients open passive data connections."},
		{Path: "auth", In: anywhere, Doc: "Who may log in, and who says so."},
		{Path: "auth.file", In: anywhere, Doc: "Accounts in a users file of the server's own (ftpdctl passwd)."},
		{Path: "auth.unix", In: anywhere, Doc: "Accounts in the system's passwd and shadow files."},
		{Path: "auth.pam", In: anywhere, Doc: "Accounts of the system, checked by PAM."},
		{Path: "pool", In: Top, Doc: "Session processes kept ready for the next clients."},
		{Path: "control", In: Top, Doc: "The socket of ftpdctl."},
		{
			Path: "control.acl", In: Top, Section: true, Directive: "ControlsACLs",
			Doc: "Who may do what with ftpdctl.",
			More: "The first block that names the action decides. An action that no block names is for the members of control.group. " +
				"Who started the server always may; the identity the workers run under never may.",
		},
	}
}
