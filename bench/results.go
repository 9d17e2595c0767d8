package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// measurement is what one system did with one piece of work once. Times are
// seconds, latencies milliseconds, sizes bytes.
type measurement struct {
	Work         string             `json:"work"`
	System       string             `json:"system"`
	Run          int                `json:"run"`
	Rows         int                `json:"rows,omitempty"`
	Transactions int                `json:"transactions,omitempty"`
	Start        float64            `json:"start,omitempty"`
	Drain        float64            `json:"drain,omitempty"`
	P50          float64            `json:"p50,omitempty"`
	P99          float64            `json:"p99,omitempty"`
	Max          float64            `json:"max,omitempty"`
	CPU          map[string]float64 `json:"cpu,omitempty"`
	Foreign      float64            `json:"foreign"`
	LoadBefore   string             `json:"load_before,omitempty"`
	LoadAfter    string             `json:"load_after,omitempty"`
	Equal        bool               `json:"equal"`
	Memory       map[string]memory  `json:"memory,omitempty"`
	Limit        int64              `json:"limit,omitempty"`
	Error        string             `json:"error,omitempty"`
}

func (m measurement) rate() float64 { return float64(m.Rows) / m.Drain }

// cpu adds up what the system and its servers used: all but what watched them.
func (m measurement) cpu() (seconds float64) {
	for name, used := range m.CPU {
		if name != "bench" && name != "others of the bench" && !strings.HasSuffix(name, " session") {
			seconds += used
		}
	}
	return seconds
}

// noisy reports whether others used so much of the machine that the clock
// says little: a tenth of it, and half of what was measured.
func (m measurement) noisy(cores int) bool {
	return m.Foreign > 0.1*float64(cores)*(m.Start+m.Drain) && m.Foreign > 0.5*m.cpu() && m.Foreign > 0.5
}

// over says which processes took more memory than is promised.
func (m measurement) over() []string {
	var names []string
	for name, took := range m.Memory {
		if took.Peak > m.Limit {
			names = append(names, fmt.Sprintf("%s took %s of %s", name, megabytes(took.Peak), megabytes(m.Limit)))
		}
	}
	slices.Sort(names)
	return names
}

func (m measurement) String() string {
	head := fmt.Sprintf("%-10s %-20s ", m.Work, m.System)
	switch {
	case m.Error != "":
		return head + "did not finish: " + m.Error
	case m.Memory != nil:
		var parts []string
		for _, name := range sortedKeys(m.Memory) {
			took := m.Memory[name]
			parts = append(parts, fmt.Sprintf("%s %s (heap in use %s)", name, megabytes(took.Peak), megabytes(took.HeapInUse)))
		}
		return head + strings.Join(parts, ", ") + ", limit " + megabytes(m.Limit)
	case m.P50 > 0:
		return head + fmt.Sprintf("p50 %.2f ms, p99 %.2f ms, max %.1f ms, foreign CPU %.1f s", m.P50, m.P99, m.Max, m.Foreign)
	}
	return head + fmt.Sprintf("start %.2f s, drain %.2f s, %.0f rows/s, foreign CPU %.1f s; %s", m.Start, m.Drain, m.rate(), m.Foreign, spent(m.CPU))
}

func spent(cpu map[string]float64) string {
	var parts []string
	for _, name := range sortedKeys(cpu) {
		parts = append(parts, fmt.Sprintf("%s %.2f", name, cpu[name]))
	}
	return strings.Join(parts, ", ")
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.0f MB", float64(bytes)/1e6) }

// results is one run of the command.
type results struct {
	Date         time.Time     `json:"date"`
	Revision     string        `json:"revision"`
	Postgres     string        `json:"postgres"`
	Go           string        `json:"go"`
	Broker       string        `json:"broker"`
	Cores        int           `json:"cores"`
	Processor    string        `json:"processor"`
	Command      string        `json:"command"`
	Settings     []string      `json:"settings"`
	Load         string        `json:"load"`
	Measurements []measurement `json:"measurements"`
	Profiles     []profile     `json:"profiles,omitempty"`
}

func newResults() results {
	r := results{
		Date: time.Now().UTC(), Go: runtime.Version(), Cores: runtime.NumCPU(),
		Command: "go run ./bench " + strings.Join(os.Args[1:], " "), Settings: settings, Load: loadAverage(),
	}
	if out, err := exec.Command("git", "describe", "--tags", "--always", "--dirty").Output(); err == nil {
		r.Revision = strings.TrimSpace(string(out))
	}
	if built, found := debug.ReadBuildInfo(); found {
		for _, module := range built.Deps {
			if module.Path == "github.com/nats-io/nats-server/v2" {
				r.Broker = module.Version
			}
		}
	}
	if r.Broker == "" { // the broker is in the replicator, not in here
		out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "github.com/nats-io/nats-server/v2").Output()
		if err == nil {
			r.Broker = strings.TrimSpace(string(out))
		}
	}
	content, _ := os.ReadFile("/proc/cpuinfo")
	for _, line := range strings.Split(string(content), "\n") {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			r.Processor = strings.TrimSpace(value)
			break
		}
	}
	return r
}

func (r *results) describe(s *stage) { r.Postgres = s.install.Version }

// verdict is an error when a promise was broken.
func (r *results) verdict() error {
	var errs []error
	for _, m := range r.Measurements {
		switch {
		case m.Error != "":
			errs = append(errs, fmt.Errorf("%s, %s: %s", m.Work, m.System, m.Error))
		case !m.Equal:
			errs = append(errs, fmt.Errorf("%s, %s: the tables differ", m.Work, m.System))
		}
		for _, process := range m.over() {
			errs = append(errs, fmt.Errorf("%s: %s", m.Work, process))
		}
	}
	return errors.Join(errs...)
}

// report prints the tables and writes the files.
func (b *bench) report() error {
	text := b.results.markdown()
	fmt.Print("\n", text)
	var errs []error
	if b.options.results != "" {
		errs = append(errs, os.WriteFile(b.options.results, []byte(text), 0o644))
	}
	if b.output != "" {
		content, err := json.MarshalIndent(b.results, "", "  ")
		errs = append(errs, err, os.WriteFile(b.output, append(content, '\n'), 0o644))
	}
	return errors.Join(errs...)
}
