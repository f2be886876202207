// Package rules compiles rules files into policies, for operators without a
// compiler: filters, weighted figures and thresholds in TOML become a core
// WebAssembly module of some hundred bytes. RULES.md, beside this folder, is the
// reference of the language.
//
//	text → parse: expressions → check: names, types, ranges → gen: instructions → module
//
// All numbers are whole and have 64 bits. What an expression can amount to is
// known when it is compiled, from the widths of the fields: one that could
// overflow is refused, so that the code needs no checks.
//
// The module goes through the same checks, metering and limits as any other. The
// package reads no file and no clock. It imports policies/abi, where the names of
// all figures come from; cmd/omx and tests import it.
package rules
