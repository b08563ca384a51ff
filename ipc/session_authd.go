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
	Method string `ipc:"16"` // "password"
}

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

// SessionAuthd is the login channel of one session.
var SessionAuthd = newDialogue(&Dialogue{
	Name: "session-authd", Version: 1, States: []string{"ask", "closed"},
	Rows: []Row{
		{Kind: 1, From: Session, In: AuthAsk, Body: AuthRequest{}},
		{Kind: 2, From: Authd, In: AuthAsk | AuthClosed, Body: AuthReply{}},
	},
})
