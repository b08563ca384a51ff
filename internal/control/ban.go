package control

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"sallyport/internal/logging"
)

// Kinds of bans.
const (
	BanUser   = "user"
	BanUserAt = "user@host"
	BanHost   = "host" // an address or a prefix
	BanClass  = "class"
)

// BanKinds are the kinds in the order that lists have them.
func BanKinds() []string { return []string{BanUser, BanUserAt, BanHost, BanClass} }

// MaxImport bounds the entries of one BanImportRequest.
const MaxImport = 256

// maxBanTime is the longest ban that ends by itself: a hundred years, in seconds.
const maxBanTime = 100 * 365 * 86400

// BanRequest bans names. Addresses are as netip writes them: names of machines
// are the client's to resolve. A ban that is there already is replaced.
type BanRequest struct {
	Kind    string   `json:"kind"`
	Names   []string `json:"names"`             // 1 to MaxNames
	Server  string   `json:"server,omitempty"`  // virtual host; "": all of them
	Seconds int64    `json:"seconds,omitempty"` // 0: until it is lifted
	Reason  string   `json:"reason,omitempty"`  // "": who asked, and when
	Wide    bool     `json:"wide,omitempty"`    // a prefix may be wider than WideIPv4, WideIPv6
}

// Prefixes of fewer bits are banned only where that is said to be meant.
const (
	WideIPv4 = 8
	WideIPv6 = 16
)

// BanResult says what became of each name, in the order of the request.
type BanResult struct {
	Names []BanOutcome `json:"names"`
}

// BanOutcome is what became of a name.
type BanOutcome struct {
	Name     string `json:"name"`               // as it was asked for
	Already  bool   `json:"already,omitempty"`  // there was such a ban: it is replaced
	Sessions int    `json:"sessions,omitempty"` // ended
	Error    string `json:"error,omitempty"`    // why it is not banned; "" if it is
	Full     bool   `json:"full,omitempty"`     // ... because the list is full
}

// PermitRequest lifts bans. The one name "*" is all of the kind. An address also
// lifts the prefix that rules ban for it.
type PermitRequest struct {
	Kind   string   `json:"kind"`
	Names  []string `json:"names"`            // 1 to MaxNames
	Server string   `json:"server,omitempty"` // virtual host; "": bans of every one
}

// PermitResult says what became of each name, in the order of the request.
type PermitResult struct {
	Empty bool            `json:"empty,omitempty"` // nothing of the kind was banned
	Names []PermitOutcome `json:"names,omitempty"`
}

// PermitOutcome is what became of a name.
type PermitOutcome struct {
	Name   string   `json:"name"`
	Lifted int      `json:"lifted"`          // bans
	Still  []string `json:"still,omitempty"` // host: wider prefixes whose bans hold it all the same
}

// BanInfoRequest asks for a page of the list, which is in the order of BanKinds,
// then names, then virtual hosts. Counters come with the first page.
type BanInfoRequest struct {
	After  *BanName `json:"after,omitempty"` // the last entry of the page before
	Events bool     `json:"events,omitempty"`
}

// BanName names a ban.
type BanName struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Server string `json:"server,omitempty"` // "": it holds on every virtual host
}

// BanInfoResult is a page of the list.
type BanInfoResult struct {
	Total    int          `json:"total"` // bans in the list
	Most     int          `json:"most"`  // that it may hold
	Observe  bool         `json:"observe,omitempty"`
	Bans     []BanEntry   `json:"bans"`
	More     bool         `json:"more,omitempty"`     // ask again, after the last
	Counters []BanCounter `json:"counters,omitempty"` // the nearest to a ban first
	Stores   []BanStore   `json:"stores,omitempty"`
}

// BanEntry is one ban.
type BanEntry struct {
	BanName
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
	Origin  string    `json:"origin"`           // "rule" "admin" "store"
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"` // the rule's
	Event   string    `json:"event,omitempty"`
	Count   uint32    `json:"count,omitempty"` // of the event, when it banned
	Rule    string    `json:"rule,omitempty"`  // file:line
	Node    string    `json:"node,omitempty"`  // of another daemon: address#port
	Times   uint32    `json:"times,omitempty"` // in a row, this one included
}

// BanCounter counts an event of a source towards a ban.
type BanCounter struct {
	Event   string    `json:"event"`
	Source  string    `json:"source,omitempty"`
	Server  string    `json:"server,omitempty"`
	Count   uint32    `json:"count"`
	Most    uint32    `json:"most"`             // that this many ban
	Expires time.Time `json:"expires,omitzero"` // when nothing of it is left
	Rule    string    `json:"rule,omitempty"`   // file:line
}

// BanStore is a store that bans are shared by.
type BanStore struct {
	Address string `json:"address"`
	Up      bool   `json:"up"`
	Why     string `json:"why,omitempty"` // it is not
}

// BanExplainRequest asks whether a client would be refused now.
type BanExplainRequest struct {
	Address string `json:"address"`
	User    string `json:"user,omitempty"`
	Class   string `json:"class,omitempty"`  // "": that of the address
	Server  string `json:"server,omitempty"` // virtual host; "": the default host
}

// BanExplainResult tells what speaks for and against a client.
type BanExplainResult struct {
	Address  string       `json:"address"`
	User     string       `json:"user,omitempty"`
	Class    string       `json:"class,omitempty"`
	Server   string       `json:"server"`
	Engine   bool         `json:"engine"` // bans are looked at on this host, for this class
	Observe  bool         `json:"observe,omitempty"`
	Spared   bool         `json:"spared,omitempty"` // never banned: by address or class
	Refused  bool         `json:"refused"`          // at the connection or, by a ban of the user, at the login
	Bans     []BanEntry   `json:"bans,omitempty"`
	Counters []BanCounter `json:"counters,omitempty"`
}

