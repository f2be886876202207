// Package catalog is what this node knows of nodes, models and placements.
//
// A Table collects records and observations and publishes an immutable Snapshot
// that decisions read without locks. A Store keeps the records in buntdb so that
// a restarted node knows its mesh before the first peer answers; everything in
// the store can be learned again, so it is dropped whenever it is in doubt.
//
// The package opens no socket and reads no clock: times are passed in. Every
// other package of the node may import it; it imports none of them.
package catalog
