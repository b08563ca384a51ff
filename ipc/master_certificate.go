package ipc

// master-certificate: a process of one task, without rights. It makes a key and
// a certificate for a host that has TLS and none of its own, so that master,
// which writes them to a file, computes nothing.

// MakeCertificate asks for a self-signed certificate.
type MakeCertificate struct {
	Names []string `ipc:"16"` // DNS names ("*.example.org" too) or IP addresses; the first is the subject
}

// CertificateMade answers MakeCertificate; the process then ends.
type CertificateMade struct {
	PEM         []byte `ipc:"8192"` // key and certificate
	Fingerprint string `ipc:"128"`  // SHA-256 of the certificate, for the log
	Error       string `ipc:"256"`  // why there is none
}

// MasterCertificate is the channel of one such process.
var MasterCertificate = newDialogue(&Dialogue{
	Name: "master-certificate", Version: 1, States: []string{"ask"},
	Rows: []Row{
		{Kind: 1, From: Master, In: 1, Body: MakeCertificate{}},
		{Kind: 2, From: Certificate, In: 1, Body: CertificateMade{}},
	},
})
