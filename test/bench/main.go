// Command bench measures sallyport beside Debian's vsftpd, ProFTPD and
// Pure-FTPd in one run: interleaved rounds, the same accounts, the same client,
// the CPU of each server's whole process tree read from a control group. It
// needs root: it works in a mount namespace of its own with a private /etc, so
// that PAM and the system accounts are the same for all.
//
//	make bench                              everything
//	go run ./test/bench -rounds 5 -only 'retr|stor'
//	go run ./test/bench -only '^ftps' -key rsa
//	go run ./test/bench -rounds 1 -size 16 -files 50 -entries 500 -ops 500 -logins 5    does it run
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"sort"
	"strings"
	"syscall"

	"sallyport/test/peers"
)

// options are the sizes of the measurements and what the TLS ones are made of.
type options struct {
	size, files, entries, ops, logins int
	key, tls                          string
	hybrid                            bool
}

var opts options

func (o options) tlsVersion() uint16 {
	if o.tls == "1.2" {
		return tls.VersionTLS12
	}
	return tls.VersionTLS13
}

func main() {
	rounds := flag.Int("rounds", 3, "interleaved rounds of each measurement")
	only := flag.String("only", "", "run the measurements whose name matches")
	servers := flag.String("servers", "", "run the servers whose name matches")
	flag.IntVar(&opts.size, "size", 1024, "MiB of the large transfers")
	flag.IntVar(&opts.files, "files", 1000, "small files of a measurement")
	flag.IntVar(&opts.entries, "entries", 10000, "entries of the listed directory")
	flag.IntVar(&opts.ops, "ops", 20000, "commands of a measurement")
	flag.IntVar(&opts.logins, "logins", 100, "logins of a measurement")
	flag.StringVar(&opts.key, "key", "ecdsa", "certificate of all servers: ecdsa (P-256) or rsa (2048)")
	flag.StringVar(&opts.tls, "tls", "1.3", "TLS version: 1.2 or 1.3")
	flag.BoolVar(&opts.hybrid, "hybrid", false, "the client offers X25519MLKEM768, too")
	flag.Parse()
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "bench: needs root: the peers and the accounts do")
		os.Exit(1)
	}
	if code, inside := peers.Inside(); !inside {
		os.Exit(code)
	}
	if err := run(*rounds, regexp.MustCompile(*only), regexp.MustCompile(*servers)); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(rounds int, only, servers *regexp.Regexp) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	b, err := prepare()
	if err != nil {
		return err
	}
	defer b.clean()
	go func() {
		<-stop
		b.clean()
		os.Exit(1)
	}()
	fmt.Printf("# %s, %d processors, kernel %s\n", runtime.Version(), runtime.NumCPU(), kernel())
	fmt.Printf("# %s, %d rounds, server CPU from a control group; ratios are sallyport / peer of medians\n", strings.Join(os.Args, " "), rounds)
	var all []*server
	for _, s := range b.servers() {
		if servers.MatchString(s.name) {
			all = append(all, s)
		}
	}
	for _, m := range measurements() {
		if !only.MatchString(m.name) {
			continue
		}
		results := map[string][]result{}
		for range rounds {
			for _, s := range all {
				if m.tls != s.tls || m.ours && !s.ours() {
					continue
				}
				r, err := b.measure(s, m)
				if err != nil && !s.ours() {
					fmt.Printf("# %s: %s: %v\n", m.name, s.name, err) // a peer that has no such command
					continue
				}
				if err != nil {
					return fmt.Errorf("%s: %s: %w", m.name, s.name, err)
				}
				results[s.name] = append(results[s.name], r)
			}
		}
		report(m, all, results)
	}
	return nil
}

// result is a measurement's figures by name.
type result map[string]float64

func report(m measurement, all []*server, results map[string][]result) {
	fmt.Printf("\n## %s: %s\n", m.name, m.what)
	units := make([]string, 0, len(m.units))
	for u := range m.units {
		units = append(units, u)
	}
	sort.Strings(units)
	base := map[string]float64{}
	for _, s := range all {
		rs := results[s.name]
		if len(rs) == 0 {
			continue
		}
		fmt.Printf("%-18s", s.name)
		for _, u := range units {
			lo, med, hi := spread(rs, u)
			fmt.Printf("  %s %.4g (%.4g-%.4g) %s", u, med, lo, hi, m.units[u])
			if s.name == "sallyport" || s.name == "sallyport-tls" {
				base[u] = med
			} else if b, ok := base[u]; ok && med != 0 {
				fmt.Printf(" [%.2fx]", b/med)
			}
		}
		fmt.Println()
	}
}

func spread(rs []result, unit string) (lo, med, hi float64) {
	v := make([]float64, 0, len(rs))
	for _, r := range rs {
		v = append(v, r[unit])
	}
	sort.Float64s(v)
	return v[0], v[len(v)/2], v[len(v)-1]
}

func kernel() string {
	var u syscall.Utsname
	_ = syscall.Uname(&u)
	var b []byte
	for _, c := range u.Release {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}

func repo() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil && dir != "/"; dir = filepath.Dir(dir) {
		if _, e := os.Stat(filepath.Join(dir, "go.mod")); e == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("run it inside the checkout")
}
