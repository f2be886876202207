package blob

import "time"

// Bounds that callers may need.
const (
	MaxBlob     = 1 << 40   // bytes of one file: 1 TiB is more than the memory of any machine that would load it
	MaxParams   = 256 << 10 // bytes of a manifest's Params: templates of chat models reach 20 KiB
	MaxSource   = 2 << 10   // bytes of a manifest's Source: what browsers take as an address
	MaxAdapters = 16        // of one model: more than anybody puts together
	MaxModels   = 10_000    // names in one store: ten times what a hoarder's disk holds

	// MinAge is how long, at least, a blob that nobody has named yet is kept after
	// it was put or asked for: Ollama's client sends blobs first and names them after.
	MinAge = 10 * time.Minute

	// MinFree bytes stay free on the disk: a node that fills it takes the machine's
	// logs and its own catalog down.
	MinFree = 256 << 20
)

const (
	maxManifest = MaxParams + 2*MaxSource + 4<<10 // bytes of the file: quotes may double Source
	maxFileName = 255                             // bytes: ext4, APFS and NTFS alike
	maxFiles    = 4 * MaxModels                   // in one folder: blobs without a name, marks and downloads besides

	bufferSize = 1 << 20  // bytes read at once: progress and cancelling are as fine as this
	syncEvery  = 64 << 20 // bytes between writes to the disk proper, and looks at its free space

	lockWait = 10 * time.Second      // for a lock that is held for milliseconds
	lockPoll = 10 * time.Millisecond // between tries
	lockGone = 100                   // tries, if the file vanishes while it is being locked

	// mtimeGrain is how coarse a file system may stamp changes: FAT has 2 s. A
	// folder that changed within it may change again without showing it.
	mtimeGrain = 2 * time.Second

	maxRedirects  = 5           // the hub of models needs 2
	maxTries      = 6           // downloads in a row that bring nothing new: a minute with the waits between
	triedProgress = 1 << 20     // bytes that count as something new
	firstBackoff  = time.Second // doubled after each try
	maxBackoff    = 30 * time.Second
	stallAfter    = time.Minute        // without a byte a connection is given up
	partialAge    = 7 * 24 * time.Hour // a download that nobody continued is removed
	maxURL        = MaxSource
	maxETag       = 256     // bytes; a longer one is as good as none
	maxState      = 4 << 10 // bytes of what is noted of a download

	// Lanes: pieces so large that a round trip between two is little, so small that
	// those that wait for their turn, one for each lane and one more, are some MiB.
	pieceSize    = 2 << 20
	defaultLanes = 8
	laneStall    = 5 * time.Second // without a byte; a burst of losses may hold one back for 2
	widenEvery   = time.Second
	widenVain    = 3       // lanes in a row that brought nothing
	maxLaneError = 4 << 10 // bytes of an answer that is no piece

	maxTree     = 4 << 20          // bytes of a repository's list of files: 1000 entries of 300
	maxHubWord  = 128              // bytes: the hub allows 96 for a repository
	treeTimeout = 30 * time.Second // for a list of files
	maxChoice   = 12               // files named in an error
)
