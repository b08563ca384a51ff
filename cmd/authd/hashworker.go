package main

import (
	"errors"
	"io"
	"runtime/debug"
	"time"

	"sallyport/internal/crypt"
	"sallyport/ipc"
)

// serveHashes is the loop of a hash worker: one request at a time, until authd
// closes the channel. It has no key, no file and no client.
func serveHashes(fd int) error {
	c := ipc.New(fd, ipc.AuthdHash, ipc.Hash)
	defer c.Close()
	for {
		m, err := c.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		reply := compute(m.Body.(*ipc.HashRequest))
		if err := c.Send(&reply); err != nil {
			return err
		}
		if reply.Nanos > uint64(100*time.Millisecond) {
			debug.FreeOSMemory() // a setting that dear has taken much memory, too
		}
	}
}

func compute(r *ipc.HashRequest) ipc.HashReply {
	start := time.Now()
	match, err := crypt.Verify(r.Setting, r.Secret, crypt.Options{Legacy: r.Legacy})
	clear(r.Secret)
	reply := ipc.HashReply{ID: r.ID, Match: match, Nanos: uint64(time.Since(start))}
	if err != nil {
		reply.Match, reply.Error = false, cut(err.Error(), 128)
	}
	return reply
}

func cut(s string, n int) string { return s[:min(len(s), n)] }
