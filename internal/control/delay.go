package control

import (
	"context"
	"fmt"
)

// DelayResult is the DelayTable, a row for each host, protocol and step that has
// had a login since its settings were changed. Times are nanoseconds.
type DelayResult struct {
	Path    string     `json:"path,omitempty"` // of the snapshot; "": none is kept
	Rows    []DelayRow `json:"rows"`
	Unknown int        `json:"unknown,omitempty"` // rows that cannot be read just now
}

// DelayRow is one row.
type DelayRow struct {
	Host     string  `json:"host"`
	Class    string  `json:"class,omitempty"`
	Protocol string  `json:"protocol"` // "ftp" "ftps" "sftp"
	Step     string  `json:"step"`     // "PASS", "start": what comes behind a right password
	Engine   bool    `json:"engine"`
	Policy   string  `json:"policy"`
	Deadline int64   `json:"deadline"` // of PASS: when an answer leaves
	Floor    int64   `json:"floor"`    // what the hashes were measured to take at least
	Count    int     `json:"count"`
	P50      int64   `json:"p50"`
	P80      int64   `json:"p80"`
	P95      int64   `json:"p95"`
	P99      int64   `json:"p99"`
	Max      int64   `json:"max"`
	Samples  []int64 `json:"samples,omitempty"` // newest first, but for those that a network has replaced of its own
}

// DelayResetRequest clears rows of the DelayTable.
type DelayResetRequest struct {
	Host string `json:"host,omitempty"` // "" for all
}

// DelayResetResult says how many rows were cleared.
type DelayResetResult struct {
	Rows int `json:"rows"`
}

// DelayExplainRequest asks what a wrong password of a user is waited for.
type DelayExplainRequest struct {
	User     string `json:"user"`
	Host     string `json:"host,omitempty"`     // "" for the default host
	Class    string `json:"class,omitempty"`    // "" for clients of no class
	Protocol string `json:"protocol,omitempty"` // "" for "ftp"
}

// DelayExplainResult is the answer in sentences.
type DelayExplainResult struct {
	Lines []string `json:"lines"`
}

func (r *DelayResetRequest) validate() error { return name("host", r.Host) }

func (r *DelayExplainRequest) validate() error {
	if r.User == "" {
		return fmt.Errorf("a user is missing")
	}
	if r.Protocol != "" && r.Protocol != "ftp" && r.Protocol != "ftps" && r.Protocol != "sftp" {
		return fmt.Errorf("protocol %s: not one of ftp, ftps, sftp", quote(r.Protocol))
	}
	for what, s := range map[string]string{"user": r.User, "host": r.Host, "class": r.Class} {
		if err := name(what, s); err != nil {
			return err
		}
	}
	return nil
}

// name bounds a name in a request.
func name(what, s string) error {
	if len(s) > MaxName {
		return fmt.Errorf("%s of %d bytes: the limit is %d", what, len(s), MaxName)
	}
	return nil
}

// DelayInfo asks for the DelayTable.
func (c *Client) DelayInfo(ctx context.Context) (DelayResult, error) {
	return call[DelayResult](ctx, c, ActionDelayInfo, nil)
}

// DelayReset clears the rows of a host, or all.
func (c *Client) DelayReset(ctx context.Context, r DelayResetRequest) (DelayResetResult, error) {
	return call[DelayResetResult](ctx, c, ActionDelayReset, r)
}

// DelayExplain asks what an answer waits for.
func (c *Client) DelayExplain(ctx context.Context, r DelayExplainRequest) (DelayExplainResult, error) {
	return call[DelayExplainResult](ctx, c, ActionDelayExplain, r)
}
