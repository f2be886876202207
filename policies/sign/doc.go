// Package sign signs policies and says who signed them, offline: ed25519 over a
// module's SHA-256, in small text files that people can read and compare.
//
//	key         omx-key-1 BASE64            kept secret by who signs
//	public key  omx-pub-1 BASE64 NAME       a line of a trust file
//	signature   omx-sig-1 KEYID BASE64      a line of MODULE.wasm.sig
//
// The package imports the standard library only. cmd/omx and node import it.
package sign
