package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// measurement is one thing that is measured at every server.
type measurement struct {
	name  string
	what  string
	units map[string]string // figure -> unit
	ours  bool              // the peers have nothing to compare
	run   func(b *bench, s *server) (result, error)
}

const gib = 1 << 30

var measurements = []measurement{
	{"retr", "plain RETR of 1 GiB from tmpfs", map[string]string{"rate": "MiB/s", "cpu": "s/GiB"}, false, func(b *bench, s *server) (result, error) {
		return transfer(s, func(c *client) error {
			n, err := c.retr("gib")
			if err == nil && n != gib {
				err = fmt.Errorf("%d bytes", n)
			}
			return err
		})
	}},
	{"stor", "plain STOR of 1 GiB to tmpfs", map[string]string{"rate": "MiB/s", "cpu": "s/GiB"}, false, func(b *bench, s *server) (result, error) {
		defer os.Remove(filepath.Join(b.home, "up"))
		return transfer(s, func(c *client) error { return c.stor("up", gib) })
	}},
	{"login", "connect, USER, PASS, QUIT, one after the other", map[string]string{"cpu": "ms/login", "time": "ms"}, false, func(b *bench, s *server) (result, error) {
		const n = 100
		cpu, start := s.cpu(), time.Now()
		for range n {
			c, err := login(s.addr)
			if err != nil {
				return nil, err
			}
			c.quit()
		}
		wall := time.Since(start)
		s.settle()
		return result{"cpu": (s.cpu() - cpu).Seconds() * 1e3 / n, "time": wall.Seconds() * 1e3 / n}, nil
	}},
	{"banner", "connect to the first byte of the banner", map[string]string{"time": "ms"}, false, func(b *bench, s *server) (result, error) {
		var all []float64
		for range 200 {
			start := time.Now()
			n, err := net.Dial("tcp", s.addr)
			if err != nil {
				return nil, err
			}
			var one [1]byte
			if _, err := io.ReadFull(n, one[:]); err != nil {
				return nil, err
			}
			all = append(all, time.Since(start).Seconds()*1e3)
			n.Close()
			time.Sleep(4 * time.Millisecond) // a rate every server can follow, not a wait for something
		}
		sort.Float64s(all)
		return result{"time": all[len(all)/2]}, nil
	}},
	{"leave", "clients that connect, read the banner and leave, 8 at a time", map[string]string{"rate": "/s", "cpu": "ms"}, false, func(b *bench, s *server) (result, error) {
		return hammer(s, 8, 2*time.Second, func() error {
			n, err := net.Dial("tcp", s.addr)
			if err != nil {
				return err
			}
			defer n.Close()
			var buf [256]byte
			_, err = n.Read(buf[:])
			return err
		})
	}},
	{"noop", "NOOP, one session, one after the other", map[string]string{"rate": "/s", "cpu": "us"}, false, command("NOOP", "200")},
	{"size", "SIZE of one file", map[string]string{"rate": "/s", "cpu": "us"}, false, command("SIZE small", "213")},
	{"mlst", "MLST of one file", map[string]string{"rate": "/s", "cpu": "us"}, false, command("MLST small", "250")},
	{"small", "1,000 files of 4 KiB down and up on one session", map[string]string{"down": "/s", "up": "/s", "cpu": "ms"}, false, smallFiles},
	{"list", "LIST of 10,000 entries", map[string]string{"time": "ms", "cpu": "ms"}, false, func(b *bench, s *server) (result, error) {
		return listing(s, "LIST many", 3)
	}},
	{"refused", "connections over max.connection_rate, 8 at a time", map[string]string{"rate": "/s", "cpu": "ms"}, true, func(b *bench, s *server) (result, error) {
		r, err := b.variant(s, "max {\n  connection_rate = \"1/60s\"\n}\n")
		if err != nil {
			return nil, err
		}
		defer r.stop()
		return hammer(r, 8, 2*time.Second, func() error {
			n, err := net.Dial("tcp", r.addr)
			if err != nil {
				return err
			}
			defer n.Close()
			var buf [64]byte
			_, _ = n.Read(buf[:])
			return nil
		})
	}},
	{"silent", "5,000 clients that say nothing", map[string]string{"memory": "MiB", "processes": "more"}, true, silent},
	{"idle", "an idle logged-in session: private memory over all its processes", map[string]string{"memory-1": "MiB", "memory-100": "MiB", "memory-1000": "MiB"}, false, idle},
}

