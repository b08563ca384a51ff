// Command leak measures what the time of a login's answers tells about the
// account: the AUC of an attacker with one threshold, its direction fixed
// beforehand, for Sallyport and for Debian's FTP and SSH servers in the same run.
// It is a benchmark with a statistic and no timed test; docs/TIMING.md has the
// figures and the argument. It needs root: it works in a mount namespace of its
// own with a private /etc, so that PAM and system accounts are the same for all.
//
//	make leak                          all cells at the sizes of the page
//	go run ./test/leak -n 100 -only 'ftp yescrypt'
//
// Every measurement is a new connection. They are kept in -out, one file a cell:
// a run that was interrupted goes on where it was.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"sallyport/test/peers"
)

// options of a run.
type options struct {
	n, pairs, peers int // connections of either kind: the fixed cells, the other pairs, the peers
	attackers       int
	bin, out        string
	only            *regexp.Regexp
	fresh           bool
	probe           int
}

func main() {
	var o options
	only := flag.String("only", "", "measure the cells whose name matches")
	flag.IntVar(&o.n, "n", 2000, "connections of either kind in the fixed cells")
	flag.IntVar(&o.pairs, "pairs", 300, "the same in the other pairs; 0: none of them")
	flag.IntVar(&o.peers, "peers", 300, "the same for the other servers; 0: none of them")
	flag.IntVar(&o.probe, "probe", 300, "attempts of the contention probe; 0: none")
	flag.IntVar(&o.attackers, "attackers", runtime.NumCPU(), "connections at a time")
	flag.StringVar(&o.bin, "bin", "bin", "directory of the built programs")
	flag.StringVar(&o.out, "out", filepath.Join(os.TempDir(), "sallyport-leak"), "directory of the measurements")
	flag.BoolVar(&o.fresh, "fresh", false, "forget earlier measurements")
	flag.Parse()
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "leak: needs root: the peers and the accounts do")
		os.Exit(1)
	}
	if code, inside := peers.Inside(); !inside {
		os.Exit(code)
	}
	o.only = regexp.MustCompile(*only)
	if err := run(&o); err != nil {
		fmt.Fprintln(os.Stderr, "leak:", err)
		os.Exit(1)
	}
}

func run(o *options) error {
	var err error
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o700); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	w, err := prepare(o)
	if err != nil {
		return err
	}
	defer w.clean()
	go func() {
		<-stop
		w.clean()
		os.Exit(1)
	}()
	fmt.Printf("# %s, %d processors, %d attackers, %s\n", runtime.Version(), runtime.NumCPU(), o.attackers, strings.Join(os.Args[1:], " "))
	fmt.Println("# AUC: how often the first kind answers before the second; 0.5: the time tells nothing. KS: best single threshold.")
	list := w.cells()
	var left time.Duration
	for i := range list {
		if c := &list[i]; o.only.MatchString(c.name()) && c.want(o) > 0 {
			left += c.expected(o)
		}
	}
	fmt.Printf("# about %v\n", left.Round(time.Minute))
	var fixed, others []result
	for i := range list {
		c := &list[i]
		n := c.want(o)
		if n == 0 || !o.only.MatchString(c.name()) {
			continue
		}
		rs, err := w.measure(c, n)
		if err != nil {
			fmt.Printf("# %s: %v\n", c.name(), err)
			continue
		}
		for _, r := range rs {
			fmt.Println(r)
			switch {
			case c.fixed && r.counts:
				fixed = append(fixed, r)
			case !c.fixed && !c.peer && r.step == "PASS":
				others = append(others, r)
			}
		}
	}
	verdict(fixed, others)
	if o.probe > 0 && o.only.MatchString("probe") {
		return w.contention(o.probe)
	}
	return nil
}

// verdict applies Holm's correction to the fixed cells, and the binomial
// expectation to the others.
func verdict(fixed, others []result) {
	if len(fixed) > 0 {
		ok := holm(fixed, 0.05)
		fmt.Printf("\nfixed cells: %d of %d have the upper end of their interval at most %.2f after Holm's correction\n", ok, len(fixed), bound)
	}
	if len(others) > 0 {
		miss := 0
		for _, r := range others {
			if r.lo > 0.5 || r.hi < 0.5 {
				miss++
			}
		}
		fmt.Printf("other pairs: %d of %d intervals miss 0.5; by chance that many or more with probability %.3f\n", miss, len(others), atLeast(miss, len(others), 0.05))
	}
}
