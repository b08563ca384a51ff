// Package version holds the version the build was given.
package version

// Version is set by the linker; a plain `go build` leaves it at "devel".
var Version = "devel"
