package main

import (
	"fmt"
	"time"

	"sallyport/ipc"
)

// nameDeadline bounds one look-up; after it ids are shown as numbers. authd
// keeps its sources in memory.
const nameDeadline = 2 * time.Second

// names asks authd for the names of ids, and for the ids of groups.
type names struct{ c *ipc.Conn }

func newNames(fd int) (*names, error) {
	c := ipc.New(fd, ipc.FilesAuthd, ipc.Files)
	if err := c.SetTimeout(nameDeadline); err != nil {
		return nil, fmt.Errorf("names channel: %w", err)
	}
	return &names{c}, nil
}

// lookup is a [server.Lookup]. After an error the channel is closed: an answer
// that came late would be taken for the next one's.
func (n *names) lookup(req ipc.NamesRequest) (*ipc.NamesReply, error) {
	return ask[ipc.NamesReply](n, req)
}

// groups is a [server.FindGroups].
func (n *names) groups(req ipc.IDsRequest) (*ipc.IDsReply, error) {
	return ask[ipc.IDsReply](n, req)
}

func ask[T any](n *names, req any) (*T, error) {
	r, _, err := ipc.Call[T](n.c, req)
	if err != nil {
		n.c.Close()
		return nil, err
	}
	return r, nil
}
