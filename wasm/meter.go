package wasm

// meter returns the module with fuel: one more global, exported as fuelExport,
// from which every function entry, loop iteration and bulk operation takes what
// it is about to cost, and which traps below zero. No index of the module moves.
//
// A function entry pays entryCost, one per local, parameter and result, and for
// each instruction of its whole body; each pass of a loop pays for the
// instructions of the loop without the loops in it. So work is bounded by fuel,
// and so is the stack: a frame holds no more values than those. Instructions pay
// one, those that take many times as long as others more. Branches pay for both
// arms: the cost is an upper bound, and known when loaded.
//
// Its memory is declared with a largest size, so that the engine reserves that
// once and growing never moves what the host has a window on.
func (m *module) meter(lim *Limits) ([]byte, error) {
	out := append([]byte(nil), magicCore...)
	// What stands in it until the host sets a budget pays for the start function.
	const mutable = 1
	global := appendS64([]byte{typeI64, mutable, opI64Const}, int64(lim.FuelLoad))
	global = append(global, opEnd)
	export := append(appendU32(nil, uint32(len(fuelExport))), fuelExport...)
	export = appendU32(append(export, kindGlobal), m.globals)

	sections := withItem(m.sections, secGlobal, global)
	sections = withItem(sections, secExport, export)
	for _, s := range sections {
		body := s.body
		switch s.id {
		case secMemory:
			body = m.memorySection(lim)
		case secCode:
			var err error
			if body, err = m.meterCode(lim); err != nil {
				return nil, err
			}
		}
		out = append(out, s.id)
		out = appendU32(out, uint32(len(body)))
		out = append(out, body...)
	}
	return out, nil
}

// withItem adds an item to the end of a section, made where it belongs if it is
// not there.
func withItem(sections []section, id byte, item []byte) []section {
	var out []section
	done := false
	for _, s := range sections {
		switch {
		case s.id == id:
			r := &reader{b: s.body}
			n := r.u32()
			s.body = append(append(appendU32(nil, n+1), s.body[r.at:]...), item...)
			done = true
		case !done && order[s.id] > order[id]:
			out = append(out, section{id, append([]byte{1}, item...)})
			done = true
		}
		out = append(out, s)
	}
	if !done {
		out = append(out, section{id, append([]byte{1}, item...)})
	}
	return out
}

// limit is how many pages a memory may grow to.
func (s *sizes) limit(lim *Limits) uint32 {
	if s.hasMax {
		return min(s.max, lim.MemoryPages)
	}
	return lim.MemoryPages
}

func (m *module) memorySection(lim *Limits) []byte {
	b := appendU32(nil, uint32(len(m.memories)))
	for _, mem := range m.memories {
		b = appendU32(append(b, 1), mem.min)
		b = appendU32(b, mem.limit(lim))
	}
	return b
}

func (m *module) meterCode(lim *Limits) ([]byte, error) {
	out := appendU32(nil, uint32(len(m.bodies)))
	locals, shape := 0, uint64(0)
	for i, body := range m.bodies {
		f := fn{globals: m.globals, signature: m.types[m.funcs[i]]}
		if err := f.scan(body); err != nil {
			return nil, refuse("function %d %w", i, err)
		}
		// The engine makes room for the locals of all functions at once.
		if locals += int(f.locals); locals > maxLocalsInAll {
			return nil, refuse("has more than %d locals", maxLocalsInAll)
		}
		if shape += f.shape(); shape > lim.shape() {
			return nil, refuse("is too intricate to compile quickly, at function %d: use fewer branches and loops in one function%s", i, lim.advice())
		}
		b := f.rewrite(body)
		out = appendU32(out, uint32(len(b)))
		out = append(out, b...)
	}
	return out, nil
}

// Meter is a module as the host compiles it: with fuel, whose export is "omx.fuel".
// The host does this itself; it is here for those who compare.
func Meter(code []byte, lim Limits) ([]byte, error) {
	lim = lim.withDefaults()
	m, err := inspect(code)
	if err != nil {
		return nil, err
	}
	return m.meter(&lim)
}
