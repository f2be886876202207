// Package blob keeps the model files of one machine and the names that point at
// them. A file is stored once, under the SHA-256 of its bytes; a name is a small
// manifest beside it. Whether a file is a usable model is not judged here: who
// calls brings a Check. Package node and the command line may import it.
//
//	blobs/sha256-HEX     whole, verified files
//	manifests/m-NAME.json what a model's name points at, with a checksum
//	partial/             what is on its way: uploads, imports, downloads that can
//	                     go on, and when a blob without a name was last asked for
//	lock                 held while names or blobs change, never for longer
//
// Several processes may use one folder at once. What a call has acknowledged is on
// the disk; what a crash cuts off is in partial/ only, where the next Open or GC
// finds it. No goroutine outlives a call.
package blob
