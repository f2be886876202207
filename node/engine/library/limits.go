package library

import "time"

const (
	// installTimeout bounds npm: the largest backend has 320 MB, for which 180 kB/s
	// suffice.
	installTimeout = 30 * time.Minute

	maxManifest = 64 << 10  // a line of about 100 bytes for each of 20 files
	maxLibrary  = 512 << 20 // one library; the largest, for CUDA 12, has 374 MB
	maxPackage  = 1 << 30   // a package unpacked: that library and all others twice
	maxIndex    = 16 << 20  // the dynamic loader's: about 100 bytes for each library installed
)
