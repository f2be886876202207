//go:build !race

package gguf

const slower = 1
