package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// profile is the top of a CPU profile.
type profile struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// profiles runs the Go benchmarks of the way of a change with the profiler.
// The production programs have no profiler to ask.
func profiles(ctx context.Context) []profile {
	var found []profile
	for _, one := range []struct{ folder, bench string }{
		{"./decoder", "BenchmarkDrain/bulk"},
		{"./bench", "BenchmarkApply/pipelined"},
		{"./bench", "BenchmarkApply/exact"},
	} {
		p := profile{Name: one.folder + " " + one.bench}
		text, err := takeProfile(ctx, one.folder, one.bench)
		if err != nil {
			text = err.Error()
		}
		p.Text = text
		found = append(found, p)
	}
	return found
}

func takeProfile(ctx context.Context, folder, bench string) (string, error) {
	out, err := os.MkdirTemp("", "profile-")
	if err != nil {
		return "", fmt.Errorf("make a folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(out) }()
	file, program := filepath.Join(out, "cpu.prof"), filepath.Join(out, "program")
	test := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", bench, "-benchtime", "1x", "-cpuprofile", file, "-o", program, folder)
	said, err := test.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("run %s: %w\n%s", bench, err, said)
	}
	var lines []string
	for _, line := range strings.Split(string(said), "\n") {
		if strings.HasPrefix(line, "Benchmark") {
			lines = append(lines, line)
		}
	}
	for _, view := range [][]string{
		{"-flat", "-nodecount", "10"},
		{"-flat", "-nodecount", "12", "-show", "pgfed/pgfed/|jackc/pg"}, // whose calls it is
	} {
		args := append([]string{"tool", "pprof", "-top"}, append(view, program, file)...)
		top := exec.CommandContext(ctx, "go", args...)
		said, err = top.Output()
		if err != nil {
			return "", fmt.Errorf("read the profile: %w", err)
		}
		_, table, _ := strings.Cut(string(said), "Showing nodes") // before it are names of this machine
		lines = append(lines, "")
		for _, row := range strings.Split(strings.TrimRight("Showing nodes"+table, "\n"), "\n") {
			if !strings.HasPrefix(strings.TrimSpace(row), "0 ") { // no time of its own
				lines = append(lines, row)
			}
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n")), nil
}
