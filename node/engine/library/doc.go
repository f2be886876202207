// Package library installs and finds the engine libraries: llama.cpp as built
// for each platform by the npm packages @node-llama-cpp/…
//
// The binding passes structures by value, so libraries of another version could
// load and then corrupt memory. This package therefore accepts exactly one
// version: every file has its SHA-256 pinned here, is compared with it before it
// is published, and the published folder is checked again before each use.
//
// It does not load the libraries; package worker does. Imported by engine and
// worker.
//
// # Changing the version
//
// For each platform P (linux-x64, linux-arm64) and version V:
//
//	npm pack @node-llama-cpp/P@V && tar xzf node-llama-cpp-P-V.tgz
//	(cd package/bins/P && sha256sum libllama.v*.so libggml*.so) > P/sha256sums
//
// Then set V in P/package.json, V and the "sha512-" digest of the .tgz
// (openssl dgst -sha512 -binary | base64 -w0) in P/package-lock.json, without a
// "resolved" line so that any registry serves, and in Version; run the tests of
// package engine on each platform.
package library
