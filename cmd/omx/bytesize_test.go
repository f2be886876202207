package main

import "testing"

func TestByteSize(t *testing.T) {
	for text, want := range map[string]byteSize{"0": 0, "1000": 1000, "12GiB": 12 << 30, "1.5 GiB": 3 << 29, "800mb": 800e6, "7G": 7 << 30, "9kB": 9000, "5B": 5} {
		var b byteSize
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%s: %d, %v, want %d", text, b, err, want)
		}
	}
	for _, text := range []string{"", "GiB", "-1GiB", "12XiB", "1e30TiB", "NaN", "inf", "0x10 MiB MiB"} {
		var b byteSize
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%s: %d", text, b)
		}
	}
}
