//go:build !unix

package worker

import "errors"

func readable(int) bool { return false }

func hangup(int) error { return errors.New("models run on Unix only") }
