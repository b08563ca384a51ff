package worker

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"sallyport/internal/sandbox"
)

// checkIdentity holds what the starter meant against what the kernel says.
func (w *Worker) checkIdentity() error {
	got, err := identity()
	if err != nil {
		return err
	}
	if want := os.Getenv(sandbox.IdentityEnv); got != want {
		return fmt.Errorf("identity is %s, %s was meant", got, want)
	}
	uid := unix.Getuid()
	switch {
	case w.Rootless && uid == 0:
		return errors.New("rootless, but uid is 0")
	case !w.Rootless && !w.Role.AnyUID && w.Role.Root != (uid == 0):
		return fmt.Errorf("uid %d is not this program's", uid)
	}
	if err := w.checkCaps(); err != nil {
		return err
	}
	nnp, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil {
		return wrap("read no_new_privs", err)
	}
	if nnp != 1 && !w.Role.NewPriv {
		return errors.New("no_new_privs is not set")
	}
	return nil
}

// identity reads uid, gid and groups; real, effective and saved ids must agree.
func identity() (string, error) {
	ru, eu, su := unix.Getresuid()
	rg, eg, sg := unix.Getresgid()
	if ru != eu || ru != su || rg != eg || rg != sg {
		return "", fmt.Errorf("mixed identity: uid %d %d %d, gid %d %d %d", ru, eu, su, rg, eg, sg)
	}
	list, err := unix.Getgroups()
	if err != nil {
		return "", wrap("getgroups", err)
	}
	groups := make([]uint32, len(list))
	for i, g := range list {
		groups[i] = uint32(g)
	}
	return sandbox.IdentityString(uint32(ru), uint32(rg), groups), nil
}

// checkCaps: nothing beyond the role's capabilities, in any set that counts. A
// rootless worker has none, and no_new_privs makes its bounding set meaningless.
func (w *Worker) checkCaps() error {
	eff, prm, inh, err := sandbox.ThreadCaps()
	if err != nil {
		return err
	}
	may := w.Role.Caps
	if w.Rootless {
		may = 0
	}
	if extra := (eff | prm | inh) &^ may; extra != 0 {
		return fmt.Errorf("capabilities %#x are not this program's", uint64(extra))
	}
	if extra := sandbox.BoundingSet() &^ may; extra != 0 && !w.Rootless {
		return fmt.Errorf("the bounding set holds %#x", uint64(extra))
	}
	return nil
}
