package vfs

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"sallyport/ipc"
)

// Error is an answer of the files process that says no. Exactly one of Errno
// and Denied is set.
type Error struct {
	Op     string     // "open", "rename" ...
	Path   string     // what it was about, as asked
	Errno  unix.Errno // what the kernel said, 0 if a rule refused
	Denied uint8      // one of the ipc.Denied constants
	Temp   string     // with ipc.DeniedHidden, or where it alone is too long: the temporary name
}

// Error is for logs; the path is quoted. Clients are shown [Text].
func (e *Error) Error() string {
	return fmt.Sprintf("%s %q: %s", e.Op, e.Path, Text(e))
}

// Is makes errors.Is(err, unix.ENOENT) work.
func (e *Error) Is(target error) bool {
	n, ok := target.(unix.Errno)
	return ok && e.Errno != 0 && e.Errno == n
}

// Refused returns which rule refused, or 0 (ipc.DeniedNo) where none did.
func Refused(err error) uint8 {
	var e *Error
	if errors.As(err, &e) {
		return e.Denied
	}
	return ipc.DeniedNo
}

// Broken tells whether err, which is not nil, means that the channel to the
// files process is gone, as opposed to an answer.
func Broken(err error) bool {
	var e *Error
	return err != nil && !errors.As(err, &e)
}

// Text is what a client is told about err: the words of the C library for an
// errno, the reference's words for a rule. It never holds a path or anything
// else of the inside. DeniedOffset, DeniedUnique, DeniedHidden and
// DeniedHiddenRest have replies of their own (554, 450, 550 with the temporary
// name, 501); their texts here are for logs.
func Text(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		var n unix.Errno
		if errors.As(err, &n) {
			return ErrnoText(n)
		}
		return "Internal error"
	}
	switch e.Denied {
	case ipc.DeniedNo:
		return ErrnoText(e.Errno)
	case ipc.DeniedOverwrite:
		return "Overwrite permission denied"
	case ipc.DeniedAppend:
		return "Append/Restart not permitted, try again"
	case ipc.DeniedRestart:
		return "Restart not permitted, try again"
	case ipc.DeniedNotRegular:
		return "Not a regular file"
	case ipc.DeniedOffset:
		return "Offset beyond the end of the file"
	case ipc.DeniedUnique:
		return "unable to generate unique filename"
	case ipc.DeniedHidden:
		return "Temporary hidden file already exists"
	case ipc.DeniedHiddenRest:
		return "REST not compatible with server configuration"
	case ipc.DeniedSize:
		return "File too large"
	}
	return "Operation not permitted"
}

// ErrnoText returns the words that strerror(3) has for n in the C locale; Go's
// own are lower-case. A number that is not in the table reads "Error N".
func ErrnoText(n unix.Errno) string {
	if s, ok := strerror[n]; ok {
		return s
	}
	return fmt.Sprintf("Error %d", uint(n))
}

// strerror holds what file operations and data connections may yield.
var strerror = map[unix.Errno]string{
	0:                    "Success",
	unix.EPERM:           "Operation not permitted",
	unix.ENOENT:          "No such file or directory",
	unix.EINTR:           "Interrupted system call",
	unix.EIO:             "Input/output error",
	unix.ENXIO:           "No such device or address",
	unix.E2BIG:           "Argument list too long",
	unix.EBADF:           "Bad file descriptor",
	unix.EAGAIN:          "Resource temporarily unavailable",
	unix.ENOMEM:          "Cannot allocate memory",
	unix.EACCES:          "Permission denied",
	unix.EBUSY:           "Device or resource busy",
	unix.EEXIST:          "File exists",
	unix.EXDEV:           "Invalid cross-device link",
	unix.ENODEV:          "No such device",
	unix.ENOTDIR:         "Not a directory",
	unix.EISDIR:          "Is a directory",
	unix.EINVAL:          "Invalid argument",
	unix.ENFILE:          "Too many open files in system",
	unix.EMFILE:          "Too many open files",
	unix.ENOTTY:          "Inappropriate ioctl for device",
	unix.ETXTBSY:         "Text file busy",
	unix.EFBIG:           "File too large",
	unix.ENOSPC:          "No space left on device",
	unix.ESPIPE:          "Illegal seek",
	unix.EROFS:           "Read-only file system",
	unix.EMLINK:          "Too many links",
	unix.EPIPE:           "Broken pipe",
	unix.ENAMETOOLONG:    "File name too long",
	unix.ENOSYS:          "Function not implemented",
	unix.ENOTEMPTY:       "Directory not empty",
	unix.ELOOP:           "Too many levels of symbolic links",
	unix.EOVERFLOW:       "Value too large for defined data type",
	unix.EILSEQ:          "Invalid or incomplete multibyte or wide character",
	unix.EOPNOTSUPP:      "Operation not supported",
	unix.EADDRINUSE:      "Address already in use",
	unix.EADDRNOTAVAIL:   "Cannot assign requested address",
	unix.ENETDOWN:        "Network is down",
	unix.ENETUNREACH:     "Network is unreachable",
	unix.ECONNABORTED:    "Software caused connection abort",
	unix.ECONNRESET:      "Connection reset by peer",
	unix.ENOBUFS:         "No buffer space available",
	unix.ENOTCONN:        "Transport endpoint is not connected",
	unix.ETIMEDOUT:       "Connection timed out",
	unix.ECONNREFUSED:    "Connection refused",
	unix.EHOSTDOWN:       "Host is down",
	unix.EHOSTUNREACH:    "No route to host",
	unix.EAFNOSUPPORT:    "Address family not supported by protocol",
	unix.EPROTONOSUPPORT: "Protocol not supported",
	unix.ESTALE:          "Stale file handle",
	unix.EDQUOT:          "Disk quota exceeded",
	unix.ECANCELED:       "Operation canceled",
	unix.EKEYREJECTED:    "Key was rejected by service",
	unix.ENOKEY:          "Required key not available",
}
