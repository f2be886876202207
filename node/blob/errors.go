package blob

import "errors"

// What errors of this package can be asked for with errors.Is.
var (
	ErrNotFound = errors.New("is not in the store")
	ErrMismatch = errors.New("is not what was asked for") // digest or length
	ErrNoSpace  = errors.New("the disk has no room for it")
	ErrExists   = errors.New("exists already")
	ErrBadName  = errors.New("is no usable name") // of a model, a digest, an address
	ErrTooLarge = errors.New("is too large")
	ErrBusy     = errors.New("is in use by another call or process")
	ErrDamaged  = errors.New("is damaged")
)
