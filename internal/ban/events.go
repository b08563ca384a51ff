package ban

import "strings"

// Seen says who has seen an event, which bounds what it may cost.
type Seen uint8

// Who may report an event.
const (
	BySession Seen = iota // a session's word: its own address alone
	ByMaster              // master or authd, who know
)

// known is an event that a rule may name.
type known struct {
	name   string
	target Kind
	seen   Seen
	also   []string // other names of it
}

// The events of the reference's rules, and three of our own: FailedLogin counts
// every wrong password of an address over all its connections, UnknownUser those
// of names that no source has, Denied refusals of a right password.
var events = []known{
	{name: "AnonRejectPasswords", target: Host, seen: ByMaster},
	{name: "BadProtocol", target: Host, also: []string{"core.bad-protocol"}},
	{name: "ClientConnectRate", target: Host, seen: ByMaster},
	{name: "EmptyPassword", target: Host, also: []string{"mod_auth.empty-password"}},
	{name: "LoginRate", target: User, seen: ByMaster},
	{name: "MaxClients", target: Host, seen: ByMaster, also: []string{"mod_auth.max-clients"}},
	{name: "MaxClientsPerClass", target: Host, seen: ByMaster, also: []string{"mod_auth.max-clients-per-class"}},
	{name: "MaxClientsPerHost", target: Host, seen: ByMaster, also: []string{"mod_auth.max-clients-per-host"}},
	{name: "MaxClientsPerUser", target: User, seen: ByMaster, also: []string{"mod_auth.max-clients-per-user"}},
	{name: "MaxHostsPerUser", target: User, seen: ByMaster, also: []string{"mod_auth.max-hosts-per-user"}},
	{name: "MaxCommandRate", target: Host, also: []string{"core.max-command-rate"}},
	{name: "MaxConnectionsPerHost", target: Host, seen: ByMaster, also: []string{"mod_auth.max-connections-per-host"}},
	{name: "MaxLoginAttempts", target: Host, seen: ByMaster, also: []string{"mod_auth.max-login-attempts"}},
	{name: "MaxLoginAttemptsFromUser", target: UserAt, seen: ByMaster},
	{name: "RootLogin", target: Host, seen: ByMaster, also: []string{"mod_auth.root-login"}},
	{name: "TimeoutIdle", target: Host, seen: ByMaster, also: []string{"core.timeout-idle"}},
	{name: "TimeoutLogin", target: Host, seen: ByMaster, also: []string{"core.timeout-login"}},
	{name: "TimeoutNoTransfer", target: Host, seen: ByMaster, also: []string{"core.timeout-no-transfer"}},
	{name: "TimeoutSession", target: Host, seen: ByMaster, also: []string{"core.timeout-session"}},
	{name: "TimeoutStalled", target: Host, also: []string{"core.timeout-stalled"}},
	{name: "TLSHandshake", target: Host},
	{name: "TLSHandshakeFailed", target: Host, also: []string{"mod_tls.ctrl-handshake-failed"}},
	{name: "UnhandledCommand", target: Host, also: []string{"core.unhandled-command"}},
	{name: "InvalidCommand", target: Host, also: []string{"core.invalid-command"}},
	{name: "FailedLogin", target: Host, seen: ByMaster},
	{name: "UnknownUser", target: Host, seen: ByMaster},
	{name: "SignerAbuse", target: Host, seen: ByMaster},
	{name: "DataTheft", target: Host},
	{name: "MaxTransfersPerHost", target: Host, seen: ByMaster, also: []string{"mod_xfer.max-transfers-per-host"}},
	{name: "MaxTransfersPerUser", target: Host, seen: ByMaster, also: []string{"mod_xfer.max-transfers-per-user"}},
}

// EventNames are the names that rules may use, in their spelling.
func EventNames() []string {
	var out []string
	for _, e := range events {
		out = append(out, e.name)
	}
	return out
}

// Canonical returns an event's name as rules spell it; names are equal whatever
// their case. What is no known event is one of the user's own, and stays as it
// is written.
func Canonical(name string) (event string, ok bool) {
	for _, e := range events {
		if strings.EqualFold(e.name, name) {
			return e.name, true
		}
		for _, a := range e.also {
			if strings.EqualFold(a, name) {
				return e.name, true
			}
		}
	}
	return name, false
}

// Target returns what a rule on an event bans.
func Target(event string) Kind {
	for _, e := range events {
		if e.name == event {
			return e.target
		}
	}
	return Host
}

// fits tells whether an event may cost what its rules say, by who has seen it.
func fits(event string, seen Seen) bool {
	if seen == ByMaster {
		return true
	}
	for _, e := range events {
		if e.name == event {
			return e.seen == BySession && e.target == Host
		}
	}
	return true // one of the user's own: a host ban
}
