package ban

import (
	"cmp"
	"slices"
	"strings"
)

// kindOrder is the order of the kinds in lists.
var kindOrder = map[Kind]int{User: 0, UserAt: 1, Host: 2, Class: 3}

// Compare orders bans as lists show them: users, users of a host, hosts by
// address, classes, and each by virtual host.
func Compare(a, b Key) int {
	return cmp.Or(
		cmp.Compare(kindOrder[a.Kind], kindOrder[b.Kind]), a.Prefix.Compare(b.Prefix), strings.Compare(a.Name, b.Name),
		strings.Compare(a.Server, b.Server),
	)
}

// Page returns the first n bans behind a key (nil: from the first on) in the
// order of Compare, and whether there are more. It reorders the slice.
func Page(all []*Ban, after *Key, n int) (page []*Ban, more bool) {
	if after != nil {
		all = slices.DeleteFunc(all, func(b *Ban) bool { return Compare(b.Key, *after) <= 0 })
	}
	slices.SortFunc(all, func(x, y *Ban) int { return Compare(x.Key, y.Key) })
	return all[:min(n, len(all))], len(all) > n
}
