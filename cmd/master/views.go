package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/policy"
	"sallyport/ipc/blob"
)

// generation is one configuration in force. Sessions keep the one they were
// born with; its sealed views live as long as somebody needs them.
type generation struct {
	number uint32
	policy *policy.Policy
	rules  *access.Rules
	users  int
	old    bool
	views  map[*policy.Settings]*views
}

// views are the sealed blobs of one host and class; -1 is one nobody asked for
// yet.
type views struct{ session, files int }

func newGeneration(n uint32, p *policy.Policy) *generation {
	return &generation{number: n, policy: p, rules: access.New(p), views: map[*policy.Settings]*views{}}
}

func (g *generation) of(s *policy.Settings) *views {
	v := g.views[s]
	if v == nil {
		v = &views{-1, -1}
		g.views[s] = v
	}
	return v
}

// sessionView returns the descriptor of a session's view. It stays the
// generation's.
func (g *generation) sessionView(s *policy.Settings) (int, error) {
	return seal(&g.of(s).session, "session", &s.Session)
}

// filesView returns the descriptor of a files process's view.
func (g *generation) filesView(s *policy.Settings) (int, error) {
	return seal(&g.of(s).files, "files", &s.Files)
}

func seal(fd *int, name string, view any) (int, error) {
	if *fd < 0 {
		var err error
		if *fd, err = blob.Seal(name, view); err != nil {
			*fd = -1
			return -1, err
		}
	}
	return *fd, nil
}

// acquire and release count the connections of a generation; the last one to
// leave an old generation closes its views.
func (g *generation) acquire() { g.users++ }

func (g *generation) release() {
	g.users--
	g.settle()
}

// retire marks a generation that is no longer in force.
func (g *generation) retire() {
	g.old = true
	g.settle()
}

func (g *generation) settle() {
	if !g.old || g.users > 0 {
		return
	}
	for s, v := range g.views {
		for _, fd := range []int{v.session, v.files} {
			if fd >= 0 {
				unix.Close(fd)
			}
		}
		delete(g.views, s)
	}
}

// sealable tells whether every view of p can be handed over: texts within the
// bounds of messages. It is asked before p is put in force, since a view that
// cannot be made would refuse every client.
func sealable(p *policy.Policy) error {
	try := func(name string, view any) error {
		fd, err := blob.Seal(name, view)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	each := func(h *policy.Host, s *policy.Settings) error {
		if err := errors.Join(try("session", &s.Session), try("files", &s.Files)); err != nil {
			return fmt.Errorf("host %q: %w", h.Name, err)
		}
		for i := range s.Anonymous {
			a := &s.Anonymous[i]
			if err := errors.Join(try("session", &a.Settings.Session), try("files", &a.Settings.Files)); err != nil {
				return fmt.Errorf("host %q: anonymous %q: %w", h.Name, a.Path, err)
			}
		}
		return nil
	}
	for i := range p.Hosts {
		h := &p.Hosts[i]
		if err := each(h, &h.Base); err != nil {
			return err
		}
		for j := range h.ByClass {
			if err := each(h, &h.ByClass[j].Settings); err != nil {
				return err
			}
		}
	}
	return try("authd", config.AuthView(p))
}
