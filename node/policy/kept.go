package policy

import (
	"cmp"
	"slices"

	"omx/policies/abi"
)

// Kept is a policy that a node's folder says there is for a kind.
type Kept struct {
	Kind    abi.Kind
	Role    string // "active", "last good" or "shadow"
	Name    string
	Builtin bool    // it is a part of this program
	Module  *Module // nil if Err is set
	Err     error   // why its module cannot be read, or is not that of its digest
}

// ReadKept lists what a folder says of policies, by kind, the active one first. It
// changes nothing, so a node may use the folder meanwhile. The error says that it is
// not known what decided; a folder that is not there has nothing.
func ReadKept(dir string) (list []Kept, err error) {
	s, err := readState(dir)
	if err != nil {
		return nil, err
	}
	for name, ks := range s.Kinds {
		kind, _ := abi.ParseKind(name) // readState takes no others
		for _, r := range []struct {
			role string
			kept *kept
		}{{"active", ks.Active}, {"last good", ks.Last}, {"shadow", ks.Shadow}} {
			if r.kept == nil {
				continue
			}
			k := Kept{Kind: kind, Role: r.role, Name: r.kept.Name, Builtin: r.kept.Builtin}
			k.Module, k.Err = r.kept.module(dir)
			list = append(list, k)
		}
	}
	slices.SortStableFunc(list, func(a, b Kept) int { return cmp.Compare(a.Kind, b.Kind) })
	return list, nil
}
