package mesh

import (
	"crypto/ed25519"
	"time"

	"omx/node/mesh/member"
)

// Every bound on what a peer can make this node hold, wait for or repeat.
const (
	// MaxRequest bounds a request's payload: a prompt of a million tokens is
	// about 4 MiB of text.
	MaxRequest = 4 << 20
	// MaxFrame bounds every other payload: a token frame is tens of bytes, a
	// record with many models some tens of KiB.
	MaxFrame = 64 << 10
	// MaxTrailer bounds what ends an answer: calls of tools carry whole files.
	MaxTrailer = 4 << 20
	// MaxToken bounds the text of one token frame, beside its 4-byte count.
	MaxToken = MaxFrame - tokenHead

	// maxSigned bounds a record that is passed on, signature and all: of some 100
	// models; what does not fit is left out.
	maxSigned = 8 << 10
	maxBrief  = maxSigned - ed25519.SignatureSize

	maxMessage    = 1 << 10   // bytes of a refusal's or failure's message
	maxRetryAfter = time.Hour // longer hints are cut: nobody waits for them
	maxAge        = 24 * time.Hour
	maxAddrs      = 8       // addresses dialled per peer
	maxAddrText   = 256     // bytes of an address in a record
	maxModelText  = 128     // of a model's name
	digestLen     = 32      // of a model file's SHA-256
	maxKeyFile    = 4 << 10 // an Ed25519 key file is 68 bytes
	maxPeers      = 4096    // listed peers: one goroutine each

	defaultMaxConns = 100 // connections: memory, and a heartbeat each

	writeChunk  = 64 << 10 // bytes under one write deadline
	readBuffer  = 1 << 10  // first buffer of a stream: most requests and all tokens fit
	maxEmptyRun = 16       // reads without progress before a reader gives up

	prefaceTimeout = 5 * time.Second  // first two bytes of a stream
	requestTimeout = 30 * time.Second // whole request: 4 MiB at 1.2 Mbit/s
	openTimeout    = 5 * time.Second  // waiting for a stream credit

	// A request stream that has served is kept for the next request: opening one
	// costs twice the round trip's processor time. The asking end gives it up well
	// before the answering end does, so that a request never meets an end.
	defaultKeep = 16 // idle ones per peer
	keepFor     = 20 * time.Second
	keepServed  = 3 * keepFor
	watchAfter  = 2 * time.Millisecond // into an answer: then the peer's wish to end it counts
	keepBuffer  = 64 << 10             // bytes; a larger buffer is not kept with its stream

	// A ticket is good for so long and so many requests. The serving end takes it as long
	// again as a request may take to arrive, and remembers so many on a connection.
	ticketTime   = 30 * time.Second
	ticketUses   = 4096
	ticketWindow = 256

	// The watcher. On a LAN a peer that has gone is suspect 100 ms after its last packet,
	// at a round trip of 50 ms after 150 ms and what its round trips vary by: two pings
	// on, and as long as a machine that computes on all its cores may take to come to
	// them. QUIC itself may take 25 ms to acknowledge one.
	watchTick   = 10 * time.Millisecond
	probeAfter  = 30 * time.Millisecond // of quiet
	probeEvery  = 40 * time.Millisecond
	minPings    = 2 // one may be lost
	stallGrace  = 60 * time.Millisecond
	unknownRTT  = 100 * time.Millisecond // QUIC's own guess before it has measured is 333 ms
	watchLinger = 100                    // ticks without work before the watcher rests

	lateTick    = 5 * watchTick // this node has not kept up
	healthAfter = time.Second   // of keeping up make up for once of that
	maxHealth   = 8             // Lifeguard's

	askOthers   = 3                      // SWIM's k
	inquiryTime = 100 * time.Millisecond // beside three times the limit of a ping: a round trip there and back
	maxAsks     = 64                     // questions and answers that wait for the watcher; more are dropped
	maxAskers   = 8                      // who wait for word of one peer
	maxControl  = 16                     // frames that wait on one control stream

	// yieldDial is how long the node with the larger identity waits before its
	// first dial, so that of two nodes' dials few cross.
	yieldDial = 250 * time.Millisecond
	fullWait  = 10 * time.Second // before looking for room in a full pool again
	// stableAfter is how long a connection must have lived to count as good:
	// before that, losing it lengthens the wait for the next dial.
	stableAfter = 10 * time.Second

	// Relays. A packet of a connection through one is as long as QUIC's shortest longest,
	// and fits with its head into a datagram of the connection to the relay.
	circuitPacket   = 1200                   // at first; more where the path allows
	maxPassedPacket = 1500                   // with its head
	maxCircuitInbox = 512                    // packets that QUIC has not read yet
	maxWays         = 1000                   // nodes reached through relays: as many as there may be members
	maxPassed       = 64                     // packets that wait for one node at a relay
	passRate        = 8 << 20                // bytes a second that a relay passes on, all together
	passBurst       = 1 << 20                // bytes
	maxRelays       = 2                      // that a node tells others of
	maxAddrBytes    = 255                    // of one address
	passingFor      = 30                     // s after its last packet that a relay is not given up
	relayAfter      = 500 * time.Millisecond // a direct dial has had
	punchTime       = 3 * time.Second        // for a try to get past the relay
	punchEvery      = 5 * time.Second        // doubled each time
	punchMost       = 5 * time.Minute
	knocks          = 10 // rounds of packets to make a router let the other side in
	knockEvery      = 100 * time.Millisecond

	// A connection whose place another has taken: how many seconds without a request,
	// or without a packet, end it.
	lingerTicks = 2
	lingerDeaf  = 3

	// Lanes. A machine that fetches opens at most eight, and twice that while it begins
	// anew; each has buffers of some MiB.
	maxPeerLanes = 16
	maxLanes     = 64
	// A mesh of more members than connections. Nine of ten connections, about, are with
	// neighbours; the others are for requests to who is none. Who has fewer than low
	// neighbours looks for more, and who has as many as high makes room for one that
	// does: at 1000 members two nodes have some 7 neighbours in common.
	spareShare = 8                      // one connection in 8 is not kept
	lowShare   = 4                      // of those that may be, one in 4 is left to members that no neighbour hears
	givenFor   = 2 * time.Second        // who was given up is not taken back
	giveEvery  = 200 * time.Millisecond // neighbours are given up one by one

	maxEntries = 256      // wants or words in one frame
	maxWishes  = 4 * 1024 // that wait on one control stream
	maxKnown   = member.MaxMembers + maxUnproven
	knownTime  = 2 * time.Second // for a neighbour to say which adverts it has
	// turnTime is for another neighbour's word to come that it hears a member, after
	// nobody does and none has said that it is lost.
	turnTime  = 500 * time.Millisecond
	gapAfter  = 500 * time.Millisecond // unheard, before a member is dialled beside those kept
	seekAfter = 3 * gapAfter           // unheard, before neighbours are asked who hears it
	seekEvery = time.Second            // after one was named
	maxSeeks  = 16                     // members at a time
	// nearerBy is how much nearer a neighbour must be to be asked of one member more
	// than another.
	nearerBy = 2 * time.Millisecond

	// A node signs its record when its facts change and now and then, for who passes
	// it on; 1000 members are 100 checks a second when idle and 500 at most, some 3 %
	// of a core.
	signEvery  = 2 * time.Second
	signBeat   = 10 * time.Second
	staleFor   = 4 * signBeat    // without a newer record a neighbour's word counts no more
	firstFor   = 5 * time.Second // nor without the first
	passEvery  = time.Second     // between two records of one member on one session
	recordRate = 32 << 10        // bytes of records passed on in a second on one session, half of it at once
	maxChecks  = 256             // signatures checked in a second for one session, and its questions

	// reachTime is how long a request waits for a connection with a member that has
	// none, before the next one is asked, and how long any dial takes at most in a mesh
	// where there are others to dial: QUIC asks four times in it.
	reachTime = 2 * time.Second
	missedFor = 30 * time.Second // no request is sent where a dial has failed
	crossings = 3                // dials in a row that meet one of the peer's

	// Strangers: a whole shop may join from behind one address at a time, and a
	// wrong guess costs a second of anybody's time.
	maxVisitors      = 16              // connections of nodes that are no members yet
	maxHangUps       = 20              // until a node that joins takes the door for shut: some 6 s
	visitTime        = 5 * time.Second // each has to join, renew or show a credential
	maxMemberRequest = 256             // bytes of what one asks for
	failWindow       = time.Minute
	maxFailures      = 60   // wrong proofs in it, from everywhere
	maxSourceFails   = 5    // from one IPv4 address or IPv6 /64
	maxSources       = 1024 // remembered; when there are more, all are forgotten

	maxUnproven   = 64 // peers that only a word on the local network says exist
	triesUnproven = 5  // dials of such a one
	// forgetAfter is how long a member may have been away until its address is not
	// kept over a restart.
	forgetAfter = 30 * 24 * time.Hour
	maxPause    = 15 * time.Second // between two dials of a member that is off
	maxGapPause = 5 * time.Minute  // where it is not this node alone that dials it
	// tellPause bounds how fast one member that says ever new things can have the
	// others pass them on.
	tellPause  = 100 * time.Millisecond
	renewEvery = 10 * time.Second
	renewTime  = 5 * time.Second
	leaveTime  = 500 * time.Millisecond // for peers to hear that this node leaves
)
