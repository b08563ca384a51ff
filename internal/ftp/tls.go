package ftp

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/policy"
	"sallyport/ipc"
)

// tlsSide is what a session knows of TLS. Nothing of it exists before AUTH but
// zeros: a session that stays plain pays nothing.
type tlsSide struct {
	conn    *tlsConn // the control connection; nil: plain
	had     bool     // it was protected once
	private bool     // PROT P

	control *tls.Config
	data    *tls.Config
	ticket  *tls.Config // its only content: the key of this session's tickets
	nonce   []byte      // within every ticket, see ours

	offers []tls.Certificate // of the host

	unknown bool      // SNI named no host, which ends the handshake
	sni     string    // the name that SNI chose the host by
	leaf    []byte    // the client's certificate
	chain   []byte    // with its issuers, as judge has seen it
	judge   *ipc.Conn // the channel to the authd that judged it
	user    string    // whose it is; "" for nobody's

	resume   bool      // the handshake in hand must resume
	thief    bool      // and it did not
	upload   bool      // and is an upload's
	unclosed bool      // an upload has ended without close_notify
	end      time.Time // of the handshake in hand

	cipher string        // for the logs
	eased  []tls.CurveID // key exchanges that are enough for what resumes; nil: the client has none of them
}

// protocol is what the logs call it.
func (s *Session) protocol() string {
	if s.tls.had {
		return "ftps"
	}
	return "ftp"
}

// protected tells whether the control connection is under TLS.
func (s *Session) protected() bool { return s.tls.conn != nil }

// defaultHandshake is how long a handshake may take where no view says so.
const defaultHandshake = 20 * time.Second

func (s *Session) handshakeTime() time.Duration {
	if n := s.view.TLS.Handshake; n > 0 {
		return time.Duration(n) * time.Second
	}
	return defaultHandshake
}

// Ends of a handshake that are not crypto/tls's.
var (
	errSlow       = errors.New("TLS handshake timed out")
	errNotResumed = errors.New("the session of the control connection was not resumed")
	errUnknown    = errors.New("no host of that name")
)

// startTLS runs the handshake on the control connection. Where it fails the
// session is over.
func (s *Session) startTLS() bool {
	raw := s.ctl.(sock)
	w := &wire{c: raw, frame: &frame{}}
	s.tls.end = time.Now().Add(s.handshakeTime())
	// The configuration proper is made when the host is known.
	conf := &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: s.configForClient}
	c, err := secure(w, conf, s.waitControl)
	if err != nil {
		s.shakeFailed(w, err)
		return false
	}
	s.ctl, s.tls.conn, s.tls.had = c, c, true
	s.named = "" // what was said in clear is forgotten
	s.in = newReader(min(s.lineLimit(), preAuthLine))
	state := c.t.ConnectionState()
	s.tls.cipher = tls.CipherSuiteName(state.CipherSuite)
	s.page.SetTLS(true)
	return true
}

// shakeFailed ends the session. Plain text is only for a client that has seen
// nothing else.
func (s *Session) shakeFailed(w *wire, err error) {
	if w.sealed {
		s.out = s.out[:0]
	}
	if s.over() {
		return
	}
	s.event(ipc.EventTLSFailed, w.explain(s.reason(err)))
	if !w.sealed && !s.implicit {
		s.reply(421, "TLS handshake failed")
	}
	s.leave("TLS handshake: " + err.Error())
}

// reason is why a handshake failed, where crypto/tls was told something else.
func (s *Session) reason(err error) error {
	if s.tls.unknown {
		return errUnknown
	}
	return err
}

// explain puts the alert that was sent in front of an error.
func (w *wire) explain(err error) string {
	if w.alert == 0 {
		return err.Error()
	}
	return fmt.Sprintf("alert %d (%s): %v", w.alert, strings.TrimPrefix(tls.AlertError(w.alert).Error(), "tls: "), err)
}

// waitControl sleeps within the handshake of the control connection.
func (s *Session) waitControl(events int16) error {
	left := time.Until(s.tls.end)
	if left <= 0 {
		return errSlow
	}
	s.await(events, -1, 0, left)
	if s.over() {
		return errOver
	}
	return nil
}

