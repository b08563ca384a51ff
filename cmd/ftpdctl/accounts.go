package main

import (
	"slices"

	"sallyport/internal/config"
	"sallyport/internal/policy"
	"sallyport/internal/userfile"
)

// accountWarnings says which lines of the users and groups files that a policy
// names do not count, in the words of authd. Files that cannot be read are
// config.Check's matter. Source lines are not shown: they hold hashes.
func accountWarnings(p *policy.Policy) (out config.Diagnostics) {
	say := func(all []userfile.Warning) {
		for _, w := range all {
			d := config.Diagnostic{Severity: config.Warning, File: w.File, Line: w.Line, Problem: w.Reason}
			if w.Line > 0 {
				d.Column = 1
			}
			if !slices.Contains(out, d) {
				out = append(out, d)
			}
		}
	}
	look := func(a *policy.AuthHost) {
		if !slices.ContainsFunc(a.Order, func(s policy.AuthSource) bool { return s.Name == "file" }) {
			return
		}
		if a.Users != "" {
			if data, err := userfile.Read(a.Users, userfile.Checks{Private: true, Insecure: a.FileRule.Insecure}); err == nil {
				_, w := userfile.ParseUsers(a.Users, data, userfile.Rules{
					MinID: a.FileRule.MinID, MaxID: a.FileRule.MaxID, Root: a.RootLogin, Legacy: a.LegacyHashes,
				})
				say(w)
			}
		}
		if a.Groups != "" {
			if data, err := userfile.Read(a.Groups, userfile.Checks{Private: true, Insecure: true}); err == nil {
				_, w := userfile.ParseGroups(a.Groups, data, userfile.Rules{Root: a.RootLogin})
				say(w)
			}
		}
	}
	for i := range p.Hosts {
		h := &p.Hosts[i]
		look(&h.Base.Auth)
		for j := range h.ByClass {
			look(&h.ByClass[j].Settings.Auth)
		}
	}
	return out
}
