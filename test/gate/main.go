// Command gate runs everything that must be green before a change lands, stage
// by stage, and ends on one line: "N passed, N failed, N skipped". `make test`
// calls it. A stage is a `go test` (each test counts) or a command (counts one).
//
//	go run ./test/gate [-list] [-only REGEXP]
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// stage is one step of the gate. Root stages need uid 0; without it they are
// reported as skipped, with the reason.
type stage struct {
	name  string
	root  bool
	again bool // its tests ran before, in another way: what cannot run this way is no loss
	env   []string
	test  []string // arguments of go test -json
	cmd   []string // or a command
}

var core = []string{"./ipc/...", "./shm/...", "./internal/...", "./cmd/...", "./test/leak/..."}

func stages() []stage {
	cgo, plain := []string{"CGO_ENABLED=1"}, []string{"CGO_ENABLED=0"}
	return []stage{
		{name: "dependencies", cmd: []string{"test/run/deps.sh"}},
		{name: "build", cmd: []string{"make", "--no-print-directory", "build"}},
		{name: "layers", test: []string{"./test/layers/..."}},
		{name: "unit", env: plain, test: core},
		{name: "pam", env: cgo, test: []string{"./cmd/pam/..."}},
		{name: "race", env: cgo, again: true, test: append([]string{"-race", "-short"}, "./ipc/...", "./shm/...", "./internal/...")},
		{name: "hostile", root: true, test: []string{"-count=1", "./test/hostile/..."}},
		{name: "clients", test: []string{"-count=1", "-timeout=15m", "./test/clients/..."}},
		{name: "privsep", test: []string{"-count=1", "-timeout=10m", "./test/privsep/..."}},
		{name: "abuse", test: []string{"-count=1", "-timeout=10m", "./test/abuse/..."}},
		{name: "bans", test: []string{"-count=1", "-timeout=10m", "./test/bans/...", "./test/share/..."}},
		{name: "network", root: true, test: []string{"-count=1", "-timeout=10m", "./test/network/..."}},
		{name: "packages", root: true, cmd: []string{"test/packages/run.sh"}},
		{name: "lint", cmd: []string{"make", "--no-print-directory", "lint"}},
	}
}

type tally struct{ passed, failed, skipped int }

func main() {
	list := flag.Bool("list", false, "name the stages and leave")
	only := flag.String("only", "", "run the stages whose name matches")
	flag.Parse()
	pick := regexp.MustCompile(*only)
	var sum tally
	start := time.Now()
	for _, s := range stages() {
		if !pick.MatchString(s.name) {
			continue
		}
		if *list {
			fmt.Println(s.name)
			continue
		}
		begin := time.Now()
		var t tally
		switch {
		case s.root && os.Geteuid() != 0:
			fmt.Printf("=== %s: needs root\n", s.name)
			t.skipped = 1
		case s.cmd != nil:
			t = command(s)
		default:
			t = goTest(s)
		}
		fmt.Printf("=== %-12s %4d passed %3d failed %3d skipped  %s\n", s.name, t.passed, t.failed, t.skipped, time.Since(begin).Round(time.Second))
		sum.passed += t.passed
		sum.failed += t.failed
		sum.skipped += t.skipped
	}
	if *list {
		return
	}
	if os.Getenv("CI") != "" && os.Geteuid() == 0 && sum.skipped > 0 {
		fmt.Printf("skipped tests count as failed here: this machine can run them\n")
		sum.failed += sum.skipped
		sum.skipped = 0
	}
	fmt.Printf("gate: %s\n", time.Since(start).Round(time.Second))
	fmt.Printf("%d passed, %d failed, %d skipped\n", sum.passed, sum.failed, sum.skipped)
	if sum.failed > 0 || sum.passed == 0 {
		os.Exit(1)
	}
}

func command(s stage) tally {
	c := exec.Command(s.cmd[0], s.cmd[1:]...)
	c.Env = append(os.Environ(), s.env...)
	out, err := c.CombinedOutput()
	if err != nil {
		fmt.Printf("--- FAIL: %s: %v\n%s\n", s.name, err, out)
		return tally{failed: 1}
	}
	if n := bytes.LastIndexByte(bytes.TrimSpace(out), '\n'); len(out) > 0 {
		fmt.Printf("    %s\n", bytes.TrimSpace(out)[n+1:])
	}
	return tally{passed: 1}
}

// event is what go test -json prints, as far as it is needed here.
type event struct {
	Action, Package, Test, Output string
}

func goTest(s stage) tally {
	c := exec.Command("go", append([]string{"test", "-json"}, s.test...)...)
	c.Env = append(os.Environ(), s.env...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	pipe, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		fmt.Printf("--- FAIL: %s: %v\n", s.name, err)
		return tally{failed: 1}
	}
	var t tally
	output := map[string]*strings.Builder{}
	failedIn := map[string]bool{}
	lines := bufio.NewScanner(pipe)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			if output[key] == nil {
				output[key] = new(strings.Builder)
			}
			output[key].WriteString(e.Output)
		case "pass":
			if e.Test != "" {
				t.passed++
			}
		case "skip":
			if e.Test != "" {
				if s.again {
					break
				}
				t.skipped++
				fmt.Printf("--- SKIP: %s\n%s", key, text(output[key]))
			}
		case "fail":
			if e.Test == "" && failedIn[e.Package] {
				continue
			}
			failedIn[e.Package] = true
			t.failed++
			fmt.Printf("--- FAIL: %s\n%s", key, text(output[key]))
		}
		if e.Action == "pass" || e.Action == "skip" || e.Action == "fail" {
			delete(output, key)
		}
	}
	if err := c.Wait(); err != nil && t.failed == 0 {
		fmt.Printf("--- FAIL: %s: %v\n%s", s.name, err, stderr.String())
		for k, o := range output {
			fmt.Printf("%s\n%s", k, text(o))
		}
		t.failed++
	}
	return t
}

func text(b *strings.Builder) string {
	if b == nil {
		return ""
	}
	s := b.String()
	if len(s) > 8000 {
		s = s[:4000] + "\n[...]\n" + s[len(s)-4000:]
	}
	return s
}