// configForClient chooses the host that a client hello names, and makes its
// configuration.
func (s *Session) configForClient(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if err := s.hostBySNI(hello.ServerName); err != nil {
		if errors.Is(err, errUnknown) { // no certificate makes crypto/tls send unrecognized_name
			s.tls.unknown = true
			return &tls.Config{MinVersion: tls.VersionTLS12}, nil
		}
		return nil, err
	}
	if s.tls.offers == nil {
		if err := s.takeOffers(); err != nil {
			return nil, err
		}
	}
	if slices.Contains(hello.SupportedCurves, tls.X25519) || slices.Contains(hello.SupportedCurves, tls.CurveP256) {
		s.tls.eased = []tls.CurveID{tls.X25519, tls.CurveP256}
	}
	s.makeConfig()
	return s.tls.control, nil
}

// hostBySNI asks master for the host that SNI names (RFC 6066 §3). A name that
// no host has changes nothing, unless it is to end the handshake.
func (s *Session) hostBySNI(name string) error {
	v := &s.view.TLS
	if name == "" || v.IgnoreSNI || !s.view.Names && !v.RejectUnknownName {
		return nil
	}
	if len(name) > maxHost {
		return s.unknownHost()
	}
	r, fds, ok := call[ipc.HostSelected](s, ipc.SelectHost{Name: name, By: ipc.BySNI})
	if !ok {
		return errOver
	}
	if r.Refused {
		closeFDs(fds)
		return s.unknownHost()
	}
	if !s.adopt(r, fds) {
		return errOver
	}
	s.tls.sni = name
	s.tls.offers = nil
	return nil
}

func (s *Session) unknownHost() error {
	if s.view.TLS.RejectUnknownName {
		return errUnknown
	}
	return nil
}

// makeConfig makes the configuration of the session's handshakes. Its tickets
// are sealed by a key that no other session has, so that a ticket that can be
// opened was made here.
func (s *Session) makeConfig() {
	v := &s.view.TLS
	conf := &tls.Config{
		NextProtos:                  []string{"ftp"}, // and no other, for a client that names any (ALPACA)
		CipherSuites:                suites(v.Ciphers),
		CurvePreferences:            curves(v.Curves),
		DynamicRecordSizingDisabled: true, // files, not web pages
		GetCertificate:              s.chooseCertificate,
		WrapSession:                 s.wrapTicket,
		UnwrapSession:               s.unwrapTicket,
		VerifyPeerCertificate:       s.askAboutClient,
	}
	conf.MinVersion, conf.MaxVersion = versions(v.Protocols)
	switch v.Client {
	case "request":
		conf.ClientAuth = tls.RequestClientCert
	case "require":
		conf.ClientAuth = tls.RequireAnyClientCert
	}
	var key [32]byte
	s.tls.nonce = make([]byte, 16)
	_, _ = rand.Read(key[:]) // never fails
	_, _ = rand.Read(s.tls.nonce)
	conf.SetSessionTicketKeys([][32]byte{key})
	s.tls.ticket = &tls.Config{}
	s.tls.ticket.SetSessionTicketKeys([][32]byte{key})
	clear(key[:])
	s.tls.control = conf
}

// ticketMark begins what a ticket of ours holds besides the session.
const ticketMark = "sallyport control "

// mark names this session and its host.
func (s *Session) mark() []byte {
	return append([]byte(ticketMark+s.host+"\x00"), s.tls.nonce...)
}

func (s *Session) wrapTicket(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
	ss.Extra = append(ss.Extra, s.mark())
	return s.tls.ticket.EncryptTicket(cs, ss)
}

// unwrapTicket opens a ticket of this very session; any other is none.
func (s *Session) unwrapTicket(identity []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
	s.spareTicket(cs.Version == tls.VersionTLS13)
	ss, err := s.tls.ticket.DecryptTicket(identity, cs)
	if err != nil || ss == nil {
		return nil, err
	}
	mark := s.mark()
	if !slices.ContainsFunc(ss.Extra, func(e []byte) bool { return bytes.Equal(e, mark) }) {
		return nil, nil
	}
	return ss, nil
}

