package sim

import "fmt"

// Device is a kind of machine, by how fast it runs a model of 7 to 8 billion
// weights in four bits.
type Device struct {
	Name    string  `json:"name"`
	Prefill float64 `json:"prefill"` // prompt tokens per second
	Decode  float64 `json:"decode"`  // output tokens per second of one stream
	// Batch is how much longer a decoding step takes per further stream, as a
	// share of the step of one.
	Batch  float64 `json:"batch"`
	Slots  int     `json:"slots"` // requests that run at once
	Source string  `json:"source"`
}

// batchM is the step's growth per stream that llama.cpp shows on Apple's Metal:
// 79.0, 136.4 and 224.5 tokens/s at 1, 2 and 4 streams of a 7B model (pull
// request 16894 of ggml-org/llama.cpp). For other devices it is an assumption.
const batchM = 0.136

// Published figures of others, each from few runs; a fleet's own measurements
// should take their place. Slots are an assumption throughout.
var (
	RaspberryPi5  = Device{"Raspberry Pi 5", 7, 2.1, 0.5, 1, "geerlingguy/ai-benchmarks 1, 7, 70 (8B Q4_K_M); prefill is an estimate"}
	IntelN100     = Device{"Intel N100", 6.53, 3.01, 0.5, 1, "brand-o/normiebench 38 (8B Q4_K_M)"}
	MacBookAirM1  = Device{"MacBook Air M1 8GB", 87.3, 9.72, batchM, 1, "XiongjieDai/GPU-Benchmarks-on-LLM-Inference (8B Q4_K_M)"}
	MacMiniM4     = Device{"Mac mini M4", 224.8, 20.9, batchM, 4, "brand-o/normiebench 3, geerlingguy/ai-benchmarks 2 (8B Q4_K_M)"}
	MacM1Max      = Device{"Mac M1 Max", 355, 34.5, batchM, 4, "XiongjieDai/GPU-Benchmarks-on-LLM-Inference (8B Q4_K_M)"}
	RTX4070Laptop = Device{"RTX 4070 Laptop 8GB", 2365, 48.1, batchM, 4, "brand-o/normiebench 4 (8B Q4_K_M)"}
	RTX3090       = Device{"RTX 3090 24GB", 3865, 111.7, batchM, 8, "XiongjieDai/GPU-Benchmarks-on-LLM-Inference (8B Q4_K_M)"}
)

// Devices are the profiles there are.
func Devices() []Device {
	return []Device{RaspberryPi5, IntelN100, MacBookAirM1, MacMiniM4, MacM1Max, RTX4070Laptop, RTX3090}
}

func (d *Device) validate() error {
	if !inRange(d.Prefill, 0.1, 1e6) || !inRange(d.Decode, 1, 1e5) || !inRange(d.Batch, 0, 1) || d.Slots < 1 || d.Slots > maxSlots || d.Decode > d.Prefill {
		return fmt.Errorf("scenario: device %q: prefill 0.1 to 1e6 and decode 1 to 1e5 tokens/s, prefill the faster, batch 0 to 1, slots 1 to %d", d.Name, maxSlots)
	}
	return nil
}

// prefillNS is nanoseconds per prompt token.
func (d *Device) prefillNS() int64 { return int64(1e9 / d.Prefill) }

// decodeUS is microseconds per output token of one stream.
func (d *Device) decodeUS() int64 { return int64(1e6 / d.Decode) }

// slowdown is how much longer a step of n streams takes than one of one, in
// 1/1024. Whatever the batch, tokens do not come faster than a prompt is read:
// the device computes no faster.
func (d *Device) slowdown(n int) int64 {
	s := max(1+d.Batch*float64(n-1), float64(n)*d.Decode/d.Prefill)
	return max(1024, int64(s*1024))
}

// capacity is requests per second of the given mean lengths when every slot is
// busy.
func (d *Device) capacity(prompt, output float64) float64 {
	step := float64(d.decodeUS()) / 1e6 * float64(d.slowdown(d.Slots)) / 1024 / float64(d.Slots)
	return 1 / (prompt/d.Prefill + max(output-1, 0)*step)
}

// deal gives n nodes their devices, kind after kind, each its share.
func deal(shares []DeviceShare, n int) []*Device {
	weights := make([]float64, len(shares))
	for i := range shares {
		weights[i] = shares[i].Share
	}
	c := newChooser(weights)
	total := c[len(c)-1]
	out := make([]*Device, 0, n)
	for i := range shares {
		for len(out) < int(c[i]/total*float64(n)+0.5) {
			out = append(out, &shares[i].Device)
		}
	}
	for len(out) < n {
		out = append(out, &shares[len(shares)-1].Device)
	}
	return out
}
