package policy

import "strconv"

// Ports are the TCP ports of the stores, each once: what netd's sandbox lets it
// call besides name servers. An address without a port has none.
func (v *Netd) Ports() []uint16 {
	var list []uint16
	for i := range v.Share {
		if p := portOf(v.Share[i].Address); p != 0 && !has(list, p) {
			list = append(list, p)
		}
	}
	return list
}

// portOf is the port behind the last colon, 0 where there is none.
func portOf(address string) uint16 {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == ':' {
			n, err := strconv.ParseUint(address[i+1:], 10, 16)
			if err != nil {
				return 0
			}
			return uint16(n)
		}
	}
	return 0
}

func has(list []uint16, port uint16) bool {
	for _, p := range list {
		if p == port {
			return true
		}
	}
	return false
}