// BanImportRequest bans many at once.
type BanImportRequest struct {
	Entries []BanImportEntry `json:"entries"` // 1 to MaxImport
	Reason  string           `json:"reason,omitempty"`
	Wide    bool             `json:"wide,omitempty"`
}

// BanImportEntry is one of them.
type BanImportEntry struct {
	BanName
	Seconds int64 `json:"seconds,omitempty"` // 0: until it is lifted
}

// BanImportResult counts what became of them.
type BanImportResult struct {
	Banned  int          `json:"banned"`
	Already int          `json:"already"` // and replaced
	Failed  []BanFailure `json:"failed,omitempty"`
}

// BanFailure is an entry that is not banned.
type BanFailure struct {
	Name  string `json:"name"`
	Error string `json:"error"`
}

func (r *BanRequest) validate() error {
	if err := banNames("ban", r.Kind, r.Names, r.Server, false); err != nil {
		return err
	}
	if r.Kind == BanHost {
		for _, n := range r.Names {
			if err := narrow(n, r.Wide); err != nil {
				return err
			}
		}
	}
	return banTerms(r.Seconds, r.Reason)
}

func (r *PermitRequest) validate() error {
	return banNames("permit", r.Kind, r.Names, r.Server, len(r.Names) == 1)
}

func (r *BanInfoRequest) validate() error {
	if r.After == nil {
		return nil
	}
	return banNames("list", r.After.Kind, []string{r.After.Name}, r.After.Server, false)
}

func (r *BanExplainRequest) validate() error {
	if a, err := netip.ParseAddr(r.Address); err != nil || a.Zone() != "" {
		return fmt.Errorf("address %s: not one", quote(r.Address))
	}
	for what, s := range map[string]string{"user": r.User, "class": r.Class, "host": r.Server} {
		if err := name(what, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *BanImportRequest) validate() error {
	if n := len(r.Entries); n == 0 || n > MaxImport {
		return fmt.Errorf("import takes 1 to %d entries, not %d", MaxImport, n)
	}
	for i := range r.Entries {
		e := &r.Entries[i]
		one := BanRequest{Kind: e.Kind, Names: []string{e.Name}, Server: e.Server, Seconds: e.Seconds, Reason: r.Reason, Wide: r.Wide}
		if err := one.validate(); err != nil {
			return err
		}
	}
	return nil
}

// banNames checks the names of a request.
func banNames(verb, kind string, names []string, server string, star bool) error {
	if err := name("virtual host", server); err != nil {
		return err
	}
	if n := len(names); n == 0 || n > MaxNames {
		return fmt.Errorf("%s takes 1 to %d names, not %d", verb, MaxNames, n)
	}
	for i, n := range names {
		if n == "" || len(n) > MaxName {
			return fmt.Errorf("name %d has %d bytes: 1 to %d are allowed", i+1, len(n), MaxName)
		}
		if err := banName(kind, n, star && n == "*"); err != nil {
			return err
		}
	}
	return nil
}

func banName(kind, n string, all bool) error {
	switch kind {
	case BanUser, BanClass:
	case BanHost:
		if all {
			return nil
		}
		_, err := ParseHost(n)
		return err
	case BanUserAt:
		if all {
			return nil
		}
		at := strings.LastIndexByte(n, '@')
		if at < 1 {
			return fmt.Errorf("%s: not of the form user@address", quote(n))
		}
		if a, err := netip.ParseAddr(n[at+1:]); err != nil || a.Zone() != "" {
			return fmt.Errorf("%s: what follows the @ is no address", quote(n))
		}
	default:
		return fmt.Errorf("unknown ban action requested: '%s'", logging.Escape(kind[:min(len(kind), MaxName)]))
	}
	return nil
}

// narrow refuses a slip of the hand: a prefix that holds a good part of the
// Internet.
func narrow(n string, wide bool) error {
	p, err := ParseHost(n)
	if err != nil || wide {
		return err
	}
	least := WideIPv6
	if p.Addr().Is4() {
		least = WideIPv4
	}
	if p.Bits() < least {
		return fmt.Errorf("host %s: a prefix of fewer than %d bits is banned only with --wide", quote(n), least)
	}
	return nil
}

func banTerms(seconds int64, reason string) error {
	if seconds < 0 || seconds > maxBanTime {
		return fmt.Errorf("a ban of %d seconds: 0 to %d are allowed", seconds, int64(maxBanTime))
	}
	if len(reason) > MaxName {
		return fmt.Errorf("reason of %d bytes: the limit is %d", len(reason), MaxName)
	}
	if strings.ContainsFunc(reason, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return errors.New("reason with control characters")
	}
	return nil
}

// Ban bans names.
func (c *Client) Ban(ctx context.Context, r BanRequest) (BanResult, error) {
	return call[BanResult](ctx, c, ActionBan, r)
}

// Permit lifts bans.
func (c *Client) Permit(ctx context.Context, r PermitRequest) (PermitResult, error) {
	return call[PermitResult](ctx, c, ActionPermit, r)
}

// BanInfo asks for a page of the list.
func (c *Client) BanInfo(ctx context.Context, r BanInfoRequest) (BanInfoResult, error) {
	return call[BanInfoResult](ctx, c, ActionBanInfo, r)
}

// BanExplain asks whether a client would be refused now.
func (c *Client) BanExplain(ctx context.Context, r BanExplainRequest) (BanExplainResult, error) {
	return call[BanExplainResult](ctx, c, ActionBanExplain, r)
}

// BanImport bans many at once.
func (c *Client) BanImport(ctx context.Context, r BanImportRequest) (BanImportResult, error) {
	return call[BanImportResult](ctx, c, ActionBanImport, r)
}
