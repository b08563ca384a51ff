package vfs

import (
	"errors"
	"time"
)

// Limits of a rename across file systems, which copies: a longer file is EFBIG,
// a copy that takes longer ETIMEDOUT; in both cases nothing has changed.
const (
	CopyMax  = 1 << 30 // bytes
	CopyTime = 20 * time.Second
)

// Lengths that a request may carry, in bytes (ipc.SetMode, ipc.SetGroup): what is
// longer is answered without asking.
const (
	maxSymbolic = 64
	maxGroup    = 256
)

// Breaches of the dialogue.
var (
	errNoDescriptor = errors.New("vfs: open was granted but no descriptor came")
)
