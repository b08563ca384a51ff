package sandbox

import "fmt"

// Mode says what happens to a system call that a profile does not allow.
type Mode string

// The values of the configuration key "sandbox".
const (
	Enforce Mode = "enforce" // refused
	Log     Mode = "log"     // done, and logged by the kernel; no landlock
	Off     Mode = "off"     // nothing is installed; limits still are
)

// ParseMode returns the mode of that name.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case Enforce, Log, Off:
		return m, nil
	}
	return "", fmt.Errorf("sandbox mode %q: not one of enforce, log, off", s)
}
