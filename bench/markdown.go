package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// markdown is the report: what was found, drawn and in tables.
func (r *results) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What bench found\n\nWritten by `%s`; bench/doc.go says how it measures.\n\n", strings.TrimSpace(r.Command))
	fmt.Fprintf(&b, "%s, revision %s. Postgres %s (both servers), nats-server %s (embedded in each replicator), %s. "+
		"%d cores (%s), shared by everything. Load average at the start %s.\n\nServers: %s.\n",
		r.Date.Format("2006-01-02 15:04 UTC"), r.Revision, r.Postgres, r.Broker, r.Go, r.Cores, r.Processor, r.Load, strings.Join(r.Settings, ", "))
	if noisy := r.noisy(); noisy != "" {
		fmt.Fprintf(&b, "\n**The machine was not quiet** during %s: others used much of it. Times and ratios of these say little; repeat them.\n", noisy)
	}
	r.drains(&b)
	r.latencies(&b)
	r.memories(&b)
	r.failures(&b)
	for _, p := range r.Profiles {
		fmt.Fprintf(&b, "\n## Profile: %s\n\n```\n%s\n```\n", p.Name, p.Text)
	}
	return b.String()
}

// line is one system's finished measurements of one piece of work.
type line struct {
	work, system string
	found        []measurement
}

// lines are the finished measurements that want fits, in the order of work.
func (r *results) lines(want func(measurement) bool) []line {
	var lines []line
	for _, m := range r.Measurements {
		if m.Error != "" || !want(m) {
			continue
		}
		at := slices.IndexFunc(lines, func(l line) bool { return l.work == m.Work && l.system == m.System })
		if at < 0 {
			at = len(lines)
			lines = append(lines, line{work: m.Work, system: m.System})
		}
		lines[at].found = append(lines[at].found, m)
	}
	return lines
}

