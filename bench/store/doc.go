// Package store measures what a node keeps of its mesh: questions to the store
// beside the same questions to the snapshot that decisions read, what it takes to
// write the store and to find it again, and what becomes of damaged files. Not
// measured: power that fails while a real disk writes, and devices' flash. Package
// bench and the command line may import it.
package store
