package home

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// swapper is somebody who may write in the directory that holds the homes: as
// soon as a home is begun there he moves it aside and puts a neighbour's in its
// place. It returns where that is now, "" if he came too late.
func swapper(t *testing.T, dir, neighbour string, stop <-chan struct{}) <-chan string {
	t.Helper()
	there := make(chan string, 1)
	go func() {
		defer close(there)
		for {
			select {
			case <-stop:
				return
			default:
			}
			l, err := os.ReadDir(dir)
			if err != nil {
				t.Error(err)
				return
			}
			for _, e := range l {
				if p := dir + "/" + e.Name(); strings.HasPrefix(e.Name(), ".sallyport-") &&
					unix.Rename(p, dir+"/aside") == nil && unix.Rename(neighbour, p) == nil {
					there <- p
					return
				}
			}
		}
	}()
	return there
}

// TestANeighboursHomeIsNotTakenForTheOneBegun: in a directory that a team may
// write a member renames what lies in it. Whatever stands where the home was
// begun, it is neither given away nor taken back.
func TestANeighboursHomeIsNotTakenForTheOneBegun(t *testing.T) {
	uid, gid := ids(t)
	top := place(t)
	team := top + "/team"
	must(t, os.Mkdir(team, 0o775))
	must(t, unix.Chmod(team, 0o2775))
	must(t, os.Mkdir(top+"/skel", 0o755))
	must(t, os.WriteFile(top+"/skel/f", nil, 0o644))
	must(t, os.Truncate(top+"/skel/f", maxBytes+1)) // long to copy, and in the end too much
	must(t, os.Mkdir(team+"/bob", 0o700))
	must(t, os.WriteFile(team+"/bob/letter", []byte("dear"), 0o600))
	must(t, os.Chown(team+"/bob", 12345, 12345))
	must(t, unix.Chmod(team+"/bob", 0o700))
	swapped := false
	for range 200 { // the first one, as a rule
		stop := make(chan struct{})
		there := swapper(t, team, team+"/bob", stop)
		created, err := Make(Request{Path: team + "/mallory", UID: uid, GID: gid, Mode: 0o700, DirMode: 0o711, Skeleton: top + "/skel"})
		close(stop)
		if created || err == nil {
			t.Fatal(created, err)
		}
		if at := <-there; at != "" {
			swapped = true
			if err := unix.Rename(at, team+"/bob"); err != nil {
				t.Fatal("the neighbour's home: ", err)
			}
		}
		if b, err := os.ReadFile(team + "/bob/letter"); err != nil || string(b) != "dear" {
			t.Fatalf("the neighbour's letter: %q, %v", b, err)
		}
		if got := facts(t, team+"/bob"); got != [3]uint32{unix.S_IFDIR | 0o700, 12345, 12345} {
			t.Fatalf("the neighbour's home: %o %d:%d", got[0], got[1], got[2])
		}
		_ = os.RemoveAll(team + "/aside")
		if swapped {
			return
		}
	}
	t.Error("never swapped: the race proves nothing")
}

// TestOnlyAFreshDirectoryIsBuiltIn: what stands in the place of the one just made
// is neither filled nor given away.
func TestOnlyAFreshDirectoryIsBuiltIn(t *testing.T) {
	ids(t)
	top := place(t)
	for _, name := range []string{"fresh", "foreign", "open", "full"} {
		must(t, os.Mkdir(top+"/"+name, 0o700))
	}
	must(t, os.Chown(top+"/foreign", 12345, 12345))
	must(t, unix.Chmod(top+"/open", 0o711))
	must(t, os.Mkdir(top+"/full/bob", 0o700))
	must(t, os.Symlink("fresh", top+"/link"))
	at, err := openPath(unix.AT_FDCWD, top)
	must(t, err)
	defer unix.Close(at)
	for _, name := range []string{"foreign", "open", "full", "link"} {
		if fd, err := openFresh(at, name); err == nil {
			t.Errorf("%s is taken for a fresh one", name)
			unix.Close(fd)
		}
	}
	fd, err := openFresh(at, "fresh")
	must(t, err)
	unix.Close(fd)
}
