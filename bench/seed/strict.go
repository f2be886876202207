package seed

import (
	"context"
	"errors"
	"fmt"
	"io"

	"omx/bench/measure"
)

// strictly measures the cases, and fails where one says by its note that it went
// wrong. It looks at every repeat's: a series keeps the last one only.
func strictly(ctx context.Context, cases []measure.Case, cfg measure.Config, progress io.Writer, wrong func(note string) bool) ([]measure.Series, error) {
	var failed []error
	watched := make([]measure.Case, len(cases))
	for i, c := range cases {
		watched[i] = c
		watched[i].Start = func(workers int) (*measure.Run, error) {
			run, err := c.Start(workers)
			if err != nil || run.Close == nil {
				return run, err
			}
			end := run.Close
			run.Close = func() string {
				note := end()
				if wrong(note) {
					failed = append(failed, fmt.Errorf("%s, %s: %s", c.Name, c.Variant, note))
				}
				return note
			}
			return run, nil
		}
	}
	all, err := measure.Cases(ctx, watched, cfg, progress)
	return all, errors.Join(append(failed, err)...)
}
