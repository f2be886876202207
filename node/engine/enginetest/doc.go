// Package enginetest is the suite that every engine passes: the simulated one, the
// one of worker processes, and those that ask another server. It sees no more of an
// engine than package engine promises.
//
// It is for tests only and in no program.
package enginetest
