package wasm

import "syscall"

// noHugePage keeps one touched byte from taking up 2 MiB (MADV_NOHUGEPAGE).
const noHugePage = 15

func mapMemory(size int) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	_ = syscall.Madvise(b, noHugePage) // kernels without huge pages refuse it
	return b, nil
}

func unmapMemory(b []byte) {
	if len(b) > 0 {
		_ = syscall.Munmap(b) // it is what mapMemory gave, which is all that could be wrong
	}
}
