package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/control"
	"sallyport/internal/logging"
	"sallyport/internal/policy"
)

// serving is the command beside a healthy daemon, and what it prints.
func serving(t *testing.T) (*app, *bytes.Buffer) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ftpdctl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	sink, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	log, err := logging.New(logging.Options{Format: logging.FormatText, Output: sink})
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	s, err := control.Serve(control.Options{
		Control: policy.Control{Engine: true, Socket: socket}, Backend: &daemon{state: "healthy"}, Version: "9.9", Log: log.Logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); log.Close(10 * time.Second); sink.Close() })
	var out bytes.Buffer
	return &app{out: &out, err: &out, socket: socket}, &out
}
