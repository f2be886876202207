package frame

// Hardware is what the engine libraries found to run models on.
type Hardware struct {
	Devices []Device `json:"devices"`
	CPU     string   `json:"cpu_variant"` // the library that was chosen for this CPU; "" if unknown
	System  string   `json:"system_info"` // llama.cpp's own line
	Notes   []string `json:"notes,omitempty"`
}

// Device is one of them.
type Device struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Kind        string `json:"kind"`    // cpu, gpu, igpu, accelerator
	Backend     string `json:"backend"` // as the library names it
	Free        uint64 `json:"free_bytes"`
	Total       uint64 `json:"total_bytes"`
}
