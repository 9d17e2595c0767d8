package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

type options struct {
	transactions int           // of tpcb
	rows         int           // of bulk, and of the updates and deletes
	scale        int           // of tpcb
	latency      time.Duration // how long single rows are written
	memoryRows   int           // of the large transaction
	value        int           // bytes on the wire of the large values
	runs         int
	limit        time.Duration // for one drain
	quiet        time.Duration // how long to wait for a quiet machine
	major        int
	work         string
	systems      string
	output       string // JSON
	results      string // Markdown
	profile      bool
	keep         bool
}

func parse() (options, error) {
	var o options
	flag.IntVar(&o.transactions, "transactions", 20_000, "pgbench transactions of tpcb")
	flag.IntVar(&o.rows, "rows", 1_000_000, "rows of bulk; updates and deletes are half as many")
	flag.IntVar(&o.scale, "scale", 10, "pgbench scale of tpcb")
	flag.DurationVar(&o.latency, "latency", 8*time.Second, "how long single rows are written, 200 a second")
	flag.IntVar(&o.memoryRows, "memory-rows", 2_000_000, "rows of the transaction whose memory is measured")
	flag.IntVar(&o.value, "value", 100_000_000, "bytes on the wire of the single values whose memory is measured")
	flag.IntVar(&o.runs, "runs", 1, "how often everything is measured; the table shows medians")
	flag.DurationVar(&o.limit, "limit", 5*time.Minute, "how long one measurement may take")
	flag.DurationVar(&o.quiet, "quiet", 20*time.Second, "how long to wait for a quiet machine before each measurement")
	flag.IntVar(&o.major, "major", 0, "Postgres major version; 0 for the distribution's")
	flag.StringVar(&o.work, "work", "tpcb,bulk,latency,memory", "what to measure: "+strings.Join(allWork(), ","))
	flag.StringVar(&o.systems, "systems", "native,ours", "whom to measure")
	flag.StringVar(&o.output, "o", "", "write all measurements to this file as JSON")
	flag.StringVar(&o.results, "results", "bench/RESULTS.md", "write the report to this file; empty for none")
	flag.BoolVar(&o.profile, "profile", false, "also profile the decoder's and the applier's Go benchmarks")
	flag.BoolVar(&o.keep, "keep", false, "keep logs and data folders")
	flag.Parse()
	if flag.NArg() > 0 {
		return o, fmt.Errorf("no arguments are expected, there is %q", flag.Arg(0))
	}
	for _, word := range words(o.work) {
		if !slices.Contains(allWork(), word) {
			return o, fmt.Errorf("-work %s: want some of %s", word, strings.Join(allWork(), ","))
		}
	}
	for _, word := range words(o.systems) {
		if word != "native" && word != "ours" {
			return o, fmt.Errorf("-systems %s: want native, ours or both", word)
		}
	}
	return o, nil
}

func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

func main() {
	// Every process is started from this thread, which lasts as long as we
	// do: the kernel tells them when it ends.
	runtime.LockOSThread()
	o, err := parse()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run of the command.
type bench struct {
	options
	stage   *stage
	results results
}

func run(ctx context.Context, o options) error {
	b := &bench{options: o, results: newResults()}
	var err error
	if b.stage, err = newStage(ctx, o); err != nil {
		return err
	}
	defer b.stage.close()
	b.results.describe(b.stage)
	for i := range o.runs {
		for _, work := range words(o.work) {
			if err := b.measure(ctx, work, i+1); err != nil {
				return err
			}
		}
	}
	if o.profile {
		b.results.Profiles = profiles(ctx)
	}
	return errors.Join(b.report(), b.results.verdict())
}

// measure does one piece of work with every system in turn.
func (b *bench) measure(ctx context.Context, name string, run int) error {
	if name == "memory" {
		return b.memory(ctx, run)
	}
	for _, system := range b.competitors(name) {
		var found measurement
		var err error
		if name == "latency" {
			found, err = b.measureLatency(ctx, system)
		} else {
			found, err = b.measureDrain(ctx, system, b.workload(name))
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		found.Work, found.System, found.Run = name, system.name(), run
		if err != nil {
			found.Error = err.Error()
		}
		b.results.Measurements = append(b.results.Measurements, found)
		fmt.Println(found)
	}
	return nil
}

// competitors are the systems that the work makes a difference for.
func (b *bench) competitors(work string) []system {
	var list []system
	for _, word := range words(b.systems) {
		switch {
		case word == "native" && strings.HasPrefix(work, "bulk"):
			list = append(list, &native{stage: b.stage}, &native{stage: b.stage, streaming: true})
		case word == "native":
			list = append(list, &native{stage: b.stage})
		case work == "latency" || strings.HasSuffix(work, "-live"):
			list = append(list, &ours{stage: b.stage})
		default:
			list = append(list, &ours{stage: b.stage, everything: true}, &ours{stage: b.stage})
		}
	}
	return list
}
