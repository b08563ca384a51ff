package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"sallyport/internal/auth"
	"sallyport/internal/keys"
	"sallyport/internal/policy"
	"sallyport/ipc"
)

// fromMaster takes one message of master, whose facts are trusted.
func (s *server) fromMaster(m ipc.Message) {
	switch b := m.Body.(type) {
	case *ipc.AuthdConfig:
		s.configure(b, m.FDs[0])
		m.Close()
	case *ipc.Attach:
		s.attach(b, m.FDs[0])
	case *ipc.Detach:
		s.detach(b.Session)
	case *ipc.LoginOutcome:
		s.outcome(b)
	case *ipc.Names:
		s.addNames(b, m.FDs[0])
	case *ipc.HashWorker:
		s.addWorker(m.FDs[0])
	case *ipc.PamHelper:
		s.pamStarted(b, m.FDs)
	case *ipc.Rehost:
		s.rehost(b)
	case *ipc.DataMade:
		s.dataMade(b)
	case *ipc.DelayShare:
		s.takeDelays(b, m.FDs[0])
	case *ipc.BanShare:
		s.takeBans(m.FDs[0])
	case *ipc.DelayReset:
		s.resetDelays(b)
	case *ipc.DelayExplain:
		s.explainDelay(b)
	case *ipc.DelayTrace:
		s.delays.trace = b.Level
	case *ipc.Ping:
		_ = s.toMaster(&ipc.Pong{})
	default:
		m.Close()
	}
}

// toMaster sends to master. An error of encoding is returned and harms nobody;
// any other has ended the loop.
func (s *server) toMaster(body any) error { return s.master.send(body) }

// configure takes a view. New sessions use it; those attached keep theirs. A
// view that cannot be read, or served as it says, changes nothing.
func (s *server) configure(c *ipc.AuthdConfig, fd int) {
	reply := ipc.AuthdReady{Generation: c.Generation, OK: true}
	var view policy.Authd
	if err := ipc.ReadBlob(fd, &view); err != nil {
		reply.OK = false
		reply.Errors = []string{"view of authd: " + err.Error()}
	} else {
		s.voice.collect = true
		hosts, errs := auth.NewHosts(view, s.etc, s.warn)
		tls, more := keys.New(view.TLS, keys.Options{Etc: s.etc, Say: s.warn, Changed: s.tellCertificates})
		for _, err := range append(errs, more...) {
			reply.OK = false
			reply.Errors = append(reply.Errors, err.Error())
		}
		reply.Errors = bound(append(reply.Errors, s.voice.take()...))
		if reply.OK || s.hosts == nil { // with nothing before, what works of it is better than nobody
			s.hosts, s.tls = hosts, tls
			s.newHosts()
		}
	}
	s.master.c.SetState(ipc.AuthdServing)
	if err := s.toMaster(&reply); err != nil {
		s.stop = err
		return
	}
	s.watchCertificates()
}

// bound fits errors into one AuthdReady.
func bound(list []string) []string {
	const most, length = 64, 500
	if len(list) > most {
		list = append(list[:most-1:most-1], fmt.Sprintf("and %d more", len(list)-most+1))
	}
	for i := range list {
		list[i] = cut(list[i], length)
	}
	return list
}

// Levels of AuthdLog: syslog priorities.
const (
	logError   = 3
	logWarning = 4
	logNotice  = 5
)

// voice gathers what NewHosts says while a view is compiled.
type voice struct {
	collect bool
	lines   []string
}

func (v *voice) take() []string {
	l := v.lines
	v.collect, v.lines = false, nil
	return l
}

// warn is where the account files are complained about.
func (s *server) warn(text string) {
	if s.voice.collect {
		s.voice.lines = append(s.voice.lines, text)
		return
	}
	s.log(logWarning, "%s", text)
}

// log sends a line to the log, which master keeps.
func (s *server) log(level uint8, format string, args ...any) {
	err := s.toMaster(&ipc.AuthdLog{Level: level, Text: cut(fmt.Sprintf(format, args...), 1024)})
	var bad *ipc.ProtocolError
	if errors.As(err, &bad) {
		s.stop = err
	}
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
