package testnet

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// WriteTable prints the comparison in at most 80 columns.
func (r *Result) WriteTable(w io.Writer) error {
	var b strings.Builder
	s := &r.Scenario
	fmt.Fprintf(&b, "%d nodes at %d sites, %d requests, %.4g a second, %s\n", s.Nodes, s.Sites, s.Requests, r.rate(), r.seedText())
	fmt.Fprintf(&b, "good: first token within %.4g s, later ones %.4g ms apart in the mean\n\n", float64(s.SLO.TTFT)/1e6, float64(s.SLO.TPOT)/1e3)
	const row = "%-15s %-8s %7s %7s %7s %7s %7s %7s %6s\n" // 80 columns
	fmt.Fprintf(&b, "%-15s %-8s %-23s %7s\n", "", "", "  TTFT, s", "E2E, s")
	fmt.Fprintf(&b, row, "policy", "digest", "p50", "p90", "p99", "p90", "goodput", "refused", "wall")
	for _, c := range r.cells() {
		fmt.Fprintf(&b, row, clip(c[0], 15), c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8])
	}
	b.WriteByte('\n')
	for _, line := range r.verdicts() {
		b.WriteString(wrap(line, ""))
	}
	for _, p := range r.Policies {
		var prints []string
		for _, run := range p.Runs {
			prints = append(prints, run.Fingerprint[:12])
		}
		b.WriteString(wrap(fmt.Sprintf("fingerprint %s: %s", p.Name, strings.Join(prints, " ")), "  "))
	}
	b.WriteString("\nNot modelled:\n")
	for _, line := range r.NotModelled {
		b.WriteString(wrap("- "+line, "  "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteMarkdown prints the comparison for a document.
func (r *Result) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	s := &r.Scenario
	fmt.Fprintf(&b, "%d nodes at %d sites, %d requests, %.4g a second, %s. Good means a first token within %.4g s and later ones %.4g ms apart in the mean.\n\n",
		s.Nodes, s.Sites, s.Requests, r.rate(), r.seedText(), float64(s.SLO.TTFT)/1e6, float64(s.SLO.TPOT)/1e3)
	b.WriteString("| policy | digest | TTFT p50 | TTFT p90 | TTFT p99 | E2E p90 | goodput | refused | wall | fingerprint |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|---|\n")
	for i, c := range r.cells() {
		fmt.Fprintf(&b, "| %s | `%s` | %s s | %s s | %s s | %s s | %s | %s | %s | `%s` |\n",
			strings.NewReplacer("|", "\\|", "\n", " ").Replace(c[0]), c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8], r.Policies[i].Runs[0].Fingerprint[:12])
	}
	b.WriteString("\n")
	for _, line := range r.verdicts() {
		b.WriteString(line + "\n")
	}
	b.WriteString("\nNot modelled:\n\n")
	for _, line := range r.NotModelled {
		b.WriteString("- " + line + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteJSON prints everything there is.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// cells are the texts of the table, a row per policy.
func (r *Result) cells() [][9]string {
	rows := make([][9]string, len(r.Policies))
	for i, p := range r.Policies {
		m := &p.Mean
		rows[i] = [9]string{p.Name, p.Digest[:8], seconds(m.TTFT50), seconds(m.TTFT90), seconds(m.TTFT99), seconds(m.E2E90),
			percent(m.Goodput), percent(m.Refused), fmt.Sprintf("%.1fs", p.Wall.Seconds())}
	}
	return rows
}

// verdicts are sentences on who wins, and on policies that did not decide all.
func (r *Result) verdicts() []string {
	var out []string
	for i, p := range r.Policies {
		if v := p.Versus; i > 0 {
			out = append(out, fmt.Sprintf("%s against %s: goodput %+.1f points; better on %d of %d seeds, worse on %d.",
				p.Name, r.Policies[0].Name, v.Points, v.Better, len(r.Seeds), v.Worse))
		}
		faults, decisions := 0, 0
		for _, run := range p.Runs {
			faults, decisions = faults+run.Faults, decisions+run.Decisions
		}
		if faults > 0 {
			out = append(out, fmt.Sprintf("%s failed %d of %d decisions; the built-in rule took them, and all after it was set aside.", p.Name, faults, decisions))
		}
	}
	return out
}

func (r *Result) rate() float64 { return r.Policies[0].Runs[0].Rate }

func (r *Result) seedText() string {
	if len(r.Seeds) == 1 {
		return fmt.Sprintf("seed %d", r.Seeds[0])
	}
	return fmt.Sprintf("means over seeds %d to %d", r.Seeds[0], r.Seeds[len(r.Seeds)-1])
}

func seconds(s float64) string {
	if s >= 100 {
		return fmt.Sprintf("%.0f", s)
	}
	return fmt.Sprintf("%.2f", s)
}

func percent(x float64) string { return fmt.Sprintf("%.1f%%", 100*x) }

const width = 80

// clip cuts a text to n characters, showing that it did.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// wrap breaks a line at spaces so that it fits; later lines begin with indent.
func wrap(line, indent string) string {
	var b strings.Builder
	n := 0
	for i, word := range strings.Fields(line) {
		l := len([]rune(word))
		switch {
		case i == 0:
		case n+1+l > width:
			b.WriteString("\n" + indent)
			n = len(indent)
		default:
			b.WriteByte(' ')
			n++
		}
		b.WriteString(word)
		n += l
	}
	return b.String() + "\n"
}
