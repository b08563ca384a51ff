package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/logging"
)

const banImportLong = `import bans what a file lists ("-" is standard input). A plain list has an address or
prefix a line, and comments behind # or ;. A line may be longer:

  [user|host|class|user@host] NAME [server HOST] [timeout 1h30m]

with names in quotes where they need it: that is what "ban export" writes. Sets of
nftables are read as "nft list set" shows them. A file with a mistake is not read at
all. Bans that are there already are replaced.

Exit status 1: not everything could be banned.`

func newBanImport(a *app) *cobra.Command {
	var r control.BanImportRequest
	var format, length, server string
	c := &cobra.Command{
		Use:   "import FILE|-",
		Short: "ban what a list holds",
		Long:  banImportLong,
		Example: `  ftpdctl ban import --for 1d drop.txt
  nft list set inet filter blackhole | ftpdctl ban import -`,
		Args: oneArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			secs, err := banTime(length)
			if err != nil {
				return wrong("--for %s: %w", logging.Quote(length), err)
			}
			if format != "auto" && format != "list" && format != "nft" {
				return wrong("--format %s: not one of auto, list, nft", logging.Quote(format))
			}
			name, text, err := a.readList(args[0])
			if err != nil {
				return err
			}
			list, err := parseList(name, text, format == "nft" || format == "auto" && isNft(text))
			if err != nil {
				return wrong("%w", err)
			}
			for i := range list {
				list[i].Seconds = cmp.Or(list[i].Seconds, secs)
				list[i].Server = cmp.Or(list[i].Server, server)
			}
			if r.Reason == "" {
				r.Reason = "imported from " + clipped(name)
			}
			return a.banImport(cmd.Context(), r, name, list)
		},
	}
	c.Flags().StringVar(&format, "format", "auto", "list, nft, or auto: by the first line")
	c.Flags().StringVar(&length, "for", "", "how long, for what the list gives no time (default: until it is lifted)")
	c.Flags().StringVar(&server, "server", "", "virtual host, for what the list names none (default: all)")
	c.Flags().StringVar(&r.Reason, "reason", "", "why (default: the name of the file)")
	c.Flags().BoolVar(&r.Wide, "wide", false, "allow prefixes shorter than /8 (IPv6: /16)")
	return c
}

func oneArgument(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return wrong("missing parameters")
	case len(args) > 1:
		return wrong("unsupported parameter: '%s'", logging.Escape(args[1]))
	}
	return nil
}

// clipped is a file's name as a reason may hold it.
func clipped(name string) string {
	name = logging.Escape(name)
	return name[max(0, len(name)-200):]
}

func (a *app) readList(name string) (shown, text string, err error) {
	in := a.in
	if name == "-" {
		name = "standard input"
	} else {
		f, err := os.Open(name)
		if err != nil {
			return "", "", err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxList+1))
	if err != nil {
		return "", "", err
	}
	if len(b) > maxList {
		return "", "", wrong("%s: longer than %d bytes", name, maxList)
	}
	return name, string(b), nil
}

func (a *app) banImport(ctx context.Context, r control.BanImportRequest, name string, list []control.BanImportEntry) error {
	var all control.BanImportResult
	for part := range slices.Chunk(list, control.MaxImport) {
		for len(part) > 0 { // as many as fit into one request
			n, size := 0, 0
			for n < len(part) {
				b, err := json.Marshal(&part[n])
				if err != nil {
					return err
				}
				if size += len(b) + 1; n > 0 && size > control.MaxRequest-2048 { // room for the rest of it
					break
				}
				n++
			}
			r.Entries = part[:n]
			part = part[n:]
			res, err := a.client().BanImport(ctx, r)
			if err != nil {
				if all.Banned+all.Already > 0 {
					err = fmt.Errorf("after %d bans: %w", all.Banned+all.Already, err)
				}
				return err
			}
			all.Banned += res.Banned
			all.Already += res.Already
			all.Failed = append(all.Failed, res.Failed...)
		}
	}
	err := a.print(all, func() error {
		a.notBanned(name, all.Failed)
		a.printf("%d banned, %d already banned, %d not banned\n", all.Banned, all.Already, len(all.Failed))
		return nil
	})
	if err == nil && len(all.Failed) > 0 {
		return errIncomplete
	}
	return err
}

// notBanned says what of a list was not banned and why; --json has all of them.
func (a *app) notBanned(list string, failed []control.BanFailure) {
	said, why := 0, ""
	for i, f := range failed {
		if f.Error != why {
			said, why = 0, f.Error
		}
		if said++; said <= sameFailures {
			fmt.Fprintf(a.err, "ftpdctl: %s: %s: %s\n", logging.Escape(list), logging.Escape(f.Name), logging.Escape(f.Error))
		} else if i+1 == len(failed) || failed[i+1].Error != why {
			fmt.Fprintf(a.err, "ftpdctl: %s: %d more: %s\n", logging.Escape(list), said-sameFailures, logging.Escape(f.Error))
		}
	}
}

