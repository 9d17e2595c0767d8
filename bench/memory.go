package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The promises, in bytes (a megabyte is a million).
const (
	rowsLimit      = 256_000_000
	valueBaseLimit = 128_000_000
	valueFactor    = 4 // times the value on the wire
)

type memoryCase struct {
	work  string
	load  string
	wire  int   // bytes of the value on the wire
	limit int64 // bytes of one replicator
}

func (b *bench) memoryCases() []memoryCase {
	pieces := b.value / 32 // an md5 is 32 characters, and does not compress
	valueLimit := int64(valueBaseLimit + valueFactor*b.value)
	return []memoryCase{
		{work: fmt.Sprintf("one transaction of %d rows", b.memoryRows), load: bulk(b.memoryRows), limit: rowsLimit},
		{work: fmt.Sprintf("a text of %d MB", b.value/1_000_000), wire: b.value, limit: valueLimit,
			load: fmt.Sprintf("INSERT INTO document SELECT 1, string_agg(md5(g::text), ''), NULL FROM generate_series(1, %d) g", pieces)},
		// Two hexadecimal digits a byte.
		{work: fmt.Sprintf("a bytea of %d MB", b.value/2_000_000), wire: b.value, limit: valueLimit,
			load: fmt.Sprintf("INSERT INTO document SELECT 2, NULL, string_agg(decode(md5(g::text), 'hex'), ''::bytea) FROM generate_series(1, %d) g", pieces)},
	}
}

// memory measures the replicators' peak memory, with fresh processes for every
// case.
func (b *bench) memory(ctx context.Context, run int) error {
	for _, one := range b.memoryCases() {
		s := &ours{stage: b.stage}
		m := measurement{Work: "memory: " + one.work, System: s.name(), Run: run, Limit: one.limit}
		err := b.withPair(ctx, s, workload{schema: bulkTable + "; CREATE TABLE document (id int PRIMARY KEY, words text, bits bytea)"}, func(p pair) error {
			return b.measureMemory(ctx, s, one, p, &m)
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			m.Error = err.Error()
		}
		b.results.Measurements = append(b.results.Measurements, m)
		fmt.Println(m)
	}
	return nil
}

func (b *bench) measureMemory(ctx context.Context, s *ours, one memoryCase, p pair, m *measurement) error {
	watch, err := connect(ctx, p.target)
	if err != nil {
		return err
	}
	defer watch.Close(context.WithoutCancel(ctx))
	gauge := startGauge(ctx, s)
	defer func() { m.Memory = gauge.finish(ctx) }()
	began := time.Now()
	if err := statement(one.load)(ctx, b.stage.origin, p.name); err != nil {
		return err
	}
	if err := execute(ctx, p.origin, "INSERT INTO mark VALUES (1)"); err != nil {
		return err
	}
	last, err := b.await(ctx, s, watch, 1)
	if err != nil {
		return err
	}
	m.Drain = last.Sub(began).Seconds()
	// The slot, the acknowledgement and the trimming of the stream come after.
	if err := s.settle(ctx); err != nil {
		return err
	}
	m.Equal, err = equal(ctx, p)
	return err
}

// memory is one process's peak and what it was made of, in bytes. Peak is the
// kernel's own (VmHWM); the others are the highest seen, ten times a second.
type memory struct {
	Peak      int64 `json:"peak"`
	Anonymous int64 `json:"anonymous"`
	File      int64 `json:"file"` // the program's own pages, mostly
	HeapInUse int64 `json:"heap_in_use"`
	Stacks    int64 `json:"stacks"`
}

// gauge looks at the replicators' memory from time to time.
type gauge struct {
	system *ours
	found  map[string]memory // the goroutine's until done
	stop   context.CancelFunc
	done   chan struct{}
}

func startGauge(ctx context.Context, s *ours) *gauge {
	ctx, cancel := context.WithCancel(ctx)
	g := &gauge{system: s, found: map[string]memory{}, stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(g.done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			g.look(ctx)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return g
}

func (g *gauge) look(ctx context.Context) {
	for name, pid := range g.system.processes() {
		m := g.found[name]
		m.Peak = max(m.Peak, statusField(pid, "VmHWM"))
		m.Anonymous = max(m.Anonymous, statusField(pid, "RssAnon"))
		m.File = max(m.File, statusField(pid, "RssFile"))
		g.found[name] = m
	}
	for _, r := range g.system.both() {
		inside := heap(ctx, r)
		m := g.found["replicator "+r.node]
		m.HeapInUse = max(m.HeapInUse, inside["go_memstats_heap_inuse_bytes"])
		m.Stacks = max(m.Stacks, inside["go_memstats_stack_inuse_bytes"])
		g.found["replicator "+r.node] = m
	}
}

// finish looks once more: the kernel's peak misses nothing before that.
func (g *gauge) finish(ctx context.Context) map[string]memory {
	g.stop()
	<-g.done
	g.look(context.WithoutCancel(ctx))
	return g.found
}

// heap asks the replicator for its collector's figures; none while it is busy.
func heap(ctx context.Context, r *replicator) map[string]int64 {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	found := map[string]int64{}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.http+"/metrics", nil)
	if err != nil {
		return found
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return found
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if strings.HasPrefix(name, "go_memstats_") {
			number, _ := strconv.ParseFloat(value, 64)
			found[name] = int64(number)
		}
	}
	return found
}
