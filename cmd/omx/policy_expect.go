package main

import (
	"cmp"
	"errors"
	"fmt"

	"omx/policies/abi"
)

// expectation is what an answer must be. What is left out may be anything, but
// for the status, which is then ok.
type expectation struct {
	Status string          `json:"status"`
	Row    *uint32         `json:"row"`    // route: the row that is picked
	NotRow []uint32        `json:"notRow"` // route: rows that are not
	Never  []uint32        `json:"never"`  // route: rows that are kept out
	Scores []uint32        `json:"scores"` // route: all scores
	Action string          `json:"action"` // admit
	Reason *uint8          `json:"reason"` // admit
	Wait   *uint16         `json:"wait"`   // admit, tenths of a second
	Steps  *[]expectedStep `json:"steps"`  // replicate: all steps, in order
}

type expectedStep struct {
	Op       string  `json:"op"`
	Model    uint16  `json:"model"`
	Node     uint16  `json:"node"`
	Source   *uint16 `json:"source"`
	Priority *uint32 `json:"priority"`
	Budget   *uint32 `json:"budget"`
}

// check finds what cannot be expected of the case.
func (x *expectation) check(c *policyCase) error {
	if x.Status != "" {
		if _, err := named(abi.StatusNames[:], x.Status, "status"); err != nil {
			return err
		}
	}
	if x.Action != "" {
		if _, err := named(abi.ActionNames[:], x.Action, "action"); err != nil {
			return err
		}
	}
	if x.Steps != nil {
		for _, s := range *x.Steps {
			if _, err := named(abi.OpNames[:], s.Op, "op"); err != nil {
				return err
			}
		}
	}
	rows := uint32(len(c.rows))
	for _, i := range append(append([]uint32(nil), x.NotRow...), x.Never...) {
		if i >= rows {
			return fmt.Errorf("row %d is expected of %d rows: they are counted from 0", i, rows)
		}
	}
	k := c.shape.Kind
	switch {
	case x.Row != nil && *x.Row >= rows:
		return fmt.Errorf("row %d is expected of %d rows: they are counted from 0", *x.Row, rows)
	case len(x.Scores) > 0 && len(x.Scores) != len(c.rows):
		return fmt.Errorf("%d scores are expected of %d rows", len(x.Scores), len(c.rows))
	case k != abi.Route && (x.Row != nil || len(x.NotRow)+len(x.Never)+len(x.Scores) > 0):
		return errors.New("rows and scores are expected only of route")
	case k != abi.Admit && (x.Action != "" || x.Reason != nil || x.Wait != nil):
		return errors.New("an action, a reason and a wait are expected only of admit")
	case k != abi.Replicate && x.Steps != nil:
		return errors.New("steps are expected only of replicate")
	}
	return nil
}

// compare tells how an answer differs from what was expected; nil if it does not.
func (x *expectation) compare(v abi.View, a abi.Answer) error {
	want, _ := named(abi.StatusNames[:], cmp.Or(x.Status, "ok"), "status")
	if got := a.Status(); got != abi.Status(want) {
		return fmt.Errorf("status %s, want %s", got, abi.Status(want))
	}
	var errs []error
	if abi.Kind(v.Kind) == abi.Route {
		errs = append(errs, x.compareScores(v.ScoreList()))
	}
	if a.Status() == abi.OK {
		switch abi.Kind(v.Kind) {
		case abi.Route:
			errs = append(errs, x.compareRow(a.Value(), v))
		case abi.Admit:
			errs = append(errs, x.compareVerdict(a.Value()))
		case abi.Replicate:
			errs = append(errs, x.compareSteps(a.Value(), v))
		}
	}
	return errors.Join(errs...)
}

func (x *expectation) compareScores(scores []uint32) error {
	var errs []error
	for _, i := range x.Never {
		if scores[i] != abi.Never {
			errs = append(errs, fmt.Errorf("row %d is not kept out: score %d", i, scores[i]))
		}
	}
	for i, want := range x.Scores {
		if scores[i] != want {
			errs = append(errs, fmt.Errorf("row %d: score %d, want %d", i, scores[i], want))
		}
	}
	return errors.Join(errs...)
}

func (x *expectation) compareRow(row uint32, v abi.View) error {
	if row >= v.Count {
		return fmt.Errorf("picked row %d of %d", row, v.Count)
	}
	if x.Row != nil && row != *x.Row {
		scores := v.ScoreList()
		return fmt.Errorf("picked row %d (score %d), want %d (score %d)", row, scores[row], *x.Row, scores[*x.Row])
	}
	for _, i := range x.NotRow {
		if row == i {
			return fmt.Errorf("picked row %d, which it must not", row)
		}
	}
	return nil
}

func (x *expectation) compareVerdict(value uint32) error {
	action, reason, wait, ok := abi.UnpackVerdict(value)
	if !ok {
		return fmt.Errorf("answer %#x has an unknown action", value)
	}
	var errs []error
	if x.Action != "" && action.String() != x.Action {
		errs = append(errs, fmt.Errorf("action %s, want %s", action, x.Action))
	}
	if x.Reason != nil && reason != *x.Reason {
		errs = append(errs, fmt.Errorf("reason %d, want %d", reason, *x.Reason))
	}
	if x.Wait != nil && wait != *x.Wait {
		errs = append(errs, fmt.Errorf("wait %d tenths of a second, want %d", wait, *x.Wait))
	}
	return errors.Join(errs...)
}

func (x *expectation) compareSteps(n uint32, v abi.View) error {
	if n > abi.MaxSteps {
		return fmt.Errorf("%d steps, %d are possible", n, abi.MaxSteps)
	}
	if x.Steps == nil {
		return nil
	}
	var errs []error
	if int(n) != len(*x.Steps) {
		errs = append(errs, fmt.Errorf("%d steps, want %d", n, len(*x.Steps)))
	}
	for i := range min(int(n), len(*x.Steps)) {
		got, want := v.Step(i), &(*x.Steps)[i]
		if abi.Op(got.Op).String() != want.Op || got.Model != want.Model || got.Node != want.Node ||
			want.Source != nil && got.Source != *want.Source || want.Priority != nil && got.Priority != *want.Priority ||
			want.Budget != nil && got.Budget != *want.Budget {
			errs = append(errs, fmt.Errorf("step %d: %s model %d at row %d (source %d, priority %d, budget %d), want %s model %d at row %d",
				i, abi.Op(got.Op), got.Model, got.Node, got.Source, got.Priority, got.Budget, want.Op, want.Model, want.Node))
		}
	}
	return errors.Join(errs...)
}
