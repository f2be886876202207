// Package doctor says what is wrong on a machine that runs a node, or is to run
// one, and what to type next.
//
// It changes nothing: it takes no lock that a node might want, makes no folder, and
// the file by which it tries to write is gone again. It needs no node, and may look
// while one runs; then that one is asked by its own API, as anybody would ask it.
// What can be known of a part is asked of the part's package; here is only what to
// make of it: a function a check, in the table of doctor.go, and what each has to say
// in one line.
//
// Only the command line imports it: a node does not look at itself from outside.
package doctor
