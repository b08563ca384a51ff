package main

import (
	"fmt"
	"slices"
	"time"

	"sallyport/internal/control"
	"sallyport/internal/logging"
	"sallyport/ipc"
)

// certificates is what authd has told of those it serves with.
type certificates struct {
	list []ipc.CertificateInfo
	said map[string]int // by file: the step of warnAt that the log has had
}

// warnAt are the days before its end at which a certificate gets a line in the
// log, besides the one when it has expired. The last week is a matter for the
// status, too.
var warnAt = []int{30, 7, 1, 0}

const worryingDays = 7

// daysLeft is how many whole days a certificate is still valid; negative once it
// is not.
func daysLeft(c *ipc.CertificateInfo, now time.Time) int {
	left := time.Unix(c.NotAfter, 0).Sub(now)
	if left < 0 {
		return -1
	}
	return int(left / (24 * time.Hour))
}

// expiring takes authd's list, which comes at every change and once a day, and
// warns of what is about to expire: once for each step.
func (m *master) expiring(list []ipc.CertificateInfo) {
	said, now := map[string]int{}, time.Now()
	for i := range list {
		c := &list[i]
		days, step := daysLeft(c, now), -1
		for j, d := range warnAt {
			if days <= d {
				step = j
			}
		}
		if days < 0 {
			step++
		}
		key := fmt.Sprint(c.NotAfter, " ", c.File)
		said[key] = step
		if was, ok := m.certs.said[key]; step < 0 || ok && was >= step {
			continue
		}
		m.log.Warn("certificate "+expiryText(days), logging.Kind(logging.CertificateExpires), "file", c.File, "subject", c.Subject, "days", days)
	}
	m.certs.list, m.certs.said = slices.Clone(list), said
}

func expiryText(days int) string {
	switch {
	case days < 0:
		return "has expired"
	case days == 0:
		return "expires within a day"
	case days == 1:
		return "expires in 1 day"
	}
	return fmt.Sprintf("expires in %d days", days)
}

// certificateStatus is the list for the status, and what is worrying of it.
func (m *master) certificateStatus() (list []control.CertificateStatus, why []string) {
	now := time.Now()
	for i := range m.certs.list {
		c := &m.certs.list[i]
		days := daysLeft(c, now)
		list = append(list, control.CertificateStatus{
			File: c.File, Subject: c.Subject, Expires: time.Unix(c.NotAfter, 0).UTC(), Days: days, SelfSigned: c.Self,
		})
		if days < worryingDays {
			why = append(why, fmt.Sprintf("certificate %q %s", c.File, expiryText(days)))
		}
	}
	return list, why
}
