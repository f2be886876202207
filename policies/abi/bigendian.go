//go:build armbe || arm64be || m68k || mips || mips64 || mips64p32 || ppc || ppc64 || s390 || s390x || shbe || sparc || sparc64

package abi

// Views are written in place, as the processor lays numbers out.
var _ = omx_needs_a_little_endian_processor
