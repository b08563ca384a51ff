package sandbox

import (
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"
)

// CapSet is a set of capabilities, bit n for capability number n.
type CapSet uint64

// Caps returns the set of the given capability numbers (unix.CAP_*).
func Caps(list ...int) CapSet {
	var s CapSet
	for _, c := range list {
		s |= 1 << c
	}
	return s
}

// lastCap bounds the search for capabilities; the kernel answers EINVAL to
// PR_CAPBSET_READ beyond those it knows.
const lastCap = 63

// BoundingSet returns the calling thread's capability bounding set.
func BoundingSet() CapSet {
	var s CapSet
	for c := range lastCap + 1 {
		on, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
		if err != nil {
			break
		}
		s |= CapSet(on) << c
	}
	return s
}

// ThreadCaps returns the calling thread's effective, permitted and inheritable
// capabilities.
func ThreadCaps() (eff, prm, inh CapSet, err error) {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if err := unix.Capget(&h, &d[0]); err != nil {
		return 0, 0, 0, fmt.Errorf("read capabilities: %w", err)
	}
	join := func(lo, hi uint32) CapSet { return CapSet(hi)<<32 | CapSet(lo) }
	return join(d[0].Effective, d[1].Effective),
		join(d[0].Permitted, d[1].Permitted),
		join(d[0].Inheritable, d[1].Inheritable), nil
}

// dropBounding takes everything but keep out of the calling thread's bounding
// set. It does nothing where the thread may not do that.
func dropBounding(keep CapSet) error {
	eff, _, _, err := ThreadCaps()
	if err != nil {
		return err
	}
	if eff&Caps(unix.CAP_SETPCAP) == 0 {
		return nil
	}
	for left := BoundingSet() &^ keep; left != 0; left &= left - 1 {
		c := bits.TrailingZeros64(uint64(left))
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil {
			return fmt.Errorf("drop capability %d from the bounding set: %w", c, err)
		}
	}
	return nil
}

// dropInheritable empties the calling thread's inheritable and ambient sets, so
// that a child of another identity starts without capabilities.
func dropInheritable() error {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if err := unix.Capget(&h, &d[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	d[0].Inheritable, d[1].Inheritable = 0, 0
	if err := unix.Capset(&h, &d[0]); err != nil {
		return fmt.Errorf("empty the inheritable capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("empty the ambient capabilities: %w", err)
	}
	return nil
}
