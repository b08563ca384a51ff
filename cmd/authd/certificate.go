package main

import (
	"errors"
	"io"
	"time"

	"sallyport/internal/keys"
	"sallyport/ipc"
)

// serveCertificate is the process that makes one key and certificate and ends.
// It has no file and no client; master writes what it sends.
func serveCertificate(fd int) error {
	c := ipc.New(fd, ipc.MasterCertificate, ipc.Certificate)
	defer c.Close()
	m, err := c.Recv()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	reply := ipc.CertificateMade{}
	reply.PEM, reply.Fingerprint, err = keys.Make(m.Body.(*ipc.MakeCertificate).Names, time.Now())
	if err != nil {
		reply.Error = cut(err.Error(), 256)
	}
	defer clear(reply.PEM)
	return c.Send(&reply)
}