func (l line) median(of func(measurement) float64) float64 {
	var values []float64
	for _, m := range l.found {
		values = append(values, of(m))
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// reference is the line that others are compared with: native replication as it
// comes, without streaming.
func reference(lines []line, work string) (line, bool) {
	at := slices.IndexFunc(lines, func(l line) bool { return l.work == work && l.system == (&native{}).name() })
	if at < 0 {
		return line{}, false
	}
	return lines[at], true
}

func (r *results) noisy() string {
	var found []string
	for _, l := range r.lines(func(m measurement) bool { return m.Memory == nil && m.noisy(r.Cores) }) {
		found = append(found, l.work+" ("+l.system+")")
	}
	return strings.Join(found, ", ")
}

func (r *results) drains(b *strings.Builder) {
	lines := r.lines(func(m measurement) bool { return m.Drain > 0 && m.Memory == nil && m.P50 == 0 })
	if len(lines) == 0 {
		return
	}
	rate := func(l line) float64 { return l.median(measurement.rate) }
	b.WriteString("\n## Draining a backlog\n\n")
	b.WriteString("`tpcb`: pgbench transactions. `bulk`: one transaction of inserts. ")
	if slices.ContainsFunc(lines, func(l line) bool { return strings.HasSuffix(l.work, "-live") }) {
		b.WriteString("`-live`: from the commit at the origin, with everything running. ")
	}
	b.WriteString("\"pgfed, from the log\": both replicators were off while the work was written, as nothing of native replication runs then; " +
		"\"pgfed\": only the target's was, so the origin's broker held the work and capture was over before the clock ran: less work than native's, its ratio is no comparison of the two. Medians; the ratio is to native.\n\n")
	b.WriteString("| work | system | runs | start s | drain s | rows/s | txn/s | ratio | CPU s | CPU ratio | tables equal |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, l := range lines {
		ratio, more := "-", "-"
		if base, found := reference(lines, l.work); found {
			ratio, more = fmt.Sprintf("%.2f", rate(l)/rate(base)), fmt.Sprintf("%.1f", l.median(measurement.cpu)/base.median(measurement.cpu))
		}
		same := "yes"
		if slices.ContainsFunc(l.found, func(m measurement) bool { return !m.Equal }) {
			same = "NO"
		}
		fmt.Fprintf(b, "| %s | %s | %d | %.2f | %.2f | %s | %s | %s | %.2f | %s | %s |\n", l.work, l.system, len(l.found),
			l.median(func(m measurement) float64 { return m.Start }), l.median(func(m measurement) float64 { return m.Drain }),
			thousand(rate(l)), thousand(l.median(func(m measurement) float64 { return float64(m.Transactions) / m.Drain })), ratio,
			l.median(measurement.cpu), more, same)
	}
	b.WriteString("\n```\n")
	for _, l := range lines {
		longest := 0.0
		for _, other := range lines {
			if other.work == l.work {
				longest = max(longest, rate(other))
			}
		}
		fmt.Fprintf(b, "%-10s %-20s %s %s rows/s\n", l.work, l.system, strings.Repeat("#", int(math.Ceil(40*rate(l)/longest))), thousand(rate(l)))
	}
	b.WriteString("```\n")
	r.processors(b, lines)
}

// processors says who used the CPU; of the last run.
func (r *results) processors(b *strings.Builder, lines []line) {
	b.WriteString("\nCPU seconds from the start to the second mark, of the last run. \"Foreign\" is what nobody here accounts for: others on the machine, and the kernel's own work.\n\n")
	b.WriteString("| work | system | CPU seconds by process | foreign | load before, after |\n|---|---|---|---|---|\n")
	for _, l := range lines {
		m := l.found[len(l.found)-1]
		fmt.Fprintf(b, "| %s | %s | %s | %.1f | %s, %s |\n", l.work, l.system, spent(m.CPU), m.Foreign, m.LoadBefore, m.LoadAfter)
	}
}

func (r *results) latencies(b *strings.Builder) {
	lines := r.lines(func(m measurement) bool { return m.P50 > 0 })
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## Latency of one row\n\nSingle-row transactions at %d a second: from the return of the commit at the origin until the row is visible at the target, "+
		"asked for about every 0.2 ms. Medians of the runs; the ratio is of the medians to native.\n\n", perSecond)
	b.WriteString("| system | runs | rows | p50 ms | p99 ms | longest ms | ratio p50 | ratio p99 | foreign CPU s | CPU seconds by process |\n|---|---|---|---|---|---|---|---|---|---|\n")
	p50 := func(m measurement) float64 { return m.P50 }
	p99 := func(m measurement) float64 { return m.P99 }
	for _, l := range lines {
		ratio50, ratio99 := "-", "-"
		if base, found := reference(lines, l.work); found {
			ratio50 = fmt.Sprintf("%.2f", l.median(p50)/base.median(p50))
			ratio99 = fmt.Sprintf("%.2f", l.median(p99)/base.median(p99))
		}
		last := l.found[len(l.found)-1]
		fmt.Fprintf(b, "| %s | %d | %d | %.2f | %.2f | %.1f | %s | %s | %.1f | %s |\n", l.system, len(l.found), last.Rows-warmUp, l.median(p50), l.median(p99),
			l.median(func(m measurement) float64 { return m.Max }), ratio50, ratio99, last.Foreign, spent(last.CPU))
	}
}

func (r *results) memories(b *strings.Builder) {
	lines := r.lines(func(m measurement) bool { return m.Memory != nil })
	if len(lines) == 0 {
		return
	}
	b.WriteString("\n## Memory of the replicators\n\nFresh processes for each case, embedded broker included. Peak is the kernel's VmHWM, the highest of all runs; " +
		"heap in use and the rest are the highest of samples. A megabyte is a million bytes.\n\n")
	b.WriteString("| what crosses | process | peak | limit | within | anonymous | file | heap in use | stacks | seconds |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, l := range lines {
		for _, name := range sortedKeys(l.found[0].Memory) {
			worst := l.found[0]
			for _, m := range l.found {
				if m.Memory[name].Peak > worst.Memory[name].Peak {
					worst = m
				}
			}
			took, within := worst.Memory[name], "yes"
			if took.Peak > worst.Limit {
				within = "NO"
			}
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %.1f |\n", strings.TrimPrefix(l.work, "memory: "), name, megabytes(took.Peak),
				megabytes(worst.Limit), within, megabytes(took.Anonymous), megabytes(took.File), megabytes(took.HeapInUse), megabytes(took.Stacks), worst.Drain)
		}
	}
}

func (r *results) failures(b *strings.Builder) {
	var lines []string
	for _, m := range r.Measurements {
		if m.Error != "" {
			lines = append(lines, fmt.Sprintf("- %s, %s, run %d: %s\n", m.Work, m.System, m.Run, strings.ReplaceAll(m.Error, "\n", "\n  ")))
		}
	}
	if len(lines) > 0 {
		b.WriteString("\n## What did not finish\n\n" + strings.Join(lines, ""))
	}
}

func thousand(value float64) string {
	switch {
	case value >= 100_000:
		return fmt.Sprintf("%.0fk", value/1000)
	case value >= 1000:
		return fmt.Sprintf("%.1fk", value/1000)
	case value >= 10:
		return fmt.Sprintf("%.0f", value)
	}
	return fmt.Sprintf("%.2f", value)
}
