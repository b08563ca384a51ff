package main

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"io"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// stateVersion is raised where an older image's state could be misread. Fields
// may be added without: gob knows them by name, what a reader does not know it
// ignores, what a writer did not know is zero.
const stateVersion = 1

// maxState bounds the state's size in bytes.
const maxState = 64 << 20

// state is what one image of master leaves to the next at an upgrade in place:
// everything that cannot be made anew. Numbers of descriptors and processes
// stay what they are, since the process does. Times are CLOCK_MONOTONIC.
type state struct {
	Version   int
	Dialogues map[string]uint16 // name of the dialogue: version the image spoke
	NextID    uint64
	Started   int64 // wall clock, nanoseconds
	Upgrades  int
	Number    uint32 // generation of the configuration
	Control   int    // descriptor of the control socket; 0: none
	Policy    *policy.Policy
	Settings  []policy.Settings // what the connections refer to
	Listeners []savedListener
	Inherited []savedListener // every socket systemd handed down
	Clients   []savedClient
	Authds    []savedAuthd
	Resolved  map[string][]netip.Addr // names of the configuration
	Strays    []savedChild            // processes that are on their way out, or authd's own
}

type savedListener struct {
	Label, Protocol, TLS string
	FD                   int
	Asked, Address       netip.AddrPort
	Inherited            bool
}

type savedChild struct {
	Name   string
	PID    int
	FD     int   // pidfd
	KillAt int64 // 0: not
}

type savedAuthd struct {
	Child   savedChild
	FD      int
	Serving bool
}

type savedClient struct {
	ID          uint64
	FD          int
	Peer, Local netip.AddrPort
	Label       string
	Protocol    string
	Host, Class string
	Settings    int
	Accepted    int64
	Failed      uint32
	Waiting     bool
	Bound, Via  netip.AddrPort // zero: as Local and Peer
	TLS         bool
	Proxied     bool
	Headed      bool
	SNI, Cert   string
	Patience    uint32
	Held        bool // not greeted yet
	Session     *savedSession
}

type savedSession struct {
	Child        savedChild
	Lane, Notice int
	Page         int
	Open, Ending bool
	Reason, User string
	UID          uint32
	Since        int64
	Authd        int // pid of the authd that knows it; 0: none
	AuthEnd      int // -1: none
	Login        *savedLogin
	Files        *savedFiles
	Data         savedData
	Pam          []savedChild
	Drains       bool
	Rehosting    bool
	Selections   int
	Anonymous    uint32
	Email, Named string
	Place        *place
	Transfer     string
	Connected    int64
	Lifetime     uint32
	Answering    bool // a failed login's answer has not left
	Parting      bool
	Condemned    bool
	Sentence     string
	Turned       bool
	Logs         savedLogs
}

type savedLogin struct {
	Report                     ipc.LoginReport
	Root                       string
	Answered, Released, Parked bool
}

type savedFiles struct {
	Child    savedChild
	FD, Lane int
	Home     string
	Ready    bool
}

type savedData struct {
	Seq      uint32
	Listener int
	Port     uint16
	Ahead    bool
	Extended bool
	Again    bool
	Target   netip.AddrPort
	Dialing  int
	ExpireAt int64
}

// dialogues are those that connect master with processes that may be older.
var dialogues = []*ipc.Dialogue{ipc.SessionLane, ipc.SessionNotice, ipc.MasterFiles, ipc.MasterAuthd}

func dialogueVersions() map[string]uint16 {
	v := map[string]uint16{}
	for _, d := range dialogues {
		v[d.Name] = d.Version
	}
	return v
}

// writeState puts a state into a sealed memfd that survives execution.
func writeState(s *state) (int, error) {
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(s); err != nil {
		return -1, fmt.Errorf("encode the state: %w", err)
	}
	b := buf.Bytes()
	if len(b) > maxState {
		return -1, fmt.Errorf("encode the state: %d bytes, at most %d", len(b), maxState)
	}
	fd, err := unix.MemfdCreate("sallyport-state", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, fmt.Errorf("memory for the state: %w", err)
	}
	for off := 0; off < len(b); {
		n, err := unix.Pwrite(fd, b[off:], int64(off))
		if err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("write the state: %w", err)
		}
		off += n
	}
	seals := unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("seal the state: %w", err)
	}
	return fd, nil
}

// readState reads what writeState wrote and closes the descriptor.
func readState(fd int) (*state, error) {
	f := os.NewFile(uintptr(fd), "state")
	if f == nil {
		return nil, fmt.Errorf("state: descriptor %d is none", fd)
	}
	defer f.Close()
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || seals&unix.F_SEAL_WRITE == 0 {
		return nil, fmt.Errorf("state: descriptor %d is no sealed memory", fd)
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, maxState+1))
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	return decodeState(b)
}

func decodeState(b []byte) (*state, error) {
	if len(b) > maxState {
		return nil, fmt.Errorf("state of more than %d bytes", maxState)
	}
	s := &state{}
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(s); err != nil {
		return nil, fmt.Errorf("decode the state: %w", err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("state of version %d, this image takes %d", s.Version, stateVersion)
	}
	for i := range s.Clients {
		if n := s.Clients[i].Settings; n < 0 || n >= len(s.Settings) {
			return nil, fmt.Errorf("decode the state: connection %d refers to settings %d of %d", s.Clients[i].ID, n, len(s.Settings))
		}
	}
	return s, nil
}

// descriptors lists every descriptor that must survive the execution.
func (s *state) descriptors() []int {
	var fds []int
	add := func(list ...int) {
		for _, fd := range list {
			if fd > 2 {
				fds = append(fds, fd)
			}
		}
	}
	add(s.Control)
	seen := map[int]bool{}
	for _, l := range append(append([]savedListener(nil), s.Listeners...), s.Inherited...) {
		if !seen[l.FD] {
			seen[l.FD] = true
			add(l.FD)
		}
	}
	for _, a := range s.Authds {
		add(a.Child.FD, a.FD)
	}
	for _, c := range s.Strays {
		add(c.FD)
	}
	for i := range s.Clients {
		c := &s.Clients[i]
		add(c.FD)
		if x := c.Session; x != nil {
			add(x.Child.FD, x.Lane, x.Notice, x.Page, x.AuthEnd, x.Data.Listener, x.Data.Dialing)
			if x.Files != nil {
				add(x.Files.Child.FD, x.Files.FD, x.Files.Lane)
			}
			for _, p := range x.Pam {
				add(p.FD)
			}
		}
	}
	return fds
}
