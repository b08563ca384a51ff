package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/internal/sandbox"
	"sallyport/internal/vfs"
	"sallyport/ipc"
	"sallyport/ipc/blob"
)

// libexec is a directory with the real program, built once.
var libexec string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	top, err := os.MkdirTemp("", "sallyport-files")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(top)
	if err := os.Chmod(top, 0o755); err != nil {
		panic(err)
	}
	libexec = top
	build := exec.Command("go", "build", "-o", filepath.Join(top, "files"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s", out)
		return 1
	}
	if err := os.Chmod(filepath.Join(top, "files"), 0o711); err != nil {
		panic(err)
	}
	return m.Run()
}

// process is a files process of the test.
type process struct {
	child   sandbox.Child
	master  *ipc.Conn
	names   *ipc.Conn
	session *ipc.Conn
	client  *vfs.Client
}

const testUID, testGID = 54321, 54322

func rules() policy.Files {
	return policy.Files{
		Umask: 0o027, DirUmask: 0o022, AllowOverwrite: true, AllowStoreRestart: true, AllowRetrieveRestart: true,
		StoreUniquePrefix: "ftp", ShowSymlinks: true, TimesGMT: true, UseGlobbing: true,
	}
}

// start starts the program as master does, under the test identity where the
// test is root and under its own otherwise.
func start(t *testing.T, mode sandbox.Mode) *process {
	t.Helper()
	return startWith(t, mode, func(*policy.Files) {})
}

