//go:build cgo

package main

/*
#cgo LDFLAGS: -lpam
#include <security/pam_appl.h>
#include <stdlib.h>
#include <string.h>

// What a conversation may answer with. It lies in C memory: libpam keeps the
// pointer.
struct talk {
	char *user;
	char *secret;
	int prompts;
};

enum { MAX_PROMPTS = 16 };

static void wipe(char *s) {
	if (s != NULL) {
		explicit_bzero(s, strlen(s));
	}
}

static void release(struct pam_response *r, int n) {
	for (int i = 0; i < n; i++) {
		wipe(r[i].resp);
		free(r[i].resp);
	}
	free(r);
}

// converse answers every hidden prompt with the password, every shown one with
// the user name, and listens politely to all else.
static int converse(int n, const struct pam_message **msg, struct pam_response **out, void *data) {
	struct talk *t = data;
	if (n <= 0 || n > PAM_MAX_NUM_MSG) {
		return PAM_CONV_ERR;
	}
	struct pam_response *r = calloc(n, sizeof *r);
	if (r == NULL) {
		return PAM_BUF_ERR;
	}
	for (int i = 0; i < n; i++) {
		const char *answer = NULL;
		switch (msg[i]->msg_style) {
		case PAM_PROMPT_ECHO_OFF: answer = t->secret; break;
		case PAM_PROMPT_ECHO_ON: answer = t->user; break;
		case PAM_ERROR_MSG:
		case PAM_TEXT_INFO: continue;
		default: release(r, n); return PAM_CONV_ERR;
		}
		if (answer == NULL || ++t->prompts > MAX_PROMPTS) {
			release(r, n);
			return PAM_CONV_ERR;
		}
		if ((r[i].resp = strdup(answer)) == NULL) {
			release(r, n);
			return PAM_BUF_ERR;
		}
	}
	*out = r;
	return PAM_SUCCESS;
}

// A failure waits for nobody here: when an answer leaves is authd's to choose.
static void no_delay(int status, unsigned usec, void *data) {
	(void)status; (void)usec; (void)data;
}

static int begin(const char *service, struct talk *t, pam_handle_t **h) {
	struct pam_conv conv = { converse, t }; // libpam copies it
	int code = pam_start(service, t->user, &conv, h);
	if (code == PAM_SUCCESS) {
		code = pam_set_item(*h, PAM_FAIL_DELAY, (const void *)no_delay);
	}
	return code;
}

static const char *user_of(pam_handle_t *h) {
	const void *p = NULL;
	return pam_get_item(h, PAM_USER, &p) == PAM_SUCCESS ? p : NULL;
}
*/
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"

	"sallyport/ipc"
)

// handle is one PAM transaction. It is used on one thread.
type handle struct {
	h           *C.pam_handle_t
	talk        *C.struct_talk
	last        C.int
	credentials bool // setcred(ESTABLISH) was done
	sessionOpen bool
}

// start opens a transaction with its items.
func start(r *ipc.PamRequest) (*handle, error) {
	if bytes.IndexByte(r.Secret, 0) >= 0 {
		r.Secret = append(r.Secret[:0], "\x7f not a password \x7f"...) // C would compare what is before the NUL
	}
	h := &handle{talk: (*C.struct_talk)(C.calloc(1, C.sizeof_struct_talk))}
	if h.talk == nil {
		return nil, errors.New("out of memory")
	}
	h.talk.user = C.CString(r.User)
	h.talk.secret = (*C.char)(C.calloc(1, C.size_t(len(r.Secret)+1)))
	copy(unsafe.Slice((*byte)(unsafe.Pointer(h.talk.secret)), len(r.Secret)), r.Secret)
	service := C.CString(r.Service)
	defer C.free(unsafe.Pointer(service))
	if h.last = C.begin(service, h.talk, &h.h); h.last != C.PAM_SUCCESS {
		defer h.end()
		return nil, fmt.Errorf("start of PAM service %s: code %d", r.Service, h.last)
	}
	for _, item := range []struct {
		kind  C.int
		value string
	}{{C.PAM_RUSER, r.User}, {C.PAM_RHOST, r.RHost}, {C.PAM_TTY, r.TTY}} {
		if item.value == "" {
			continue
		}
		v := C.CString(item.value)
		h.last = C.pam_set_item(h.h, item.kind, unsafe.Pointer(v))
		C.free(unsafe.Pointer(v))
		if h.last != C.PAM_SUCCESS {
			defer h.end()
			return nil, fmt.Errorf("PAM item %d: code %d", item.kind, h.last)
		}
	}
	return h, nil
}

