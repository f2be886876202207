//go:build !linux

package catalog

// StoreUser says which process has the store in dir open: this system does not tell.
func StoreUser(string) (pid int) { return 0 }
