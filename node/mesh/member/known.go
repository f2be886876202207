package member

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
)

type knownState struct {
	Adverts     [][]byte `json:"adverts"`
	Revocations [][]byte `json:"revocations"`
}

// SaveKnown keeps what a node knows of others for its next start.
func SaveKnown(dir string, adverts []*Advert, revoked []*Revocation) error {
	s := knownState{}
	for _, a := range adverts {
		s.Adverts = append(s.Adverts, a.Bytes())
	}
	for _, r := range revoked {
		s.Revocations = append(s.Revocations, r.Bytes())
	}
	return writeSealed(dir, knownFile, s)
}

// LoadKnown reads that. Each statement is checked like one from the network, and
// what is wrong is left out, with an error beside the rest.
func LoadKnown(dir string, m *Membership, now time.Time) (adverts []*Advert, revoked []*Revocation, err error) {
	var s knownState
	if err := readSealed(dir, knownFile, &s); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return nil, nil, err
	}
	var errs []error
	for _, b := range s.Adverts[:min(len(s.Adverts), MaxMembers)] {
		a, err := ParseAdvert(b, m.Key)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		adverts = append(adverts, a)
	}
	for _, b := range s.Revocations[:min(len(s.Revocations), maxRevocations)] {
		r, err := ParseRevocation(b, m.Key)
		if err != nil {
			errs = append(errs, err)
		} else if now.Before(r.Until) {
			revoked = append(revoked, r)
		}
	}
	if len(errs) > 0 {
		err = fmt.Errorf("%d of what was known are not used, the first: %w", len(errs), errs[0])
	}
	return adverts, revoked, err
}
