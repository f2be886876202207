//go:build !unix

package measure

import "time"

// processTime is not known here; processor time is reported as 0.
func processTime() time.Duration { return 0 }