// sameFailures is how many names in a row are told that failed for one reason: a
// list that does not fit fails tens of thousands of times.
const sameFailures = 20

const banExportLong = `export writes the bans to standard output: as a list for "ban import", with the time
that is left of each; with --bare as addresses and prefixes alone; or as sets of
nftables, one for IPv4 and one for IPv6, for "nft -f". The latter two hold nothing
but what is banned on every virtual host.`

func newBanExport(a *app) *cobra.Command {
	var format, table string
	var bare bool
	c := &cobra.Command{
		Use:   "export",
		Short: "write the bans as a list or as sets of nftables",
		Long:  banExportLong,
		Example: `  ftpdctl ban export > bans
  ftpdctl ban export --format nft --table "inet filter" | nft -f -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return wrong("unsupported parameter: '%s'", logging.Escape(args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "list" && format != "nft" {
				return wrong("--format %s: neither list nor nft", logging.Quote(format))
			}
			if !nftTable.MatchString(table) {
				return wrong("--table %s: not of the form \"inet NAME\"", logging.Quote(table))
			}
			bans := []control.BanEntry{}
			if err := a.banPages(cmd.Context(), false, func(page *control.BanInfoResult) { bans = append(bans, page.Bans...) }); err != nil {
				return err
			}
			w := bufio.NewWriter(a.out)
			switch {
			case a.json:
				return a.print(bans, nil)
			case format == "nft":
				writeNft(w, bans, table, time.Now())
			default:
				writeList(w, bans, bare, time.Now())
			}
			return w.Flush()
		},
	}
	c.Flags().StringVar(&format, "format", "list", "list or nft")
	c.Flags().BoolVar(&bare, "bare", false, "list: addresses and prefixes alone")
	c.Flags().StringVar(&table, "table", "inet sallyport", "nft: the table of the sets")
	return c
}

var nftTable = regexp.MustCompile(`^(inet|ip|ip6|netdev|bridge) [A-Za-z][A-Za-z0-9_.-]{0,63}$`)

// everywhere tells whether a ban is of an address on every virtual host.
func everywhere(b *control.BanEntry) bool { return b.Kind == control.BanHost && b.Server == "" }

func writeList(w io.Writer, bans []control.BanEntry, bare bool, now time.Time) {
	for i := range bans {
		b := &bans[i]
		if bare {
			if everywhere(b) {
				fmt.Fprintln(w, logging.Escape(b.Name))
			}
			continue
		}
		if b.Kind == control.BanHost {
			fmt.Fprint(w, logging.Escape(b.Name))
		} else {
			fmt.Fprintf(w, "%s %s", b.Kind, strconv.Quote(b.Name))
		}
		if b.Server != "" {
			fmt.Fprintf(w, " server %s", strconv.Quote(b.Server))
		}
		if !b.Expires.IsZero() {
			fmt.Fprintf(w, " timeout %ds", max(ahead(b.Expires, now), 1))
		}
		fmt.Fprintln(w)
	}
}

// writeNft writes a set for each family. Sets of intervals take no overlaps: a
// prefix within another one of the list is left out.
func writeNft(w io.Writer, bans []control.BanEntry, table string, now time.Time) {
	type element struct {
		p    netip.Prefix
		left int64
	}
	var sets [2][]element
	for i := range bans {
		b := &bans[i]
		p, err := control.ParseHost(b.Name)
		if !everywhere(b) || err != nil {
			continue
		}
		e := element{p: p}
		if !b.Expires.IsZero() {
			e.left = max(ahead(b.Expires, now), 1)
		}
		at := 0
		if p.Addr().Is6() {
			at = 1
		}
		sets[at] = append(sets[at], e)
	}
	fmt.Fprintf(w, "table %s {\n", table)
	for i, set := range sets {
		slices.SortFunc(set, func(a, b element) int {
			return cmp.Or(a.p.Addr().Compare(b.p.Addr()), cmp.Compare(a.p.Bits(), b.p.Bits()))
		})
		fmt.Fprintf(w, "\tset sallyport%d {\n\t\ttype ipv%[1]d_addr\n\t\tflags interval, timeout\n", []int{4, 6}[i])
		var outer netip.Prefix
		n := 0
		for _, e := range set {
			if outer.IsValid() && outer.Overlaps(e.p) {
				continue
			}
			outer = e.p
			if n++; n == 1 {
				fmt.Fprint(w, "\t\telements = {\n")
			}
			fmt.Fprintf(w, "\t\t\t%s", hostName(e.p))
			if e.left > 0 {
				fmt.Fprintf(w, " timeout %ds", e.left)
			}
			fmt.Fprint(w, ",\n")
		}
		if n > 0 {
			fmt.Fprint(w, "\t\t}\n")
		}
		fmt.Fprint(w, "\t}\n")
	}
	fmt.Fprint(w, "}\n")
}
