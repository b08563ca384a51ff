package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"sallyport/internal/config"
	"sallyport/internal/policy"
	"sallyport/ipc"
)

// errConfig says that the diagnostics, already printed, refuse the file.
var errConfig = errors.New("the configuration is refused")

// loadAtStart reads the configuration. Diagnostics go to standard error, where
// somebody who has just typed the command looks.
func loadAtStart(path, libexec string) (*policy.Policy, error) {
	p, diags := config.Load(path, config.DetectFacts(libexec))
	for _, d := range diags {
		fmt.Fprint(os.Stderr, d.String())
	}
	if p == nil {
		return nil, fmt.Errorf("%s: %w", path, errConfig)
	}
	if err := sealable(p); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// check is `sallyport --check`: 0 where the daemon would start with the file and
// people could log in the way it says. For an upgrade only the former counts:
// accounts that cannot be read now are no reason to keep an old version.
func check(opt *options) int {
	if opt.takes != 0 && opt.takes != stateVersion {
		fmt.Fprintf(os.Stderr, "sallyport: takes over state of version %d, not %d\n", stateVersion, opt.takes)
		return 1
	}
	dir, err := findLibexec()
	if err != nil {
		if opt.takes != 0 {
			fmt.Fprintln(os.Stderr, "sallyport:", err)
			return 1
		}
		dir = libexec
	}
	p, err := loadAtStart(opt.config, dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sallyport:", err)
		return 1
	}
	diags := config.Check(p, config.DetectFacts(dir))
	for _, d := range diags {
		fmt.Fprint(os.Stderr, d.String())
	}
	if diags.HasErrors() && opt.takes == 0 {
		return 1
	}
	return 0
}

// decide chooses the seat of a connection by its two addresses.
func (m *master) decide(peer netip.Addr, local netip.AddrPort) seat {
	return seatAt(m.gen, m.gen.rules.HostFor(local), peer)
}

// rootOf picks the directory that a user is confined to.
func (m *master) rootOf(s *session, q *ipc.LoginReport, set *policy.Settings) (string, error) {
	root, ok := s.c.gen.rules.RootFor(set, userOf(q), s.c.class)
	if !ok {
		return "", fmt.Errorf("no root for this user")
	}
	return root, nil
}

// perHostText is the refusal of a connection that is one too many of its address
// (MaxConnectionsPerHost), without its code.
func perHostText(l policy.Limit) string {
	return limitText(l, "Sorry, the maximum number of connections (%m) for your host are already connected.")
}
