package ftp

import (
	"bytes"

	"sallyport/ipc"
)

// foreignWords are the first words by which clients of other protocols give
// themselves away, exactly as those spell them. A browser or a mailer that was
// talked into calling an FTP port (RFC 2577 §3 turned round) must neither have
// its later lines run as commands nor get a byte it could take for an answer.
var foreignWords = map[string]string{
	"CONNECT": "HTTP", "DELETE": "HTTP", "GET": "HTTP", "HEAD": "HTTP",
	"OPTIONS": "HTTP", "Host:": "HTTP", "PATCH": "HTTP", "POST": "HTTP", "PUT": "HTTP",
	"DATA": "SMTP", "EHLO": "SMTP", "HELO": "SMTP", "MAIL": "SMTP",
	"RCPT": "SMTP", "RSET": "SMTP", "VRFY": "SMTP",
}

// foreignProtocol names the protocol that a line belongs to, "" for FTP.
func foreignProtocol(line, verb []byte) string {
	if bytes.HasPrefix(line, []byte("SSH-2.0-")) || bytes.HasPrefix(line, []byte("SSH-1.99-")) {
		return "SSH"
	}
	return foreignWords[string(verb)]
}

// foreign hangs up without a word.
func (s *Session) foreign(protocol, detail string) {
	s.event(ipc.EventBadProtocol, detail)
	s.out = s.out[:0]
	s.leave("client speaks " + protocol)
}
