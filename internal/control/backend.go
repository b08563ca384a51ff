package control

import (
	"context"
	"errors"
	"time"
)

// Backend is the daemon behind the socket. The server calls it from several
// goroutines at once; ctx carries the deadline of the client and ends when the
// server closes. An error's text goes to the administrator, its class is chosen
// by the sentinels below (by errors.Is); any other error is CodeFailed.
type Backend interface {
	// Status is a snapshot. It must answer while the daemon starts and stops.
	Status(ctx context.Context) (Status, error)
	// Who lists the live sessions, oldest first, clients that have not spoken
	// yet included.
	Who(ctx context.Context) ([]SessionInfo, error)
	// Kick ends sessions: each is sent a 421 and killed two seconds later.
	// It returns when the orders are out. The request is validated.
	Kick(ctx context.Context, r KickRequest) (KickResult, error)
	// Reload reads the configuration file and swaps it in, or changes nothing
	// and returns an error; diagnostics (warnings, or what is wrong) go into
	// the result in both cases.
	Reload(ctx context.Context) (ReloadResult, error)
	// Shutdown starts the stop and returns at once: nothing more is accepted,
	// transfers in hand have grace to finish. 0 ends them now.
	Shutdown(ctx context.Context, grace time.Duration) error
	// Trace sets channels (none: only asks) and returns all of them. An
	// unknown channel is ErrParameters and changes nothing.
	Trace(ctx context.Context, set []TraceLevel) ([]TraceLevel, error)
	// DelayInfo is the DelayTable.
	DelayInfo(ctx context.Context) (DelayResult, error)
	// DelayReset clears rows of it at once; whoever waits is not touched. An
	// unknown host is ErrNotFound.
	DelayReset(ctx context.Context, r DelayResetRequest) (DelayResetResult, error)
	// DelayExplain tells what a wrong password of a user is waited for, and why.
	DelayExplain(ctx context.Context, r DelayExplainRequest) (DelayExplainResult, error)
	// Ban bans names for whoever asks (by: a system user), and ends the sessions
	// that fit. An unknown virtual host is ErrNotFound, a daemon whose engine is
	// on nowhere ErrRefused. What becomes of each name is in the result.
	Ban(ctx context.Context, by string, r BanRequest) (BanResult, error)
	// Permit lifts bans; errors as those of Ban.
	Permit(ctx context.Context, by string, r PermitRequest) (PermitResult, error)
	// BanInfo lists bans, a page at a time.
	BanInfo(ctx context.Context, r BanInfoRequest) (BanInfoResult, error)
	// BanExplain tells what speaks for and against a client.
	BanExplain(ctx context.Context, r BanExplainRequest) (BanExplainResult, error)
	// BanImport is Ban of many.
	BanImport(ctx context.Context, by string, r BanImportRequest) (BanImportResult, error)
	// Upgrade checks that the installed binary can take over and, if so,
	// schedules the re-execution and returns. Master calls [Server.Close]
	// before it executes: Close waits for the answer to be written.
	Upgrade(ctx context.Context) error
}

// Classes of a Backend's errors; wrap them with %w.
var (
	ErrParameters  = errors.New("wrong parameters") // CodeParameters
	ErrNotFound    = errors.New("not found")        // CodeNotFound
	ErrRefused     = errors.New("refused")          // CodeRefused: not now, e.g. a second reload
	ErrUnsupported = errors.New("not supported")    // CodeUnsupported
)
