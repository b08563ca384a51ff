// Package config reads sallyport.hcl and compiles it into a [policy.Policy].
//
// The grammar is one table in Go (table*.go): every key and block with its type,
// unit, default, contexts and documentation. Validation, suggestions, "not built
// yet" errors, [Show], [Diff], the manual page ([ManPage]) and the reference in
// docs/CONFIGURATION.md ([Markdown]) are all made from that table, so they
// cannot disagree.
//
// [Parse] is pure: it looks at the file alone, and what it needs to know of the
// machine comes as [Facts]. [Load] reads, besides, the display files that are
// named by absolute paths. [Check] looks at the machine. Only cmd/master and
// cmd/ftpdctl import this package.
//
// # How a file becomes settings
//
// The top level is the default host; its settings hold for every virtual_host,
// which may set them anew. For a session of class c the settings are, later
// wins: the defaults, the top level, the virtual_host, the `when` blocks of the
// top level that fit c, those of the virtual_host that fit c, each in the order
// of the file. A block of single values (max, timeout ...) changes the values it
// names and no others. How lists are joined is told at lister. The settings of an
// anonymous block are those of the host and class with its own applied last.
package config