// versions are the lowest and the highest version of a view; 1.2 is the lowest
// there is.
func versions(names []string) (low, high uint16) {
	low, high = tls.VersionTLS12, tls.VersionTLS13
	if len(names) > 0 && !slices.Contains(names, "1.3") {
		high = tls.VersionTLS12
	}
	if len(names) > 0 && !slices.Contains(names, "1.2") {
		low = tls.VersionTLS13
	}
	return low, high
}

// modern are the suites of TLS 1.2 where the view names none: ECDHE and AEAD.
var modern = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// suites are the suites of a view, as far as crypto/tls holds them secure.
func suites(names []string) []uint16 {
	var ids []uint16
	for _, c := range tls.CipherSuites() {
		if slices.Contains(names, c.Name) && slices.Contains(c.SupportedVersions, tls.VersionTLS12) {
			ids = append(ids, c.ID)
		}
	}
	if ids == nil {
		return modern
	}
	return ids
}

// curves are the key exchanges of a view; nil: those of crypto/tls, hybrid
// post-quantum ones first.
func curves(names []string) []tls.CurveID {
	var ids []tls.CurveID
	for _, c := range []tls.CurveID{
		tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024,
		tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521,
	} {
		if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, c.String()) || "Curve"+n == c.String() }) {
			ids = append(ids, c)
		}
	}
	return ids
}

// controlRequired and the others read the table of policies.
func controlRequired(v *policy.TLSSession) bool {
	return v.Required == "on" || strings.HasPrefix(v.Required, "ctrl")
}

func loginRequired(v *policy.TLSSession) bool { return strings.HasPrefix(v.Required, "auth") }

func dataRequired(v *policy.TLSSession) bool {
	return v.Required == "on" || v.Required == "data" || v.Required == "auth+data"
}

func dataForbidden(v *policy.TLSSession) bool { return strings.HasSuffix(v.Required, "!data") }

// clearVerbs are understood without TLS where it is required. They neither
// change anything nor tell anything about the server's accounts.
var clearVerbs = map[string]bool{
	"SYST": true, "AUTH": true, "FEAT": true, "HOST": true, "CLNT": true, "QUIT": true,
	"HELP": true, "NOOP": true, "OPTS": true,
}

var loginVerbs = map[string]bool{"USER": true, "PASS": true, "ACCT": true}

var dataVerbs = map[string]bool{
	"APPE": true, "LIST": true, "MLSD": true, "NLST": true, "RETR": true, "STOR": true, "STOU": true,
}

// tooPlain refuses a command for which the policy wants TLS that is not there.
func (s *Session) tooPlain(c *command) bool {
	v := &s.view.TLS
	if v.Required == "" || v.Required == "off" {
		return false
	}
	if !s.protected() && (controlRequired(v) && !clearVerbs[c.verb] || loginRequired(v) && loginVerbs[c.verb]) {
		s.event(ipc.EventCommandRefused, "SSL/TLS required but absent on control channel, denying "+c.verb+" command")
		s.reply(550, "SSL/TLS required on the control channel")
		return true
	}
	if s.user != "" && dataVerbs[c.verb] && dataRequired(v) && !s.tls.private {
		s.forgetData()
		s.event(ipc.EventCommandRefused, "SSL/TLS required but absent on data channel, denying "+c.verb+" command")
		s.reply(522, "SSL/TLS required on the data channel")
		return true
	}
	return false
}

// forgetData gives up a data connection that was set up.
func (s *Session) forgetData() {
	had := s.data.mode != linkNone
	s.dropLink()
	if had {
		call[ipc.Done](s, ipc.CloseData{})
	}
}

// readable is await's: more to read may wait here than a poll shows.
func (s *Session) readable(events int16) bool {
	return s.tls.conn != nil && s.tls.conn.more && events&unix.POLLIN != 0
}
