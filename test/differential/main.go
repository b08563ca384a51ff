// Command differential runs the same scripted sessions against Debian's ProFTPD
// and against sallyport and compares the replies, code and text. A difference is
// accepted only if known.txt lists it with its reason; a reason that no longer
// applies is reported as well.
//
//	make differential
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"

	"sallyport/test/peers"
)

var (
	bin     = flag.String("bin", "bin", "directory of the daemon and its workers")
	verbose = flag.Bool("v", false, "print what sallyport answered to each line")
	only    = flag.String("only", "", "play the scripts whose name begins so")
)

func main() {
	flag.Parse()
	if os.Geteuid() != 0 {
		fmt.Println("differential: needs root: the reference does")
		os.Exit(1)
	}
	passed, failed, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "differential:", err)
		os.Exit(1)
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}

const (
	uid      = 49200
	password = "secret"
)

func run() (passed, failed int, err error) {
	p, err := peers.Fetch()
	if err != nil {
		return 0, 0, err
	}
	known, err := readKnown("test/differential/known.txt")
	if err != nil {
		return 0, 0, err
	}
	scripts, _ := filepath.Glob("test/differential/scripts/" + *only + "*.txt")
	sort.Strings(scripts)
	used := map[string]bool{}
	for _, path := range scripts {
		s, err := parse(path)
		if err != nil {
			return 0, 0, err
		}
		ref, refErr := play(s, reference(p))
		our, ourErr := play(s, ours)
		if err := errors.Join(refErr, ourErr); err != nil {
			fmt.Printf("%s: %v\n", s.name, err)
			failed++
			continue
		}
		for i := range max(len(ref), len(our)) {
			r, o := at(ref, i), at(our, i)
			key := fmt.Sprintf("%s:%d", s.name, i+1)
			if *verbose {
				fmt.Printf("%s\t%q\n", key, o)
			}
			switch _, listed := known[key]; {
			case r == o && listed:
				fmt.Printf("%s is listed as a difference but is none\n", key)
				failed++
			case r != o && !listed:
				fmt.Printf("%s\n  reference %q\n  sallyport %q\n", key, r, o)
				failed++
			default:
				passed++
			}
			used[key] = true
		}
	}
	for k := range known {
		if !used[k] && strings.HasPrefix(k, *only) {
			fmt.Printf("%s is listed but no script has that line\n", k)
			failed++
		}
	}
	return passed, failed, nil
}

func at(l []string, i int) string {
	if i < len(l) {
		return l[i]
	}
	return "(nothing)"
}

// readKnown reads "script:line reason" rows.
func readKnown(path string) (map[string]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if k, why, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(k, "#") {
			m[k] = why
		}
	}
	return m, nil
}

// normal takes out what differs from run to run.
var (
	port227 = regexp.MustCompile(`\(127,0,0,1,\d+,\d+\)`)
	port229 = regexp.MustCompile(`\|\|\|\d+\|`)
	unique  = regexp.MustCompile(`unique=[0-9A-Fa-f]+[Ug][0-9A-Fa-f]+`)
	stamp   = regexp.MustCompile(`\b20\d{12}\b`)
	lsTime  = regexp.MustCompile(`[A-Z][a-z]{2} [ \d]\d (\d\d:\d\d| \d{4})`)
	perm    = regexp.MustCompile(`perm=[a-z]*`)
	avbl    = regexp.MustCompile(`^213 \d{9,}\r\n$`)
	stou    = regexp.MustCompile(`ftp[A-Za-z0-9]{6}`)
)

func normal(s, dir string) string {
	s = port227.ReplaceAllString(s, "(127,0,0,1,P,P)")
	s = port229.ReplaceAllString(s, "|||P|")
	s = unique.ReplaceAllString(s, "unique=U")
	s = stamp.ReplaceAllString(s, "TIME")
	s = lsTime.ReplaceAllString(s, "TIME")
	s = avbl.ReplaceAllString(s, "213 BYTES\r\n")
	s = stou.ReplaceAllString(s, "ftpUNIQUE")
	s = perm.ReplaceAllStringFunc(s, func(p string) string { // RFC 3659 §7.5.5: in any order
		l := []byte(p)
		slices.Sort(l[len("perm="):])
		return string(l)
	})
	return strings.ReplaceAll(s, dir, "DIR")
}
