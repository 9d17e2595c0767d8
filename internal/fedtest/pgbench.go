package fedtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pgfed/pgfed/internal/proctest"
)

// A transfer as pgbench makes it. Accounts are locked in the order of ids.
// Entries tell run, client and the client's own count, which has no holes: a
// client that fails once ends.
const pgbenchScript = `\set from random(1, %[2]d)
\set to random(1, %[2]d)
\set low least(:from, :to)
\set high greatest(:from, :to)
\set amount random(-50, 50)
\set n :n + 1
\set entry :run * %[3]d + :client_id * %[4]d + :n
BEGIN;
UPDATE public.accounts_%[1]s SET balance = balance - :amount WHERE id = :low;
SELECT balance FROM public.accounts_%[1]s WHERE id = :low;
UPDATE public.accounts_%[1]s SET balance = balance + :amount WHERE id = :high;
INSERT INTO public.history_%[1]s VALUES (:entry, :low, :high, :amount);
END;
`

const (
	runEntries    = 1_000_000_000 // entries below are those of Load
	clientEntries = 1_000_000
	runLength     = 5 * time.Second // of one pgbench whose server lives
)

// Pgbench is runs of pgbench at one node, one after the other, until Stop.
type Pgbench struct {
	node    *Node
	program string
	script  string
	clients int
	rate    int
	cancel  context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex
	runs   map[int64]int64 // transactions that pgbench says were processed
	broken int             // runs that lost their server
	err    error           // pgbench itself is no good
}

var runs atomic.Int64 // numbers pgbench's runs, unique in this process

// StartPgbench runs pgbench at the node with that many clients and, all of them
// together, at most rate transactions a second. A run that loses its server, or
// does not find it, is followed by the next one.
func (n *Node) StartPgbench(clients, rate int) *Pgbench {
	n.t.Helper()
	program, err := n.DB.Client("pgbench")
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	b := &Pgbench{node: n, program: program, script: filepath.Join(n.t.TempDir(), n.Name+".pgbench"), clients: clients, rate: rate,
		cancel: cancel, done: make(chan struct{}), runs: map[int64]int64{}}
	script := fmt.Sprintf(pgbenchScript, n.Name, accounts, runEntries, clientEntries)
	if err := os.WriteFile(b.script, []byte(script), 0o644); err != nil {
		n.t.Fatal(err)
	}
	go func() {
		defer close(b.done)
		for ctx.Err() == nil && b.run() {
			rest(ctx, 50*time.Millisecond)
		}
	}()
	n.t.Cleanup(func() { _ = b.Stop() })
	return b
}

var processed = regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)`)

// run is one life of pgbench; false ends the load.
func (b *Pgbench) run() bool {
	number := runs.Add(1)
	cmd := exec.Command(b.program, "-n", "-f", b.script, "-c", strconv.Itoa(b.clients),
		"-T", strconv.Itoa(int(runLength.Seconds())), "-R", strconv.Itoa(b.rate), "--random-seed", strconv.FormatInt(number, 10),
		"-D", "n=0", "-D", "run="+strconv.FormatInt(number, 10), b.node.DB.URL())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := proctest.Start(cmd, syscall.SIGKILL)
	if err == nil {
		err = cmd.Wait()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.err = fmt.Errorf("run pgbench at %s: %w", b.node.Name, err)
		return false
	}
	// Without the line no client came so far as to begin.
	if match := processed.FindStringSubmatch(stdout.String()); match != nil {
		b.runs[number], _ = strconv.ParseInt(match[1], 10, 64)
		if err != nil {
			b.broken++
		}
	} else if err == nil {
		b.err = fmt.Errorf("run pgbench at %s: it does not say what it did:\n%s%s", b.node.Name, stdout.String(), stderr.String())
		return false
	} else {
		b.runs[number] = 0
	}
	if strings.Contains(stderr.String(), "ERROR:") && !strings.Contains(stderr.String(), "terminating connection") {
		b.err = fmt.Errorf("run pgbench at %s: %s", b.node.Name, stderr.String())
		return false
	}
	return true
}

// Stop ends the load after the run that is under way and says if pgbench
// itself could not do its work.
func (b *Pgbench) Stop() error {
	b.cancel()
	<-b.done
	return b.err
}

// Committed is the number of transfers that pgbench says were processed.
func (b *Pgbench) Committed() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var total int64
	for _, transactions := range b.runs {
		total += transactions
	}
	return total
}

// Broken is the number of runs that lost their server.
func (b *Pgbench) Broken() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broken
}

// check says if an entry is missing or there twice at some node. The load must
// have been stopped.
func (b *Pgbench) check(ctx context.Context) error {
	var problems []error
	for _, node := range b.node.f.Nodes() {
		rows, err := node.DB.TryQuery(ctx, fmt.Sprintf(`SELECT entry / %[2]d, (entry %% %[2]d) / %[3]d, count(*), count(DISTINCT entry), max(entry %% %[3]d)
			FROM history_%[1]s WHERE entry >= %[2]d GROUP BY 1, 2`, b.node.Name, runEntries, clientEntries))
		if err != nil {
			return err
		}
		found := map[int64]int64{}
		for _, row := range rows {
			run, _ := strconv.ParseInt(row[0], 10, 64)
			count, _ := strconv.ParseInt(row[2], 10, 64)
			found[run] += count
			if row[2] != row[3] || row[2] != row[4] {
				problems = append(problems, fmt.Errorf("at %s pgbench run %s, client %s, of %s has %s entries, of which %s different ones, up to number %s",
					node.Name, row[0], row[1], b.node.Name, row[2], row[3], row[4]))
			}
		}
		for run, transactions := range b.runs {
			// A client whose server is lost does not hear of its last commit.
			if extra := found[run] - transactions; extra < 0 || extra > int64(b.clients) {
				problems = append(problems, fmt.Errorf("at %s pgbench run %d of %s has %d entries; it says it made %d",
					node.Name, run, b.node.Name, found[run], transactions))
			}
			delete(found, run)
		}
		if len(found) > 0 {
			problems = append(problems, fmt.Errorf("at %s there are entries of runs that %s had not: %v", node.Name, b.node.Name, found))
		}
	}
	return errors.Join(problems...)
}

// CheckPgbench says if a transfer that pgbench made is missing at some node, or
// is there twice.
func (f *Federation) CheckPgbench(ctx context.Context, loads ...*Pgbench) error {
	var problems []error
	for _, load := range loads {
		problems = append(problems, load.check(ctx))
	}
	return errors.Join(problems...)
}
