package ban

import (
	"cmp"
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
