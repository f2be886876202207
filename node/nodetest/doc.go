// Package nodetest is what the tests of several packages need alike: waiting for
// what another goroutine does, asking over HTTP, names, the engine libraries, and
// sockets that lose packets, virtual time.
//
// It is for tests only and in no program: whoever imports it is a test, or a package
// for tests. It imports node/catalog alone, so that every other package may use it.
package nodetest