// authenticate is the password; the copy of it is gone afterwards.
func (h *handle) authenticate(allowEmpty bool) int {
	flags := C.int(C.PAM_SILENT)
	if !allowEmpty {
		flags |= C.PAM_DISALLOW_NULL_AUTHTOK
	}
	h.last = C.pam_authenticate(h.h, flags)
	h.forget()
	return int(h.last)
}

// account is always asked: a right password does not mean a valid account.
func (h *handle) account() int {
	h.last = C.pam_acct_mgmt(h.h, C.PAM_SILENT)
	return int(h.last)
}

func (h *handle) establish() int {
	h.last = C.pam_setcred(h.h, C.PAM_ESTABLISH_CRED|C.PAM_SILENT)
	h.credentials = h.last == C.PAM_SUCCESS
	return int(h.last)
}

func (h *handle) openSession() int {
	h.last = C.pam_open_session(h.h, C.PAM_SILENT)
	h.sessionOpen = h.last == C.PAM_SUCCESS
	return int(h.last)
}

// user is PAM_USER, which modules may have changed.
func (h *handle) user() string {
	return C.GoString(C.user_of(h.h))
}

// end undoes what was done and frees all. nil is fine.
func (h *handle) end() {
	if h == nil {
		return
	}
	h.forget()
	if h.h != nil {
		if h.sessionOpen {
			h.last = C.pam_close_session(h.h, C.PAM_SILENT)
		}
		if h.credentials {
			h.last = C.pam_setcred(h.h, C.PAM_DELETE_CRED|C.PAM_SILENT)
		}
		C.pam_end(h.h, h.last)
		h.h = nil
	}
	if h.talk != nil {
		C.free(unsafe.Pointer(h.talk.user))
		C.free(unsafe.Pointer(h.talk))
		h.talk = nil
	}
}

func (h *handle) forget() {
	if h.talk == nil || h.talk.secret == nil {
		return
	}
	C.wipe(h.talk.secret)
	C.free(unsafe.Pointer(h.talk.secret))
	h.talk.secret = nil
}

const userUnknown = C.PAM_USER_UNKNOWN

// reason is the text of docs/AUTH.md for a code.
func reason(code int) string {
	switch code {
	case C.PAM_USER_UNKNOWN:
		return "no such user found"
	case C.PAM_AUTH_ERR:
		return "Incorrect password"
	case C.PAM_MAXTRIES:
		return "Max authentication service attempts reached"
	case C.PAM_CRED_INSUFFICIENT:
		return "Insufficient credentials"
	case C.PAM_AUTHTOK_EXPIRED, C.PAM_CRED_EXPIRED:
		return "Password expired"
	case C.PAM_NEW_AUTHTOK_REQD:
		return "New authentication token required"
	case C.PAM_ACCT_EXPIRED, C.PAM_PERM_DENIED:
		return "Account disabled"
	case C.PAM_CRED_UNAVAIL:
		return "Unavailable credentials"
	case C.PAM_CRED_ERR:
		return "Failure setting credentials"
	case C.PAM_SESSION_ERR:
		return "Failed initializing authentication service"
	case C.PAM_AUTHINFO_UNAVAIL:
		return "Unavailable authentication service"
	}
	return fmt.Sprintf("Unknown authentication information (PAM code %d)", code)
}
