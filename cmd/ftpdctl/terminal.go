package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// maxPassword bounds what is read as a password, in bytes.
const maxPassword = 1024

// readPassword reads the first line of in, byte by byte so that nothing after
// it is taken.
func readPassword(in io.Reader) ([]byte, error) {
	var line []byte
	for b := make([]byte, 1); ; {
		n, err := in.Read(b)
		if n == 1 {
			if b[0] == '\n' {
				break
			}
			if line = append(line, b[0]); len(line) > maxPassword {
				return nil, fmt.Errorf("the password is longer than %d bytes", maxPassword)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the password: %w", err)
		}
	}
	if line = bytes.TrimSuffix(line, []byte("\r")); len(line) == 0 {
		return nil, errors.New("no password given")
	}
	return line, nil
}

// askPassword asks twice on the terminal, without echo.
func askPassword(name string, prompt io.Writer) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, errors.New("no terminal to ask for a password: use --stdin")
	}
	defer tty.Close()
	first, err := ask(tty, prompt, "Password for "+name+": ")
	if err != nil {
		return nil, err
	}
	second, err := ask(tty, prompt, "Again: ")
	if err != nil {
		return nil, err
	}
	defer clear(second)
	if !bytes.Equal(first, second) {
		clear(first)
		return nil, errors.New("the two passwords differ")
	}
	return first, nil
}

// ask reads a line with echo off; an interrupt restores the terminal first.
func ask(tty *os.File, prompt io.Writer, question string) ([]byte, error) {
	fd := int(tty.Fd())
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("terminal settings: %w", err)
	}
	silent := *old
	silent.Lflag &^= unix.ECHO
	silent.Lflag |= unix.ICANON | unix.ISIG
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer signal.Stop(stop)
	if err := unix.IoctlSetTermios(fd, unix.TCSETSF, &silent); err != nil {
		return nil, fmt.Errorf("switch echo off: %w", err)
	}
	restore := func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, old); fmt.Fprintln(prompt) }
	fmt.Fprint(prompt, question)
	type answer struct {
		line []byte
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		line, err := readPassword(tty)
		got <- answer{line, err}
	}()
	defer restore()
	select {
	case a := <-got:
		return a.line, a.err
	case <-stop:
		return nil, errors.New("interrupted")
	}
}
