package doctor

import "time"

// Bounds on how long it looks and on what it is told.
const (
	// patience is for all of it: drivers of several GPUs take seconds each.
	patience = 10 * time.Second
	// graceTime is for what ends with its context: a worker process, mostly.
	graceTime = time.Second
	// askTimeout is for one answer of the node: it is on this machine, mostly.
	askTimeout = 2 * time.Second
	maxAnswer  = 8 << 20 // bytes of one

	// underWay is how long ago a download that goes on had a byte, at most: the store
	// gives up a connection that brings none for a minute.
	underWay = time.Minute
	// clockSkew is by how much a file's time may be ahead: of a network folder it is
	// another machine's.
	clockSkew = 5 * time.Minute

	maxFindings  = 16       // lines of one check
	maxNamed     = 3        // nodes or models named in one line
	maxAddresses = 16       // of this machine, at which the API is tried
	maxProcesses = 1 << 16  // looked through for who has a socket
	maxFiles     = 1 << 20  // open files of one of them
	maxSockets   = 64 << 20 // bytes of the system's list: 150 for each
	maxProcFile  = 64 << 10 // bytes of any other file of the system

	// maxTried is how many bytes of kept policies are compiled: those of rules, C, Rust
	// and AssemblyScript have some KiB and take a millisecond, those of Go a second.
	maxTried = 256 << 10
)

// From where on a figure is worth a line of advice.
const (
	lowDisk   = 5e9     // bytes: a model of 8 B parameters in 4 bits
	lowMemory = 1 << 30 // bytes: one of 1 B parameters, with room for its context

	// needFiles is how many files a node may have open: a connection for each of 2000
	// clients that an answer streams to, three pipes and two more for each of 64
	// models, and the rest; an idle node with a model has 30 (2026-11). Connections of
	// the mesh, 100 of them, share one socket.
	needFiles = 2000 + 64*5 + 180
	// fullFiles is from which share on, in tenths, a node is about to run out of them.
	fullFiles = 9
)
