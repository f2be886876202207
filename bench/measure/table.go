package measure

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Table is text in columns. The first column is aligned left, the others right.
type Table struct {
	Head []string
	Rows [][]string // a row of one cell spans all columns
}

// WriteText writes the table aligned with one blank between columns, indented
// by two.
func (t *Table) WriteText(w io.Writer) error {
	width := make([]int, len(t.Head))
	for _, row := range append([][]string{t.Head}, t.Rows...) {
		if len(row) == 1 {
			continue
		}
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	b := bufio.NewWriter(w)
	line := func(row []string) {
		if len(row) == 1 {
			b.WriteString(row[0] + "\n")
			return
		}
		text := " "
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				text += " " + cell + pad
			} else {
				text += " " + pad + cell
			}
		}
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	line(t.Head)
	for _, row := range t.Rows {
		line(row)
	}
	return b.Flush()
}

// WriteMarkdown writes the table in GitHub's form.
func (t *Table) WriteMarkdown(w io.Writer) error {
	b := bufio.NewWriter(w)
	write := func(row []string) {
		var cells []string
		for _, c := range row {
			cells = append(cells, strings.ReplaceAll(c, "|", `\|`))
		}
		for len(cells) < len(t.Head) {
			cells = append(cells, "")
		}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	write(t.Head)
	b.WriteString("|---" + strings.Repeat("|---:", len(t.Head)-1) + "|\n")
	for _, row := range t.Rows {
		write(row)
	}
	return b.Flush()
}

// Wrap breaks text at blanks into lines of at most width columns, each begun
// with indent.
func Wrap(text, indent string, width int) string {
	var out strings.Builder
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(indent+line+" "+word) > width {
			out.WriteString(indent + line + "\n")
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		out.WriteString(indent + line + "\n")
	}
	return out.String()
}

// WriteText writes tables for a terminal, below the machine and how they were made.
func WriteText(w io.Writer, m Machine, made string, tables []*Table) error {
	fmt.Fprintf(w, "%s\n\n%s\n", m, strings.TrimRight(made, "\n"))
	for _, t := range tables {
		fmt.Fprintln(w)
		if err := t.WriteText(w); err != nil {
			return err
		}
	}
	return nil
}

// WriteMarkdown writes tables for a document, above how they were made.
func WriteMarkdown(w io.Writer, made string, tables []*Table) error {
	for _, t := range tables {
		if err := t.WriteMarkdown(w); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintln(w, strings.TrimRight(made, "\n"))
	return err
}
