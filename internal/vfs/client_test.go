package vfs

import (
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// answering returns a client whose peer answers each request with the next of
// the replies; descriptors go with those that want one.
func answering(t *testing.T, replies ...any) *Client {
	t.Helper()
	a, b, err := ipc.Pair()
	if err != nil {
		t.Fatal(err)
	}
	files := ipc.New(b, ipc.SessionFiles, ipc.Files)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer files.Close()
		for _, r := range replies {
			if _, err := files.Recv(); err != nil {
				return
			}
			fds := []int{}
			if o, ok := r.(ipc.OpenReply); ok && o.Size == 42 {
				fds = append(fds, 0)
			}
			if files.Send(r, fds...) != nil {
				return
			}
		}
	}()
	c := NewClient(ipc.New(a, ipc.SessionFiles, ipc.Session))
	t.Cleanup(func() { c.Close(); <-done })
	return c
}

func TestAnOpenWithoutADescriptorIsABreach(t *testing.T) {
	c := answering(t, ipc.OpenReply{}, ipc.OpenReply{Size: 42})
	if o, err := c.OpenRead("/a", 0); !Broken(err) || o.FD != -1 {
		t.Errorf("%+v %v", o, err)
	}
	o, err := c.OpenRead("/d/a", 0)
	if err != nil || o.Name != "a" {
		t.Fatalf("%+v %v", o, err)
	}
	unix.Close(o.FD)
}

func TestADescriptorThatComesWithARefusalIsClosed(t *testing.T) {
	c := answering(t, ipc.OpenReply{Size: 42, Errno: uint32(unix.EACCES)})
	o, err := c.OpenRead("/a", 0)
	if o.FD != -1 || !errors.Is(err, unix.EACCES) || Broken(err) {
		t.Fatalf("%+v %v", o, err)
	}
}

func TestTheEndOfTheChannelIsBroken(t *testing.T) {
	c := answering(t)
	if _, err := c.Stat("/", true); !Broken(err) {
		t.Fatal(err)
	}
}

func TestTheWrongAnswerIsBroken(t *testing.T) {
	c := answering(t, ipc.PathReply{})
	if _, err := c.Stat("/", true); !Broken(err) {
		t.Fatal(err)
	}
}

func TestListingYieldsBatchesToTheEnd(t *testing.T) {
	c := answering(t,
		ipc.ListBatch{Lines: []byte("a\r\n"), Count: 1, More: true}, ipc.ListBatch{More: true}, ipc.ListBatch{Lines: []byte("b\r\n"), Count: 1},
		ipc.ListBatch{}, ipc.ListBatch{Lines: []byte("c\r\n"), Count: 1, More: true}, ipc.ListBatch{}, ipc.ListBatch{More: true}, ipc.ListBatch{Errno: uint32(unix.EIO)})
	l, err := c.List(ipc.List{Path: "/"})
	if err != nil || l.Empty() {
		t.Fatal(err)
	}
	var all []byte
	for {
		b, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	if string(all) != "a\r\nb\r\n" {
		t.Fatalf("%q", all)
	}
	if l, err = c.List(ipc.List{Path: "/"}); err != nil || !l.Empty() {
		t.Fatal(err)
	}
	if _, err := l.Next(); err != io.EOF {
		t.Fatal(err)
	}
	if l, err = c.List(ipc.List{Path: "/"}); err != nil || l.Close() != nil || l.Close() != nil {
		t.Fatal(err)
	}
	if _, err := l.Next(); err != io.EOF {
		t.Fatalf("after Close: %v", err)
	}
	if l, err = c.List(ipc.List{Path: "/"}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Next(); !errors.Is(err, unix.EIO) {
		t.Fatalf("an error in the middle: %v", err)
	}
	if _, err := l.Next(); err != io.EOF {
		t.Fatalf("after an error: %v", err)
	}
}

// A listing asks for its next batch before that is wanted; calls in between
// still get their own answers, and nothing is lost.
func TestCallsBetweenTheBatchesOfAListing(t *testing.T) {
	more := ipc.ListBatch{Lines: []byte("a\r\n"), Count: 1, More: true}
	c := answering(t, more, ipc.ListBatch{Lines: []byte("b\r\n"), Count: 1}, ipc.StatReply{Info: Info{Size: 7}},
		more, more, ipc.ListBatch{}, ipc.StatReply{Info: Info{Size: 8}},
		more, ipc.PathReply{})
	l, err := c.List(ipc.List{Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := l.Next(); string(b) != "a\r\n" || err != nil {
		t.Fatalf("%q %v", b, err)
	}
	if i, err := c.Stat("/", true); i.Size != 7 || err != nil {
		t.Fatal(i, err)
	}
	if b, err := l.Next(); string(b) != "b\r\n" || err != nil {
		t.Fatalf("%q %v", b, err)
	}
	if _, err := l.Next(); err != io.EOF {
		t.Fatal(err)
	}
	if l, err = c.List(ipc.List{Path: "/"}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Next(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if i, err := c.Stat("/", true); i.Size != 8 || err != nil {
		t.Fatal(i, err)
	}
	if l, err = c.List(ipc.List{Path: "/"}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Stat("/", true); !Broken(err) {
		t.Fatalf("another answer than a batch: %v", err)
	}
	if _, err := l.Next(); !Broken(err) {
		t.Fatalf("and then: %v", err)
	}
}

// What no message can carry is an answer, not the end of the session.
func TestArgumentsTooLongAreAnswered(t *testing.T) {
	c := answering(t)
	long := strings.Repeat("x", 5000)
	if err := c.SetMode("/f", 0, long); !errors.Is(err, unix.EINVAL) {
		t.Error(err)
	}
	if err := c.SetGroup("/f", long); Refused(err) != ipc.DeniedMember {
		t.Error(err)
	}
	if err := c.Symlink(long, "/l"); !errors.Is(err, unix.ENAMETOOLONG) {
		t.Error(err)
	}
}

// Every change says which object it was about, and refusals read as such.
func TestChangesAreAnswered(t *testing.T) {
	denied := ipc.PathReply{Denied: ipc.DeniedMember}
	c := answering(t, ipc.PathReply{}, denied, ipc.PathReply{Errno: uint32(unix.EAGAIN)}, ipc.FinishReply{Denied: ipc.DeniedSize, Removed: true},
		ipc.FinishReply{Errno: uint32(unix.EDQUOT)}, ipc.SpaceReply{Free: 5, Total: 7})
	if err := c.SetMode("/f", 0o644, ""); err != nil {
		t.Error(err)
	}
	if err := c.SetGroup("/f", "g"); Refused(err) != ipc.DeniedMember || Text(err) != "Operation not permitted" {
		t.Error(err)
	}
	if err := c.Copy("/f", "/g"); !errors.Is(err, unix.EAGAIN) || Broken(err) {
		t.Error(err)
	}
	if err := c.Finish("/f", 1, true); Refused(err) != ipc.DeniedSize || Text(err) != "File too large" {
		t.Error(err)
	}
	if err := c.Finish("/f", 2, true); !errors.Is(err, unix.EDQUOT) {
		t.Error(err)
	}
	if free, total, err := c.Space("/"); free != 5 || total != 7 || err != nil {
		t.Error(free, total, err)
	}
}
