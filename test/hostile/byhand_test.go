package hostile

import (
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
)

func byHand(t *testing.T, args, env []string) (out string, status int) {
	t.Helper()
	cmd := exec.Command(filepath.Join(programs, "session"), args...)
	cmd.Args[0] = "session"
	cmd.Env = append([]string{"PATH=/bin"}, env...)
	b, err := cmd.CombinedOutput()
	var x *exec.ExitError
	if err != nil && !errors.As(err, &x) {
		t.Fatal(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}
