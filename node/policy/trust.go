package policy

import (
	"fmt"

	"omx/node/files"
	"omx/policies/sign"
)

const maxTrust = 64 << 10 // bytes: hundreds of keys

// ReadTrust reads a file of the keys whose signatures count.
func ReadTrust(path string) (sign.Trust, error) {
	text, err := files.ReadBounded(path, maxTrust)
	if err != nil {
		return sign.Trust{}, fmt.Errorf("read trust file: %w", err)
	}
	trust, err := sign.ParseTrust(text)
	if err != nil {
		return sign.Trust{}, fmt.Errorf("%s: %w", path, err)
	}
	return trust, nil
}
