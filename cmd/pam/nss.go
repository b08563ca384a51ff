//go:build cgo

package main

/*
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/types.h>

// The errno of the reentrant calls is their result.
static int by_name(const char *name, struct passwd *pw, char *buf, size_t n, int *known) {
	struct passwd *p = NULL;
	int e = getpwnam_r(name, pw, buf, n, &p);
	*known = p != NULL;
	return e;
}

static int by_gid(gid_t gid, struct group *gr, char *buf, size_t n, int *known) {
	struct group *p = NULL;
	int e = getgrgid_r(gid, gr, buf, n, &p);
	*known = p != NULL;
	return e;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"sallyport/ipc"
)

// Sizes of libc's buffers: the first try, and where it gives up.
const (
	firstBuffer = 4 << 10
	lastBuffer  = 1 << 20
)

// lookup fills in what libc's name services know of the user: files, sssd,
// LDAP, whatever nsswitch.conf names. A user they do not know leaves Known
// false; a service that does not answer is an error.
func lookup(r *ipc.PamReply) error {
	name := C.CString(r.User)
	defer C.free(unsafe.Pointer(name))
	var pw C.struct_passwd
	known, free, err := grow(func(buf *C.char, n C.size_t, known *C.int) C.int {
		return C.by_name(name, &pw, buf, n, known)
	})
	defer free()
	if err != nil {
		return fmt.Errorf("look-up of the user: %w", err)
	}
	if !known {
		return nil
	}
	r.Known = true
	r.UID, r.GID = uint32(pw.pw_uid), uint32(pw.pw_gid)
	r.Home, r.Shell = C.GoString(pw.pw_dir), C.GoString(pw.pw_shell)
	if r.Shell == "" {
		r.Shell = "/bin/sh" // passwd(5)
	}
	return groups(r, name)
}

// groups fills in the supplementary groups, the primary one left out, and the
// names of all, primary first.
func groups(r *ipc.PamReply, name *C.char) error {
	ids := make([]C.gid_t, maxGroups+1)
	n := C.int(len(ids))
	if C.getgrouplist(name, C.gid_t(r.GID), &ids[0], &n) < 0 {
		return fmt.Errorf("member of more than %d groups", maxGroups)
	}
	all := []C.gid_t{C.gid_t(r.GID)}
	for _, g := range ids[:n] {
		if uint32(g) != r.GID {
			all = append(all, g)
			r.Groups = append(r.Groups, uint32(g))
		}
	}
	for _, g := range all {
		name, err := groupName(g)
		if err != nil {
			return fmt.Errorf("look-up of gid %d: %w", g, err)
		}
		if name != "" {
			r.GroupNames = append(r.GroupNames, name)
		}
	}
	return nil
}

func groupName(gid C.gid_t) (string, error) {
	var gr C.struct_group
	known, free, err := grow(func(buf *C.char, n C.size_t, known *C.int) C.int {
		return C.by_gid(gid, &gr, buf, n, known)
	})
	defer free()
	if err != nil || !known {
		return "", err
	}
	return C.GoString(gr.gr_name), nil
}

// grow calls one of libc's reentrant look-ups with a buffer that grows until
// the entry fits. What it found lives in the buffer until free.
func grow(call func(*C.char, C.size_t, *C.int) C.int) (known bool, free func(), err error) {
	for n := C.size_t(firstBuffer); n <= lastBuffer; n *= 4 {
		buf := (*C.char)(C.malloc(n))
		var k C.int
		switch e := syscall.Errno(call(buf, n, &k)); e {
		case 0, syscall.ENOENT, syscall.ESRCH: // "not found" by other names
			return k != 0, func() { C.free(unsafe.Pointer(buf)) }, nil
		case syscall.ERANGE:
			C.free(unsafe.Pointer(buf))
		case syscall.EINTR:
			C.free(unsafe.Pointer(buf))
			n /= 4
		default:
			C.free(unsafe.Pointer(buf))
			return false, func() {}, e
		}
	}
	return false, func() {}, errors.New("entry too large")
}
