package policy

// TLSSession is what a session must know of TLS. Certificates come from authd.
type TLSSession struct {
	Engine            bool
	Required          string   // "off" "on" "ctrl" "data" "!data" "auth" "auth+data" "auth+!data" "ctrl+!data"
	Reuse             string   // "require" "prefer" "off": data connections resume the control session
	Protocols         []string // "1.2" "1.3"
	Ciphers           []string // names of crypto/tls, for 1.2; empty: its own choice
	Curves            []string // names of crypto/tls; empty: its own choice
	Client            string   // certificates of clients: "off" "request" "require"
	Handshake         uint32   // seconds a handshake may take
	CCC               bool     // allow_ccc
	AuthSSL           bool     // AUTH SSL and AUTH TLS-P are understood
	StrictEOF         bool     // an upload without close_notify is incomplete
	RejectUnknownName bool     // SNI that no host has ends the handshake
	IgnoreSNI         bool
}

// TLSHost is the TLS identity of one host, for authd.
type TLSHost struct {
	Name         string // of the host
	Engine       bool
	Certificates []Certificate
	SelfSigned   string // a file that master has had made, where no certificate is configured
	Client       ClientCertificates
}

// Certificate is a certificate chain with its key, PEM.
type Certificate struct {
	File   string // chain, leaf first
	Key    string // may be the same file
	Staple string // OCSP response, DER; "" for none
}

// ClientCertificates says which certificates of clients are believed.
type ClientCertificates struct {
	Verify string   // "off" "request" "require"
	CA     []string // PEM files
	CRL    []string // PEM or DER files; every CA must have one, and it must be valid
	Depth  uint32   // longest chain
	User   string   // what names the account: "" none (the password decides), "cn" "email" "dns" "map"
	Map    []CertificateUser
}

// CertificateUser gives a certificate, by its SHA-256 fingerprint in hexadecimal
// digits, to an account.
type CertificateUser struct {
	Fingerprint string
	User        string
}
