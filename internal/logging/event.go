package logging

import "log/slog"

// Event is the kind of a record. Its text is the field SALLYPORT_EVENT, its
// [Event.MessageID] the journal's MESSAGE_ID; both never change.
type Event string

// Kinds of events. A record has one by the attribute that [Kind] makes.
const (
	Ready              Event = "service.ready"
	Stopping           Event = "service.stopping"
	SelfTest           Event = "service.selftest" // what the kernel lacks, and what it means
	Upgrade            Event = "service.upgrade"
	ReloadOK           Event = "config.reloaded"
	ReloadFailed       Event = "config.refused"
	ControlAction      Event = "control.action"
	ControlDenied      Event = "control.denied"
	ConnectionRefused  Event = "connection.refused" // before any process was spent
	SessionOpen        Event = "session.open"
	SessionClose       Event = "session.close"
	SessionKicked      Event = "session.kicked"
	SessionTimeout     Event = "session.timeout"
	HostChosen         Event = "session.host"
	LoginOK            Event = "login.ok"
	LoginFailed        Event = "login.failed"
	LoginRefused       Event = "login.refused" // right password, but limits, ids or files said no
	SecurityViolation  Event = "security.violation"
	BadProtocol        Event = "security.protocol" // HTTP and the like on the FTP port
	ProtocolViolation  Event = "ipc.violation"     // a message out of state, malformed or too frequent
	WorkerStarted      Event = "worker.started"
	WorkerDied         Event = "worker.died"
	AuthdRestarted     Event = "authd.restarted"
	TransferDone       Event = "transfer.done"
	CommandDone        Event = "command.done" // a line of an extended log that goes to the daemon's own
	RecordsDropped     Event = "log.dropped"
	SharedMemoryHealed Event = "shm.rebuilt"

	BanAdded   Event = "ban.added"
	BanLifted  Event = "ban.lifted"
	BanExpired Event = "ban.expired"

	// CertificateExpires is of a certificate that ends soon, or has ended.
	CertificateExpires Event = "certificate.expiring"
)

// ids are drawn at random once; packaging/sallyport.catalog has the same.
var ids = map[Event]string{
	Ready:              "8f404912c1e94fb1f894effcfea1f1f2",
	Stopping:           "426969a7f90a43f18e18e2cbf823de05",
	SelfTest:           "b5d354b14bb19841c7ac34194144a001",
	Upgrade:            "45ad04e9376d346085ddbb75306b74c3",
	ReloadOK:           "f3529ae5391f2c8752f293333a312a5f",
	ReloadFailed:       "58aea31fd29e40809f9ed30063e9d32a",
	ControlAction:      "64711f3a1032ea18861a0022ea342ed6",
	ControlDenied:      "8693ecc563092a6a55554b0425d7fb4b",
	ConnectionRefused:  "28720b0ecdbc7b6f36ee9b07ef72592b",
	SessionOpen:        "b50f6f954947a39e5467f072a495be5a",
	SessionClose:       "e1c81ac1242c141aaa97193cbd3d417e",
	SessionKicked:      "c43c6e5f26305d8fd5c3cbe5a8d141e8",
	SessionTimeout:     "f17494da92b98951a6dcd4f6fec513a8",
	HostChosen:         "95ec8d62b864191f76a2fc82b12210b7",
	LoginOK:            "d04e048058c214e6b8ddb8d955193ff1",
	LoginFailed:        "e6137fa6b280eff19146309b14ede9cb",
	LoginRefused:       "99685c0325e7b70cb384fcdda7545990",
	SecurityViolation:  "a79e37677adf1bccc92a7207c837ff80",
	BadProtocol:        "7564d44823fd891a323e1414cce98802",
	ProtocolViolation:  "951075b501bba46ad3655f0384f509f0",
	WorkerStarted:      "41223d58a0ad5b7b5d8cd33dc6d03ea7",
	WorkerDied:         "d045ecb16a2e86a0314e55cb2bfef45d",
	AuthdRestarted:     "9db987315240c61be9104d8c8f250ae2",
	TransferDone:       "c5751340644af8d2c157996c9b696eb6",
	CommandDone:        "cc839e0aa4a642339b249dc2fafcc7e8",
	RecordsDropped:     "1abad257ef92967be9bd3f5efea79cc4",
	CertificateExpires: "e284fdb29fd6b498bc277f8fea5cc684",
	BanAdded:           "b1b29ffa0f9b4ff2b1c8f3a4fc8b6d2e",
	BanLifted:          "7f41c2a9f6ad4a3db60f3d63f3c58a17",
	BanExpired:         "0d9a6c1e54b84a0b9f27e6d8b0a93c64",
	SharedMemoryHealed: "00d2c8442e95fb16e7dee6504a876734",
}

// MessageID is the 128-bit id of the journal's message catalog, in hexadecimal;
// empty for an event that is not one of this package's constants.
func (e Event) MessageID() string { return ids[e] }

// Events lists all kinds, in no order.
func Events() []Event {
	l := make([]Event, 0, len(ids))
	for e := range ids {
		l = append(l, e)
	}
	return l
}

// Kind is the attribute that says what kind of event a record is.
func Kind(e Event) slog.Attr { return slog.String(KeyEvent, string(e)) }
