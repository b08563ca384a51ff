package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/logging"
	"sallyport/internal/policy"
	"sallyport/ipc"
)

// missingCertificate is a file that a host with TLS and without a certificate of
// its own is to be given.
type missingCertificate struct {
	path  string
	names []string
}

// certificateTime bounds the making of one certificate.
const certificateTime = 20 * time.Second

// ensureCertificates makes the self-signed certificates that p's hosts lack, one
// after the other, then calls then, on the loop. What could not be made is
// logged; authd then says that it cannot serve the host.
func (m *master) ensureCertificates(p *policy.Policy, then func()) {
	m.makeCertificates(missingCertificates(p), then)
}

func (m *master) makeCertificates(list []missingCertificate, then func()) {
	if len(list) == 0 || m.stopping {
		then()
		return
	}
	c := list[0]
	m.makeCertificate(c, func(fingerprint string, err error) {
		if err != nil {
			m.log.Error("self-signed certificate", "file", c.path, logging.Error(err))
		} else {
			m.log.Warn("no certificate is configured: a self-signed one was made, which clients will ask about; set tls { certificate { file, key } } to replace it",
				"file", c.path, "name", c.names[0], "sha256", fingerprint)
		}
		m.makeCertificates(list[1:], then)
	})
}

// missingCertificates are the files that are not there yet, with the names of
// the hosts that share them.
func missingCertificates(p *policy.Policy) []missingCertificate {
	const most = 16 // ipc.MakeCertificate
	var list []missingCertificate
	for i := range p.Hosts {
		h := &p.Hosts[i]
		path := h.TLS.SelfSigned
		if !h.TLS.Engine || len(h.TLS.Certificates) > 0 || path == "" {
			continue
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		at := slices.IndexFunc(list, func(c missingCertificate) bool { return c.path == path })
		if at < 0 {
			at = len(list)
			list = append(list, missingCertificate{path: path})
		}
		for _, n := range h.Names {
			if c := &list[at]; len(c.names) < most && !slices.Contains(c.names, n) {
				c.names = append(c.names, n)
			}
		}
	}
	for i := range list {
		if len(list[i].names) == 0 {
			list[i].names = []string{ownName()}
		}
	}
	return list
}

// ownName is the machine's name.
func ownName() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "localhost"
}

// makeCertificate has a process make one; done runs once, on the loop.
func (m *master) makeCertificate(c missingCertificate, done func(fingerprint string, err error)) {
	ours, theirs, err := ipc.PairOf(ipc.MasterCertificate, ipc.Master, ipc.Certificate)
	if err != nil {
		done("", err)
		return
	}
	m.spawn(launch{name: "authd", args: []string{"certificate"}, as: asWorker, files: []int{theirs}}, func(p *child, err error) {
		if err != nil {
			unix.Close(ours)
			done("", err)
			return
		}
		conn := ipc.New(ours, ipc.MasterCertificate, ipc.Master)
		finished, writing := false, false
		finish := func(fingerprint string, err error) {
			if finished {
				return
			}
			finished = true
			m.loop.del(ours)
			conn.Close()
			m.killIn(p, killAfter)
			done(fingerprint, err)
		}
		err = m.supervise(p, func(ws unix.WaitStatus) {
			if !writing {
				finish("", fmt.Errorf("the process that makes it ended: %s", exitText(ws)))
			}
			m.drained()
		})
		if err == nil {
			m.killIn(p, certificateTime)
			err = m.loop.add(ours, unix.EPOLLIN, func(uint32) {
				made, err := takeCertificate(conn)
				if made == nil && err == nil {
					return
				}
				if err != nil {
					finish("", err)
					return
				}
				writing = true
				m.loop.del(ours)
				go func() { // off the loop: the disk is waited for
					err := writeKeyFile(c.path, made.PEM)
					clear(made.PEM)
					m.loop.post(func() { finish(made.Fingerprint, err) })
				}()
			})
		}
		if err == nil {
			err = conn.TrySend(&ipc.MakeCertificate{Names: c.names})
		}
		if err != nil {
			finish("", err)
		}
	})
}

// takeCertificate reads the answer, nil where it is not there yet.
func takeCertificate(conn *ipc.Conn) (*ipc.CertificateMade, error) {
	msg, err := conn.TryRecv()
	if err == ipc.ErrAgain {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	made := msg.Body.(*ipc.CertificateMade)
	switch {
	case made.Error != "":
		err = errors.New(made.Error)
	case len(made.PEM) == 0 || made.Fingerprint == "":
		err = errors.New("the process that makes it sent none")
	default:
		return made, nil
	}
	clear(made.PEM)
	return nil, err
}

// writeKeyFile puts a new file with a key in place, in one step: 0600 in a
// directory of the daemon's own. One that is there meanwhile stays.
func writeKeyFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return fmt.Errorf("directory %q: %w", dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
		return fmt.Errorf("directory %q: not a directory of the daemon's own", dir)
	}
	f, err := os.CreateTemp(dir, ".new-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
