// Command order links the binding as omx does, to show what is initialised when.
package main

import (
	_ "github.com/hybridgroup/yzma/pkg/llama"

	_ "omx/node/engine/libffi"
)

func main() {}
