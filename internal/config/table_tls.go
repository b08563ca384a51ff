package config

// The names that crypto/tls has for suites and curves. Master must not link that
// package; a test compares.
var (
	tlsProtocols = []string{"1.2", "1.3"}
	tlsCiphers   = []string{
		"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
		"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
	}
	tlsCurves = []string{"X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024", "X25519", "CurveP256", "CurveP384", "CurveP521"}
)

const weakProtocol = "is not secure; there are \"1.2\" and \"1.3\""

var weakProtocols = map[string]string{
	"1.0": weakProtocol, "1.1": weakProtocol, "SSLv2": weakProtocol, "SSLv3": weakProtocol, "TLSv1": weakProtocol, "TLSv1.0": weakProtocol, "TLSv1.1": weakProtocol,
	"TLSv1.2": `is written "1.2"`, "TLSv1.3": `is written "1.3"`,
}

func tlsKeys() []*Key {
	return []*Key{
		{
			Path: "tls.engine", Type: boolean, In: anywhere, Default: "true", Example: "false", Directive: "TLSEngine",
			Doc:  "Whether clients may switch to TLS (AUTH TLS, RFC 4217).",
			More: "Without any certificate block a self-signed certificate is made in state_dir at the first start.",
			at:   func(c *scope) any { return &c.s.Session.TLS.Engine },
		},
		{
			Path: "tls.required", Type: choice([]string{"off", "on", "ctrl", "data", "!data", "auth", "auth+data", "auth+!data", "ctrl+!data"}, nil),
			In: sessions, Default: `"off"`, Example: `"on"`, Directive: "TLSRequired",
			Doc:  "Where TLS is demanded: \"on\" on both connections, \"ctrl\" on the control connection, \"data\" on data connections, \"auth\" for the login; \"!data\" forbids it on data connections.",
			More: "\"off\" leaves it to the client: passwords and files of clients that do not ask for TLS can be read on the way. ftpdctl config check reminds of it.",
			at:   func(c *scope) any { return &c.s.Session.TLS.Required },
		},
		{
			Path: "tls.data_reuse", Type: choice([]string{"require", "prefer", "off"}, nil), In: sessions, Default: `"require"`, Example: `"prefer"`, Directive: "TLSOptions",
			Doc:  "Whether a data connection must resume the TLS session of its control connection.",
			More: "\"require\" proves that both come from the same client. \"prefer\" resumes where the client does, and lets in others from the client's address.",
			at:   func(c *scope) any { return &c.s.Session.TLS.Reuse },
		},
		{
			Path: "tls.protocols", Type: wordSet(tlsProtocols, "", weakProtocols), In: anywhere, Default: `["1.2", "1.3"]`, Example: `["1.3"]`, Directive: "TLSProtocol",
			Doc: "Versions of TLS.",
			at:  func(c *scope) any { return &c.s.Session.TLS.Protocols },
		},
		{
			Path: "tls.ciphers", Type: wordSet(tlsCiphers, "those that are secure, the fastest first", nil), In: anywhere, Default: "[]",
			Example: `["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"]`, Directive: "TLSCipherSuite",
			Doc:  "Cipher suites of TLS 1.2.",
			More: "Those of TLS 1.3 are all secure and cannot be chosen.",
			at:   func(c *scope) any { return &c.s.Session.TLS.Ciphers },
		},
		{
			Path: "tls.curves", Type: wordSet(tlsCurves, "the usual ones", nil), In: anywhere, Default: "[]", Example: `["X25519", "CurveP256"]`, Directive: "TLSECDHCurve",
			Doc: "Key exchanges.",
			at:  func(c *scope) any { return &c.s.Session.TLS.Curves },
		},
		{
			Path: "tls.timeout_handshake", Type: seconds(1, 300, false), In: anywhere, Default: `"30s"`, Example: `"15s"`, Directive: "TLSTimeoutHandshake",
			Doc: "Time a handshake may take.",
			at:  func(c *scope) any { return &c.s.Session.TLS.Handshake },
		},
		{
			Path: "tls.allow_ccc", Type: boolean, In: anywhere, Default: "false", Example: "true",
			Doc:  "Whether CCC may make the control connection plain again after the login.",
			More: "It is meant for address translation that reads PORT and PASV. Everything after it can be read and changed on the way.",
			at:   func(c *scope) any { return &c.s.Session.TLS.CCC },
		},
		{
			Path: "tls.auth_ssl", Type: boolean, In: anywhere, Default: "false", Example: "true",
			Doc: "Whether AUTH SSL and AUTH TLS-P are understood, for very old clients. They mean TLS too.",
			at:  func(c *scope) any { return &c.s.Session.TLS.AuthSSL },
		},
		{
			Path: "tls.strict_eof", Type: boolean, In: sessions, Default: "false", Example: "true",
			Doc:  "Whether an upload whose data connection ends without close_notify is incomplete.",
			More: "It detects uploads cut off by an attacker; many clients leave it out, though.",
			at:   func(c *scope) any { return &c.s.Session.TLS.StrictEOF },
		},
		{
			Path: "tls.reject_unknown_name", Type: boolean, In: anywhere, Default: "false", Example: "true",
			Doc: "Whether a handshake for a name (SNI) that no host has is refused; else the host of the address answers.",
			at:  func(c *scope) any { return &c.s.Session.TLS.RejectUnknownName },
		},
		{
			Path: "tls.ignore_sni", Type: boolean, In: anywhere, Default: "false", Example: "true", Directive: "TLSOptions IgnoreSNI",
			Doc: "Whether the name of the handshake (SNI) chooses no host.",
			at:  func(c *scope) any { return &c.s.Session.TLS.IgnoreSNI },
		},
		{
			Path: "tls.certificate.file", Type: path(1024, false), In: own, Required: true, Example: `"/etc/ssl/sallyport/ftp.example.org.pem"`, Directive: "TLSRSACertificateFile",
			Doc:  "The certificate, PEM, followed by its chain.",
			More: "It is read anew when it changes; a pair that does not fit is reported, and the old one stays.",
			at:   func(c *scope) any { return &c.cert.File },
		},
		{
			Path: "tls.certificate.key", Type: path(1024, false), In: own, Required: true, Example: `"/etc/ssl/sallyport/ftp.example.org.key"`, Directive: "TLSRSACertificateKeyFile",
			Doc: "Its private key, PEM; it may be the same file. Nobody but its owner may read it.",
			at:  func(c *scope) any { return &c.cert.Key },
		},
		{
			Path: "tls.certificate.staple", Type: path(1024, true), In: own, Default: `"none"`, Example: `"/var/lib/sallyport/ftp.example.org.ocsp"`, Directive: "TLSStapling",
			Doc: "An OCSP response, DER, that is sent with it.",
			at:  func(c *scope) any { return &c.cert.Staple },
		},
		{
			Path: "tls.client.verify", Type: choice([]string{"off", "request", "require"}, nil), In: perHost, Default: `"off"`, Example: `"require"`, Directive: "TLSVerifyClient",
			Doc:  "Whether clients are asked for a certificate: \"request\" looks at one that is sent, \"require\" demands it.",
			More: "A certificate that is not believed ends the handshake in both.",
			at:   func(c *scope) any { return &c.h.TLS.Client.Verify },
		},
		{
			Path: "tls.client.ca", Type: pathList, In: perHost, Default: "[]", Example: `["/etc/ssl/sallyport/clients-ca.pem"]`, Directive: "TLSCACertificateFile",
			Doc: "Certificates of those who may issue them, PEM.",
			at:  func(c *scope) any { return &c.h.TLS.Client.CA },
		},
		{
			Path: "tls.client.crl", Type: pathList, In: perHost, Default: "[]", Example: `["/etc/ssl/sallyport/clients.crl"]`, Directive: "TLSCARevocationFile",
			Doc: "Lists of revoked certificates, PEM or DER. With any, every issuer must have a valid one.",
			at:  func(c *scope) any { return &c.h.TLS.Client.CRL },
		},
		{
			Path: "tls.client.depth", Type: count(1, 10, false), In: perHost, Default: "9", Example: "2", Directive: "TLSVerifyDepth",
			Doc: "Longest chain of certificates.",
			at:  func(c *scope) any { return &c.h.TLS.Client.Depth },
		},
		{
			Path: "tls.client.user", Type: switched("none", "cn", "email", "dns", "map"), In: perHost, Default: `"none"`, Example: `"cn"`, Directive: "TLSUserName",
			Doc: "What in the certificate names the account: its common name, a mail address or DNS name in it, or a map block. Then USER needs no password (232).",
			at:  func(c *scope) any { return &c.h.TLS.Client.User },
		},
		{
			Path: "tls.client.map.user", Type: account, In: own, Required: true, Example: `"alice"`,
			Doc: "The account.",
			at:  func(c *scope) any { return &c.mapped.User },
		},
	}
}

func tlsBlocks() []*Block {
	return []*Block{
		{Path: "tls", In: sessions, Doc: "FTPS: TLS on control and data connections (RFC 4217). See docs/TLS.md."},
		{
			Path: "tls.certificate", In: perHost, Section: true,
			Doc:  "A certificate of the host with its private key.",
			More: "Several may stand there, one for each kind of key; the client's abilities decide. A virtual_host with blocks of its own has those alone.",
		},
		{Path: "tls.client", In: perHost, Doc: "Certificates of clients."},
		{
			Path: "tls.client.map", Label: "FINGERPRINT", In: perHost, Section: true,
			LabelType: fingerprint, labelAt: func(c *scope) any { return &c.mapped.Fingerprint },
			Doc: "The account of one certificate, with client { user = \"map\" }.",
		},
	}
}
