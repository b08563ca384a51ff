package shm

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The test binary plays other processes: the variable names the part.
const childVar = "SHM_TEST_CHILD"

func TestMain(m *testing.M) {
	part, dir, _ := strings.Cut(os.Getenv(childVar), ":")
	if part == "" {
		os.Exit(m.Run())
	}
	go func() { // whoever started this part has ended: so does it
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	switch part {
	case "writer":
		childWriter(dir)
	case "page":
		childPage()
	case "readonly":
		childReadOnly(dir == "write")
	case "banner":
		childBanner(dir)
	case "delay":
		childDelay()
	case "holder":
		childHolder(dir)
	}
}

// child starts the test binary in a part and waits for its first line.
func child(t *testing.T, part string, files ...*os.File) (cmd *exec.Cmd, line string, rest io.Reader) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(exe)
	cmd.Env = append(os.Environ(), childVar+"="+part)
	cmd.ExtraFiles = files
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	if line, err = r.ReadString('\n'); err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		t.Fatalf("child %s: %v", part, err)
	}
	return cmd, strings.TrimSpace(line), r
}

func childFail(err error) {
	fmt.Println("failed:", err)
	os.Exit(1)
}

// childWriter updates eight slots of a board until it is killed.
func childWriter(dir string) {
	b, err := OpenBoard(dir, "test", 8)
	if err != nil {
		childFail(err)
	}
	var slots [8]Slot
	for i := range slots {
		if slots[i] = b.Find(uint64(i) + 1); slots[i] == NoSlot {
			slots[i] = b.Claim(patterned(uint64(i)+1, 0))
		}
	}
	for n := uint64(0); ; n++ {
		if n == 64 {
			fmt.Println("writing")
		}
		b.Add(Accepted, 1)
		for i, s := range slots {
			b.Update(s, patterned(uint64(i)+1, n))
		}
	}
}

// patterned is a record whose every field follows from n, so that a mixture of
// two is recognised.
func patterned(id, n uint64) Record {
	return Record{
		ID: id, PID: uint32(n), FilesPID: uint32(n), Since: int64(n), Login: int64(n),
		User: pattern(n, 128), Peer: pattern(n, 64), Local: pattern(n, 64),
		Host: pattern(n, 128), Class: pattern(n, 64), Protocol: pattern(n, 8),
		Stage: Stage(1 + n%3),
	}
}

func pattern(n uint64, most int) string {
	return strings.Repeat(string(rune('a'+n%26)), 1+int(n)%most)
}

// childPage writes its page until it is killed.
func childPage() {
	p, err := OpenPage(3)
	if err != nil {
		childFail(err)
	}
	for n := uint64(0); ; n++ {
		if n == 64 {
			fmt.Println("writing")
		}
		p.SetCommand(pattern(n, MaxVerb), []byte(pattern(n, MaxArg)))
	}
}

// childReadOnly tries to write what it has been given for reading.
func childReadOnly(write bool) {
	var st unix.Stat_t
	if err := unix.Fstat(3, &st); err != nil {
		childFail(err)
	}
	_, rw := unix.Mmap(3, 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	mem, err := unix.Mmap(3, 0, int(st.Size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		childFail(err)
	}
	protect := unix.Mprotect(mem, unix.PROT_READ|unix.PROT_WRITE)
	size := unix.Ftruncate(3, 0)
	fmt.Printf("map=%v mprotect=%v truncate=%v\n", unix.ErrnoName(errno(rw)), unix.ErrnoName(errno(protect)), unix.ErrnoName(errno(size)))
	if write {
		*(*uint64)(unsafe.Pointer(&mem[0])) = 1
		fmt.Println("written")
	}
	os.Exit(0)
}

func errno(err error) unix.Errno {
	e, _ := err.(unix.Errno)
	return e
}

// childHolder holds a board until its standard input ends.
func childHolder(dir string) {
	if _, err := CreateBoard(dir, "test", 8); err != nil {
		childFail(err)
	}
	fmt.Println("held")
	select {}
}

// childDelay writes four rows of the DelayTable until it is killed.
func childDelay() {
	t, err := MapDelay(3)
	if err != nil {
		childFail(err)
	}
	var slots [4]int
	for i := range slots {
		k := DelayKey{uint64(i) + 1, 7}
		var ok bool
		if slots[i], ok = t.Find(k); !ok {
			if slots[i], ok = t.Make(DelayHead{Key: k}); !ok {
				childFail(fmt.Errorf("no room"))
			}
		}
	}
	for n := int64(0); ; n++ {
		if n == 64 {
			fmt.Println("writing")
		}
		for i, s := range slots {
			t.Put(s, delayPattern(uint64(i)+1, n), int(n%delaySamples), n)
		}
	}
}

// delayPattern is a head whose every field follows from n.
func delayPattern(id uint64, n int64) DelayHead {
	return DelayHead{
		Key: DelayKey{id, 7}, Step: uint8(n), Count: delaySamples, Next: int(n % delaySamples),
		Deadline: n, Floor: n, Print: uint64(n),
	}
}
