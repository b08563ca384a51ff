package ipc

// States of session-authd.
const (
	AuthAsk    State = 1 << iota // requests may come
	AuthClosed                   // a verdict has ended it: success, or the last attempt
)

// AuthRequest asks for a verdict on one login attempt. authd knows peer, host,
// class and protocol from master, not from here. The answer leaves when the
// DelayTable says.
type AuthRequest struct {
	User   string `ipc:"256"`
	Secret []byte `ipc:"4096"`
	Method string `ipc:"16"` // MethodPassword or MethodCertificate
}

// Methods of an AuthRequest.
const (
	MethodPassword    = "password"
	MethodCertificate = "certificate" // the certificate that ClientCertificate was told of; no secret
)

// Verdicts of AuthReply.
const (
	VerdictDenied      uint8 = iota // 530 Login incorrect.
	VerdictOK                       // then TakeFiles on the master lane
	VerdictLast                     // as Denied, and the attempts are used up: close
	VerdictUnavailable              // no source could decide: 421 and close
	VerdictRefused                  // as Denied, and close, with Text where one is configured
)

// AuthReply is the verdict.
type AuthReply struct {
	Verdict uint8
	User    string `ipc:"256"` // the account's name, on success
	Text    string `ipc:"512"` // reply text where it differs from the default
}

// TLSAsk asks for the certificates of the session's host, at the beginning of
// each handshake; the answer is TLSOffer.
type TLSAsk struct{}

// TLSOffer is what a handshake may show. Keys stay with authd.
type TLSOffer struct {
	Certificates []OfferedCertificate `ipc:"8"` // none: TLS is not to be had (431)
}

// OfferedCertificate is a certificate chain, leaf first, and the OCSP response
// to staple.
type OfferedCertificate struct {
	ID     uint32 // for SignRequest
	Chain  []byte `ipc:"24576"` // the DER certificates, one behind the other
	Staple []byte `ipc:"8192"`
}

// SignRequest asks for a signature of the whole message, which must be a TLS 1.3
// server CertificateVerify (RFC 8446 §4.4.3) or a TLS 1.2 ECDHE parameter
// message (RFC 8422 §5.4). authd grants one for the control connection and one
// for each data connection that master really made.
type SignRequest struct {
	ID      uint32
	Scheme  uint16 // SignatureScheme of RFC 8446 §4.2.3
	Message []byte `ipc:"1024"`
}

// SignReply answers SignRequest. A refused one ends the handshake.
type SignReply struct {
	Signature []byte `ipc:"1024"` // empty: refused
}

// ClientCertificate asks whether a client's certificate chain, DER, leaf first,
// is to be believed; the answer is ClientVerdict. That the client holds the key
// is the session's word.
type ClientCertificate struct {
	Chain []byte `ipc:"32768"` // the DER certificates, one behind the other
}

// ClientVerdict answers ClientCertificate.
type ClientVerdict struct {
	OK      bool
	Subject string `ipc:"256"` // for the log
	User    string `ipc:"256"` // the account that may log in by it; "" for none
}

// SessionAuthd is the login channel of one session, and its way to the signer.
var SessionAuthd = newDialogue(&Dialogue{
	Name: "session-authd", Version: 2, States: []string{"ask", "closed"},
	Rows: []Row{
		{Kind: 1, From: Session, In: AuthAsk, Body: AuthRequest{}},
		{Kind: 2, From: Authd, In: AuthAsk | AuthClosed, Body: AuthReply{}},
		{Kind: 3, From: Session, In: AuthAsk | AuthClosed, Body: TLSAsk{}},
		{Kind: 4, From: Authd, In: AuthAsk | AuthClosed, Body: TLSOffer{}},
		{Kind: 5, From: Session, In: AuthAsk | AuthClosed, Body: SignRequest{}},
		{Kind: 6, From: Authd, In: AuthAsk | AuthClosed, Body: SignReply{}},
		{Kind: 7, From: Session, In: AuthAsk, Body: ClientCertificate{}},
		{Kind: 8, From: Authd, In: AuthAsk, Body: ClientVerdict{}},
	},
})
