// Command owner makes one home directory and leaves. It is started by master
// where create_home is on, as root with the right to give files away, and reads
// one order: the account's home, its ids, and what the configuration says of
// modes and skeleton. No network, no program, no client. docs/FILES.md describes
// it.
package main

import (
	"fmt"
	"time"

	"sallyport/internal/home"
	"sallyport/internal/worker"
	"sallyport/ipc"
)

// deadline is a little less than master's patience, so that what was begun is
// taken back rather than left when master kills.
const deadline = 8 * time.Second

func main() {
	w := worker.Begin(worker.Owner) // 1 identity  2 descriptors
	w.Confine()                     // 3 sandbox
	master := ipc.New(w.FD(0), ipc.MasterOwner, ipc.Owner)
	w.End(serve(master)) // 4 handlers  5 the one order
}

func serve(master *ipc.Conn) error {
	m, err := master.Recv()
	if err != nil {
		return fmt.Errorf("master: %w", err)
	}
	r, ok := m.Body.(*ipc.MakeHome)
	if !ok {
		return fmt.Errorf("master: %T instead of an order", m.Body)
	}
	var reply ipc.HomeMade
	reply.Created, err = home.Make(home.Request{
		Path: r.Path, UID: r.UID, GID: r.GID, Mode: r.Mode, DirMode: r.DirMode, Skeleton: r.Skeleton,
		Deadline: time.Now().Add(deadline),
	})
	if err != nil {
		reply.Error = err.Error()
		if n := len(reply.Error); n > 256 { // a long path comes first, the reason last
			reply.Error = "..." + reply.Error[n-253:]
		}
	}
	return master.Send(reply)
}
