package ftp

import "sallyport/ipc"

// WarmUp does once, while a session waits in the pool, what would otherwise be
// done while its first client waits: the codecs of the messages that every
// login exchanges.
func WarmUp() error {
	for _, m := range []struct {
		d    *ipc.Dialogue
		body any
	}{
		{ipc.SessionAuthd, ipc.AuthRequest{}},
		{ipc.SessionLane, ipc.TakeFiles{}},
		{ipc.SessionLane, ipc.Passive{}},
		{ipc.SessionFiles, ipc.OpenRead{}},
	} {
		if _, err := m.d.Encode(m.body); err != nil {
			return err
		}
	}
	return nil
}
