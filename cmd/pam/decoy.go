//go:build cgo

package main

/*
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

// More than struct crypt_data is in any libcrypt: 32 KiB in libxcrypt, 129 KiB in
// glibc's own.
enum { CRYPT_DATA = 256 << 10 };

// burn computes a hash with the libcrypt that PAM modules use, under whichever
// name the distribution has it.
static int burn(const char *secret, const char *setting) {
	static const char *const names[] = {"libcrypt.so.1", "libcrypt.so.2"};
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		void *lib = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
		if (lib == NULL) {
			continue;
		}
		char *(*crypt)(const char *, const char *, void *) = (char *(*)(const char *, const char *, void *))dlsym(lib, "crypt_r");
		void *data = crypt == NULL ? NULL : calloc(1, CRYPT_DATA);
		int done = 0;
		if (data != NULL) {
			const char *hash = crypt(secret, setting, data);
			done = hash != NULL && hash[0] != '*';
			explicit_bzero(data, CRYPT_DATA);
			free(data);
		}
		if (done) {
			return 1;
		}
	}
	return 0;
}
*/
import "C"

import "unsafe"

// burn computes the hash of the secret with a setting and forgets it; false:
// there is no libcrypt that can. The time and the process are those in which
// pam_unix computes the hash of a name that it knows.
func burn(secret []byte, setting string) bool {
	s := (*C.char)(C.calloc(1, C.size_t(len(secret)+1)))
	if s == nil {
		return false
	}
	defer C.free(unsafe.Pointer(s))
	of := unsafe.Slice((*byte)(unsafe.Pointer(s)), len(secret))
	copy(of, secret)
	defer clear(of)
	t := C.CString(setting)
	defer C.free(unsafe.Pointer(t))
	return C.burn(s, t) != 0
}
