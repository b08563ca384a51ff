package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// banned measures connections from an address that is banned. The ban is one of a
// rule that everybody has: what counts is a command that nobody knows. It is set
// off from 127.0.0.1, which is where the hammering comes from.
func banned(b *bench, s *server) (result, error) {
	var r *server
	var err error
	switch {
	case s.ours():
		// The bans of an earlier round are kept, as they are meant to be.
		old, _ := filepath.Glob(filepath.Join(b.dir, s.name+"-variant", "state", "bans.*"))
		for _, p := range old {
			_ = os.Remove(p)
		}
		r, err = b.variant(s, "ban {\n  on_event \"UnhandledCommand\" {\n    rate = \"1/1h\"\n    ban  = \"1h\"\n  }\n}\n")
	case s.name == "proftpd":
		r = b.banning()
		err = r.up()
	default:
		return nil, fmt.Errorf("has no bans")
	}
	if err != nil {
		return nil, err
	}
	defer r.stop()
	n, err := net.Dial("tcp", r.addr)
	if err != nil {
		return nil, err
	}
	_ = n.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = n.Write([]byte("FOO\r\n"))
	_, _ = io.Copy(io.Discard, n)
	n.Close()
	var greeted atomic.Int64
	got, err := hammer(r, 8, 2*time.Second, func() error {
		n, err := net.Dial("tcp", r.addr)
		if err != nil {
			return err
		}
		defer n.Close()
		b, _ := io.ReadAll(n)
		if strings.HasPrefix(string(b), "220") {
			greeted.Add(1)
		}
		return nil
	})
	if err == nil && greeted.Load() > 0 {
		err = fmt.Errorf("%d clients were greeted", greeted.Load())
	}
	if err == nil {
		got["calm"], got["flooded"], err = besideAFlood(r)
	}
	return got, err
}

// besideAFlood is how long a login of somebody else takes, in milliseconds
// (medians), without and with 20,000 connections of the banned address, 2,000 a
// second.
func besideAFlood(r *server) (calm, flooded float64, err error) {
	const floods, each, every = 4, 5000, 2 * time.Millisecond
	r.from = "127.0.0.5"
	if calm, err = medianLogin(r, func(n int) bool { return n < 100 }); err != nil {
		return 0, 0, err
	}
	var wg sync.WaitGroup
	var running atomic.Int64
	running.Add(floods)
	end := time.Now().Add(15 * time.Second) // a server that is slower gets fewer
	for range floods {
		wg.Go(func() {
			defer running.Add(-1)
			t := time.NewTicker(every)
			defer t.Stop()
			for i := 0; i < each && time.Now().Before(end); i++ {
				<-t.C
				if n, err := net.DialTimeout("tcp", r.addr, time.Second); err == nil {
					_, _ = io.Copy(io.Discard, n)
					n.Close()
				}
			}
		})
	}
	flooded, err = medianLogin(r, func(int) bool { return running.Load() == floods })
	wg.Wait()
	return calm, flooded, err
}

// medianLogin logs in again and again, as long as more says so.
func medianLogin(r *server, more func(n int) bool) (float64, error) {
	var took []float64
	for more(len(took)) {
		start := time.Now()
		c, err := login(r)
		if err != nil {
			return 0, err
		}
		took = append(took, time.Since(start).Seconds()*1e3)
		c.quit()
	}
	if len(took) == 0 {
		return 0, fmt.Errorf("no login was measured")
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// banning is ProFTPD with mod_ban.
func (b *bench) banning() *server {
	p := port()
	conf := b.write("proftpd-ban.conf", `ModulePath %s
LoadModule mod_ban.c
ServerType standalone
ServerName bench
Port %d
DefaultAddress 127.0.0.1
SocketBindTight on
UseIPv6 off
UseReverseDNS off
User nobody
Group nogroup
MaxInstances none
AuthUserFile %s/users
AuthOrder mod_auth_file.c
WtmpLog off
TransferLog none
SystemLog %s/proftpd-ban.log
PidFile %s/proftpd-ban.pid
ScoreboardFile %s/proftpd-ban.board
DelayEngine off
BanEngine on
BanTable %s/proftpd.ban
BanOnEvent UnhandledCommand 1/01:00:00 01:00:00
`, filepath.Join(b.peers.Root, "usr/lib/proftpd"), p, b.dir, b.dir, b.dir, b.dir, b.dir)
	return &server{name: "proftpd-ban", addr: fmt.Sprintf("127.0.0.1:%d", p), start: func() *exec.Cmd {
		return b.peers.Command("usr/sbin/proftpd", "-n", "-q", "-c", conf)
	}}
}
