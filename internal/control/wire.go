package control

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Version is the version of the protocol; a server answers another one with
// CodeUnsupported.
const Version = 1

// Limits of the frames, in bytes, and of lists in requests.
const (
	MaxRequest  = 16 << 10
	MaxResponse = 16 << 20
	MaxNames    = 64
	MaxName     = 256
)

// Actions of a request.
const (
	ActionStatus   = "status"
	ActionWho      = "who"
	ActionKick     = "kick"
	ActionReload   = "reload"
	ActionShutdown = "shutdown"
	ActionTrace    = "trace"
	ActionUpgrade  = "upgrade"
	ActionVersion  = "version"

	ActionDelayInfo    = "delay_info"
	ActionDelayReset   = "delay_reset"
	ActionDelayExplain = "delay_explain"

	ActionBan        = "ban"
	ActionPermit     = "permit"
	ActionBanInfo    = "ban_info"
	ActionBanExplain = "ban_explain"
	ActionBanImport  = "ban_import"
)

// Actions lists every action in the order of the documentation.
func Actions() []string {
	return []string{
		ActionStatus, ActionWho, ActionKick, ActionReload, ActionShutdown, ActionTrace, ActionUpgrade, ActionVersion,
		ActionDelayInfo, ActionDelayReset, ActionDelayExplain,
		ActionBan, ActionPermit, ActionBanInfo, ActionBanExplain, ActionBanImport,
	}
}

// Code is the outcome of a request and ftpdctl's exit status.
type Code int

// Codes of a response.
const (
	CodeOK          Code = 0
	CodeFailed      Code = 1 // tried, without success
	CodeDenied      Code = 2 // the caller may not do that
	CodeParameters  Code = 3
	CodeNotFound    Code = 4 // no such session, user, channel
	CodeRefused     Code = 5 // not in this state of the daemon
	CodeNothing     Code = 6 // there is nothing to be done
	CodeUnsupported Code = 7 // no such action, or another version of the protocol
	CodeInternal    Code = 8 // no answer in time, or the daemon is busy
)

// Request is what a client sends. Args is the action's request type
// (KickRequest, ShutdownRequest, TraceRequest, DelayResetRequest,
// DelayExplainRequest, BanRequest, PermitRequest, BanInfoRequest,
// BanExplainRequest, BanImportRequest) or absent.
type Request struct {
	Version int             `json:"version"`
	Action  string          `json:"action"`
	Args    json.RawMessage `json:"args,omitempty"`
}

// ShutdownRequest ends the daemon.
type ShutdownRequest struct {
	GraceSeconds int `json:"grace_seconds"` // for transfers in hand; 0: end them now; at most MaxGrace
}

// MaxGrace is the longest grace of a shutdown, in seconds.
const MaxGrace = 86400

// TraceRequest sets trace channels; empty, it only asks.
type TraceRequest struct {
	Set []TraceLevel `json:"set,omitempty"`
}

// Response is the answer. Result is the action's result type: Status,
// WhoResult, KickResult, ReloadResult, TraceResult, VersionResult, DelayResult,
// DelayResetResult, DelayExplainResult, BanResult, PermitResult, BanInfoResult,
// BanExplainResult, BanImportResult or absent.
type Response struct {
	Version int             `json:"version"`
	Code    Code            `json:"code"`
	Error   string          `json:"error,omitempty"` // why Code is not CodeOK
	Result  json.RawMessage `json:"result,omitempty"`
}

// WhoResult lists sessions.
type WhoResult struct {
	Sessions []SessionInfo `json:"sessions"`
}

// TraceResult lists all trace channels.
type TraceResult struct {
	Channels []TraceLevel `json:"channels"`
}

// VersionResult names the daemon's version.
type VersionResult struct {
	Version string `json:"version"`
}

// Err turns a response into an error: nil for CodeOK.
func (r *Response) Err() error {
	if r.Code == CodeOK {
		return nil
	}
	return &Error{Code: r.Code, Text: r.Error}
}

// Error is a refusal by the daemon.
type Error struct {
	Code Code
	Text string
}

func (e *Error) Error() string { return e.Text }

// writeFrame sends v as one frame.
func writeFrame(w io.Writer, v any, limit int) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	if len(body) > limit {
		return fmt.Errorf("frame of %d bytes: the limit is %d", len(body), limit)
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	_, err = w.Write(append(b, body...))
	return err
}

// errFrame is a frame that is no frame: answered before the connection closes.
var errFrame = errors.New("malformed request")

// readFrame receives one frame of 1 to limit bytes. Memory grows with what has
// come, not with what the length promises.
func readFrame(r io.Reader, limit int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > uint32(limit) {
		return nil, fmt.Errorf("%w: length %d is not within 1 to %d", errFrame, n, limit)
	}
	var b bytes.Buffer
	got, err := io.Copy(&b, io.LimitReader(r, int64(n)))
	if err != nil {
		return nil, err
	}
	if got < int64(n) {
		return nil, io.ErrUnexpectedEOF
	}
	return b.Bytes(), nil
}

// decodeStrict refuses unknown keys, trailing bytes and text that is not UTF-8.
func decodeStrict(b []byte, v any) error {
	if !utf8.Valid(b) {
		return errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("trailing bytes")
	}
	return nil
}

// decodeRequest reads a request and, for an action that takes any, its
// arguments: a pointer to its request type, or nil.
func decodeRequest(b []byte) (*Request, any, error) {
	var r Request
	if err := decodeStrict(b, &r); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errFrame, err)
	}
	if r.Version != Version {
		return &r, nil, fmt.Errorf("%w: protocol version %d, this daemon speaks %d", ErrUnsupported, r.Version, Version)
	}
	var args interface{ validate() error }
	switch r.Action {
	case ActionKick:
		args = new(KickRequest)
	case ActionShutdown:
		args = new(ShutdownRequest)
	case ActionTrace:
		args = new(TraceRequest)
	case ActionDelayReset:
		args = new(DelayResetRequest)
	case ActionDelayExplain:
		args = new(DelayExplainRequest)
	case ActionBan:
		args = new(BanRequest)
	case ActionPermit:
		args = new(PermitRequest)
	case ActionBanInfo:
		args = new(BanInfoRequest)
	case ActionBanExplain:
		args = new(BanExplainRequest)
	case ActionBanImport:
		args = new(BanImportRequest)
	case ActionStatus, ActionWho, ActionReload, ActionUpgrade, ActionVersion, ActionDelayInfo:
		if len(r.Args) > 0 {
			return &r, nil, fmt.Errorf("%w: %s takes no arguments", ErrParameters, r.Action)
		}
		return &r, nil, nil
	default:
		return &r, nil, fmt.Errorf("%w: action %s", ErrUnsupported, quote(r.Action))
	}
	if len(r.Args) > 0 {
		if err := decodeStrict(r.Args, args); err != nil {
			return &r, nil, fmt.Errorf("%w: %w", ErrParameters, err)
		}
	}
	if err := args.validate(); err != nil {
		return &r, nil, fmt.Errorf("%w: %w", ErrParameters, err)
	}
	return &r, args, nil
}