func transfer(s *server, f func(*client) error) (result, error) {
	c, err := login(s.addr)
	if err != nil {
		return nil, err
	}
	defer c.quit()
	cpu, start := s.cpu(), time.Now()
	if err := f(c); err != nil {
		return nil, err
	}
	wall := time.Since(start)
	return result{"rate": 1024 / wall.Seconds(), "cpu": (s.cpu() - cpu).Seconds()}, nil
}

func command(line, want string) func(*bench, *server) (result, error) {
	return func(_ *bench, s *server) (result, error) {
		c, err := login(s.addr)
		if err != nil {
			return nil, err
		}
		defer c.quit()
		const n = 20000
		cpu, start := s.cpu(), time.Now()
		for range n {
			if _, err := c.cmd(line, want); err != nil {
				return nil, err
			}
		}
		wall := time.Since(start)
		return result{"rate": n / wall.Seconds(), "cpu": (s.cpu() - cpu).Seconds() * 1e6 / n}, nil
	}
}

func smallFiles(b *bench, s *server) (result, error) {
	c, err := login(s.addr)
	if err != nil {
		return nil, err
	}
	defer c.quit()
	const n = 1000
	cpu, start := s.cpu(), time.Now()
	for range n {
		if _, err := c.retr("small"); err != nil {
			return nil, err
		}
	}
	down := time.Since(start)
	start = time.Now()
	for i := range n {
		if err := c.stor(fmt.Sprintf("s%d", i), 4096); err != nil {
			return nil, err
		}
	}
	up := time.Since(start)
	used := s.cpu() - cpu
	for i := range n {
		os.Remove(filepath.Join(b.home, fmt.Sprintf("s%d", i)))
	}
	return result{"down": n / down.Seconds(), "up": n / up.Seconds(), "cpu": used.Seconds() * 1e3 / (2 * n)}, nil
}

func listing(s *server, line string, times int) (result, error) {
	c, err := login(s.addr)
	if err != nil {
		return nil, err
	}
	defer c.quit()
	cpu, start := s.cpu(), time.Now()
	for range times {
		d, err := c.data()
		if err != nil {
			return nil, err
		}
		if _, err := c.cmd(line, "150"); err != nil {
			return nil, err
		}
		b, err := io.ReadAll(d)
		d.Close()
		if err != nil {
			return nil, err
		}
		if k := strings.Count(string(b), "\r\n"); k < 10000 {
			fmt.Printf("# %s lists %d lines only\n", s.name, k)
		}
		if _, err := c.reply("226"); err != nil {
			return nil, err
		}
	}
	wall := time.Since(start)
	return result{"time": wall.Seconds() * 1e3 / float64(times), "cpu": (s.cpu() - cpu).Seconds() * 1e3 / float64(times)}, nil
}

func hammer(s *server, clients int, long time.Duration, f func() error) (result, error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var n int
	var first error
	cpu, start := s.cpu(), time.Now()
	for range clients {
		wg.Go(func() {
			k := 0
			for time.Since(start) < long {
				if err := f(); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
					break
				}
				k++
			}
			mu.Lock()
			n += k
			mu.Unlock()
		})
	}
	wg.Wait()
	wall := time.Since(start)
	if n == 0 {
		return nil, first
	}
	s.settle()
	return result{"rate": float64(n) / wall.Seconds(), "cpu": (s.cpu() - cpu).Seconds() * 1e3 / float64(n)}, nil
}

func silent(b *bench, s *server) (result, error) {
	r, err := b.variant(s, "")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	time.Sleep(time.Second) // let the pool fill
	before, procs := r.private(), len(r.pids())
	var open []net.Conn
	defer func() {
		for _, n := range open {
			n.Close()
		}
	}()
	for i := range 5000 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(i/250), byte(1+i%250))}}
		n, err := d.Dial("tcp", r.addr)
		if err != nil {
			return nil, err
		}
		open = append(open, n)
		var buf [64]byte
		if _, err := n.Read(buf[:]); err != nil {
			return nil, fmt.Errorf("client %d: %w", i, err)
		}
	}
	return result{"memory": float64(r.private()-before) / (1 << 20), "processes": float64(len(r.pids()) - procs)}, nil
}

func idle(b *bench, s *server) (result, error) {
	r := result{}
	var open []*client
	defer func() {
		for _, c := range open {
			c.Close()
		}
		s.settle()
	}()
	s.settle()
	before := s.private()
	for _, n := range []int{1, 100, 1000} {
		for len(open) < n {
			c, err := login(s.addr)
			if err != nil {
				return nil, fmt.Errorf("session %d: %w", len(open)+1, err)
			}
			open = append(open, c)
		}
		time.Sleep(time.Second) // idle, pools refilled
		r["memory-"+strconv.Itoa(n)] = float64(s.private()-before) / (1 << 20) / float64(n)
	}
	return r, nil
}
