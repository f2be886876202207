// Package text joins the bytes of tokens to text that can be shown.
//
// Imported by engine and worker; it imports nothing of omx.
package text