func startWith(t *testing.T, mode sandbox.Mode, change func(*policy.Files)) *process {
	t.Helper()
	starter, err := sandbox.NewStarter(sandbox.ForWorkers)
	if err != nil {
		t.Fatal(err)
	}
	defer starter.Close()
	dir, err := unix.Open(libexec, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dir)
	r := rules()
	change(&r)
	view, err := blob.Seal("view", r)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(view)
	var ours, theirs [3]int
	for i := range ours {
		if ours[i], theirs[i], err = ipc.Pair(); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(theirs[i])
	}
	c, err := starter.Start(sandbox.Spec{
		Dir: dir, Name: "files", Mode: mode, Env: sandbox.WorkerEnv(64), Files: []int{theirs[0], theirs[1], theirs[2], view},
		Identity: os.Getuid() == 0, UID: testUID, GID: testGID, Groups: []uint32{testGID},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &process{
		child: c, master: ipc.New(ours[0], ipc.MasterFiles, ipc.Master),
		session: ipc.New(ours[1], ipc.SessionFiles, ipc.Session), names: ipc.New(ours[2], ipc.FilesAuthd, ipc.Authd),
	}
	for _, c := range []*ipc.Conn{p.master, p.session, p.names} {
		if err := c.SetTimeout(20 * time.Second); err != nil {
			t.Fatal(err)
		}
	}
	p.client = vfs.NewClient(p.session)
	t.Cleanup(func() {
		p.session.Close()
		p.master.Close()
		p.names.Close()
		c.Close()
	})
	return p
}

// end waits for the process.
func (p *process) end(t *testing.T, code int) {
	t.Helper()
	e, err := p.child.Wait()
	if err != nil || e.Code != code || e.Signal != 0 {
		t.Errorf("files ended with %v, %v", e, err)
	}
}

// enter orders the process into its place and returns its answer.
func (p *process) enter(t *testing.T, root, home string) *ipc.FilesReady {
	t.Helper()
	r, _, err := ipc.Call[ipc.FilesReady](p.master, ipc.FilesStart{Session: 1, User: "test", Root: root, Home: home, Sandbox: "enforce"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// home makes a directory that belongs to the user of the process, beside one
// that does not.
func home(t *testing.T) (dir, foreign string) {
	t.Helper()
	top, err := os.MkdirTemp("", "sallyport-home")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	dir, foreign = top+"/home", top+"/foreign"
	for _, d := range []string{dir, foreign} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(d+"/f", []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		for _, n := range []string{dir, dir + "/f"} {
			if err := os.Chown(n, testUID, testGID); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir, foreign
}

// The whole life, with the sandbox as it is in earnest: every operation works
// under seccomp and landlock.
func TestServesUnderTheSandbox(t *testing.T) {
	dir, foreign := home(t)
	if err := os.Symlink(foreign+"/f", dir+"/out"); err != nil {
		t.Fatal(err)
	}
	p := start(t, sandbox.Enforce)
	r := p.enter(t, dir, dir)
	if r.Home != "/" || !strings.HasPrefix(r.Note, "sandbox enforce") {
		t.Errorf("%+v", r)
	}
	c := p.client
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	o, err := c.OpenRead("/f", 0)
	check("RETR", err)
	unix.Close(o.FD)
	check("MKD", c.Mkdir("/d"))
	check("MKD", c.Mkdir("/d/e"))
	for _, how := range []uint8{ipc.WriteStore, ipc.WriteStore, ipc.WriteAppend, ipc.WriteResume} {
		o, err := c.OpenWrite("/d/new", how, 0)
		check("STOR", err)
		if _, err := unix.Write(o.FD, []byte("x")); err != nil {
			t.Error(err)
		}
		if how != ipc.WriteAppend {
			check("truncate", unix.Ftruncate(o.FD, 1))
		}
		unix.Close(o.FD)
	}
	o, err = c.OpenWrite("/d", ipc.WriteUnique, 0)
	check("STOU", err)
	unix.Close(o.FD)
	check("DELE", c.Remove("/d/"+o.Name))
	check("rename to another directory", c.Rename("/d/new", "/d/e/moved"))
	check("rename a directory", c.Rename("/d/e", "/g"))
	check("rename a link", c.Rename("/out", "/d/out"))
	_, err = c.ChangeDir("/g")
	check("CWD", err)
	i, err := c.Stat("/g/moved", true)
	check("SIZE", err)
	if i.Mode != unix.S_IFREG|0o640 || i.Size != 1 || os.Getuid() == 0 && (i.UID != testUID || i.GID != testGID) {
		t.Errorf("%+v", i)
	}
	if _, err := c.Stat("/d/out", true); err == nil {
		t.Error("a link led out")
	}
	check("RMD", func() error { check("DELE", c.Remove("/g/moved")); return c.Rmdir("/g") }())

	named := make(chan struct{})
	go func() { // authd, for the listings that need names
		defer close(named)
		for {
			m, err := p.names.Recv()
			if err != nil {
				return
			}
			if g, ok := m.Body.(*ipc.IDsRequest); ok {
				if p.names.Send(ipc.IDsReply{GIDs: []int64{int64(ownGID())}}) != nil || len(g.Groups) != 1 {
					return
				}
				continue
			}
			q := m.Body.(*ipc.NamesRequest)
			if p.names.Send(ipc.NamesReply{Users: make([]string, len(q.UIDs)), Groups: make([]string, len(q.GIDs))}) != nil {
				return
			}
		}
	}()
	for form := range ipc.FormMLST + 1 {
		l, err := c.List(ipc.List{Path: "/", Form: form, Options: "aRtF", Facts: ipc.AllFacts})
		check(fmt.Sprintf("listing of form %d", form), err)
		if err != nil {
			continue
		}
		if b, err := l.Next(); err != nil || len(b) == 0 {
			t.Errorf("form %d: %q %v", form, b, err)
		}
	}
	l, err := c.List(ipc.List{Path: "/*", Shown: "*", Options: "t"})
	check("pattern", err)
	if b, err := l.Next(); err != nil || !strings.Contains(string(b), " f\r\n") {
		t.Errorf("%q %v", b, err)
	}
	check("chmod", c.SetMode("/d", 0o2750, ""))
	check("chmod", c.SetMode("/f", 0, "u=rw,go="))
	check("chgrp", c.SetGroup("/f", "own"))
	want := vfs.Refused(c.SetGroup("/f", "1"))
	if want != ipc.DeniedMember {
		t.Errorf("chgrp to a foreign group: %d", want)
	}
	check("utime", c.SetTimes("/f", 1, 2))
	check("mfmt", c.SetModified("/d", 3))
	check("symlink", c.Symlink("f", "/s"))
	check("mkdir -p", c.MakeTree("/x/y/z"))
	check("copy", c.Copy("/f", "/x/copy"))
	check("rm -r", c.RemoveTree("/x"))
	_, _, err = c.Space("/")
	check("space", err)
	o, err = c.OpenDigest("/f", 0)
	check("digest", err)
	unix.Close(o.FD)
	p.session.Close()
	p.end(t, 0)
	<-named
}

// ownGID is the group of the process.
func ownGID() uint32 {
	if os.Getuid() == 0 {
		return testGID
	}
	return uint32(os.Getgid())
}

// Uploads are settled in the process, also when the session ends without a word;
// the limits are master's.
func TestSettlesUploads(t *testing.T) {
	dir, _ := home(t)
	p := startWith(t, sandbox.Enforce, func(r *policy.Files) {
		r.HiddenStores = policy.HiddenStores{Engine: true, Prefix: ".in.%P.", Suffix: "."}
		r.FSync = true
	})
	if _, _, err := ipc.Call[ipc.FilesReady](p.master, ipc.FilesStart{Session: 1, User: "test", Root: dir, Home: dir, MaxStore: 4, MaxRetrieve: 8}); err != nil {
		t.Fatal(err)
	}
	store := func(name, text string) vfs.Opened {
		t.Helper()
		o, err := p.client.OpenWrite(name, ipc.WriteStore, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(o.FD, []byte(text)); err != nil {
			t.Fatal(err)
		}
		unix.Close(o.FD)
		return o
	}
	if err := p.client.Finish("/new", store("/new", "1234").Upload, true); err != nil {
		t.Error(err)
	}
	if err := p.client.Finish("/long", store("/long", "12345").Upload, true); vfs.Refused(err) != ipc.DeniedSize {
		t.Error(err)
	}
	if _, err := p.client.OpenRead("/f", 0); err != nil { // "content" has 7 bytes
		t.Error(err)
	}
	if err := os.WriteFile(dir+"/new", []byte("123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.client.OpenRead("/new", 0); vfs.Refused(err) != ipc.DeniedSize {
		t.Error(err)
	}
	store("/left", "1")
	if l, err := os.ReadDir(dir); err != nil || len(l) != 3 || !strings.HasPrefix(l[0].Name(), fmt.Sprintf(".in.%d.left", p.child.PID)) {
		t.Errorf("%v %v", l, err)
	}
	p.session.Close()
	p.end(t, 0)
	if l, err := os.ReadDir(dir); err != nil || len(l) != 2 {
		t.Errorf("left behind: %v %v", l, err)
	}
}

// A root by somebody's link is refused unless it is allowed.
func TestRootLinks(t *testing.T) {
	dir, _ := home(t)
	link := dir + "-link"
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Lchown(link, testUID, testGID); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, sandbox.Enforce)
	r, _, err := ipc.Call[ipc.FilesRefused](p.master, ipc.FilesStart{Root: link, Home: dir})
	if err != nil || !strings.Contains(r.Reason, "symbolic link") {
		t.Errorf("%+v %v", r, err)
	}
	p.end(t, 0)
	for _, x := range []struct{ order, view bool }{{true, false}, {false, true}} {
		p := startWith(t, sandbox.Enforce, func(r *policy.Files) { r.AllowRootSymlinks = x.view })
		if r, _, err := ipc.Call[ipc.FilesReady](p.master, ipc.FilesStart{Root: link, Home: dir, LinksInRoot: x.order}); err != nil || r.Home != "/" {
			t.Errorf("%+v: %+v %v", x, r, err)
		}
	}
}

// A user sees what the user's identity may see, whatever the root is.
func TestSeesOnlyTheUsersFiles(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs a second identity")
	}
	dir, foreign := home(t)
	p := start(t, sandbox.Enforce)
	if r := p.enter(t, "/", dir); r.Home != dir {
		t.Errorf("%+v", r)
	}
	if o, err := p.client.OpenRead(dir+"/f", 0); err != nil {
		t.Error(err)
	} else {
		unix.Close(o.FD)
	}
	for what, err := range map[string]error{
		"read":   second(p.client.OpenRead(foreign+"/f", 0)),
		"write":  second(p.client.OpenWrite(foreign+"/new", ipc.WriteStore, 0)),
		"enter":  second(p.client.ChangeDir(foreign)),
		"list":   second(p.client.List(ipc.List{Path: foreign})),
		"shadow": second(p.client.OpenRead("/etc/shadow", 0)),
		"proc":   second(p.client.OpenRead("/proc/version", 0)),
		"mkdir":  p.client.Mkdir("/etc/sallyport-test"),
	} {
		if vfs.Text(err) != "Permission denied" || vfs.Broken(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestRefusesARootThatIsNoPlace(t *testing.T) {
	dir, foreign := home(t)
	roots := map[string]string{dir + "/no": "no such file", dir + "/f": "not a directory", "/proc": "interface of the kernel"}
	if os.Getuid() == 0 {
		roots[foreign] = "permission denied"
	}
	for root, why := range roots {
		p := start(t, sandbox.Enforce)
		r, _, err := ipc.Call[ipc.FilesRefused](p.master, ipc.FilesStart{Root: root, Home: dir})
		if err != nil || !strings.Contains(r.Reason, why) {
			t.Errorf("%s: %+v %v", root, r, err)
		}
		p.end(t, 0)
	}
}

// files leaves when master is gone, though the session lives, and when the
// session breaks the dialogue.
func TestLeavesWithMasterAndAfterABreach(t *testing.T) {
	dir, _ := home(t)
	p := start(t, sandbox.Enforce)
	p.enter(t, dir, dir)
	p.master.Close()
	p.end(t, 0)

	p = start(t, sandbox.Enforce)
	p.enter(t, dir, dir)
	if _, err := unix.SendmsgN(p.session.FD(), []byte("no message"), nil, nil, 0); err != nil {
		t.Fatal(err)
	}
	p.end(t, 70)

	p = start(t, sandbox.Enforce)
	p.master.Close() // before the order
	p.end(t, 70)
}

// authd that is gone, or never answers, costs the names and nothing else.
func TestListsWithoutAuthd(t *testing.T) {
	dir, _ := home(t)
	p := start(t, sandbox.Enforce)
	p.enter(t, dir, dir)
	p.names.Close()
	for range 2 {
		l, err := p.client.List(ipc.List{Path: "/"})
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.Next()
		if err != nil || !strings.Contains(string(b), fmt.Sprintf(" %-8d ", uid())) {
			t.Errorf("%q %v", b, err)
		}
	}
}

func uid() int {
	if os.Getuid() == 0 {
		return testUID
	}
	return os.Getuid()
}

// The identity and the sandbox are as promised on every thread.
func TestStatusOfTheProcess(t *testing.T) {
	dir, _ := home(t)
	p := start(t, sandbox.Enforce)
	p.enter(t, dir, dir)
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.child.PID))
	if err != nil || len(tasks) == 0 {
		t.Fatal(tasks, err)
	}
	for _, f := range tasks {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"NoNewPrivs:\t1\n", "Seccomp:\t2\n", "CapEff:\t0000000000000000\n", "CapPrm:\t0000000000000000\n"}
		if os.Getuid() == 0 {
			want = append(want, "CapBnd:\t0000000000000000\n", fmt.Sprintf("Uid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n", testUID), fmt.Sprintf("Gid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n", testGID), fmt.Sprintf("Groups:\t%d \n", testGID))
		}
		for _, w := range want {
			if !strings.Contains(string(b), w) {
				t.Errorf("%s lacks %q", f, w)
			}
		}
	}
}
