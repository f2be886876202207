// Package libffi turns a missing libffi.so.8 into one clear line.
//
// The binding of the engine libraries opens libffi while its package is
// initialised, before main, and panics when it is not there: even for commands
// that need no engine. Go initialises packages in the order of their paths as
// soon as their imports are ready; this one imports only syscall, so it is ready
// before os, which the binding needs. It looks where the dynamic loader would
// and ends the program with a message a person can act on.
//
// Imported for its effect by the package that links the binding; it must not
// import anything but syscall.
package libffi
