package fedtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// The bank: for every node a table of accounts that it owns, a history table
// without a key that it only inserts into, and the sum of balances of a table
// is the same at every instant on every node. Made after TPC-B.

const (
	accounts       = 100
	openingBalance = 1000
)

// BankSchema makes the tables of a bank with a branch at every node.
func BankSchema(nodes []string) string {
	var b strings.Builder
	for _, node := range nodes {
		fmt.Fprintf(&b, `
CREATE TABLE accounts_%[1]s (id int PRIMARY KEY, balance bigint NOT NULL, filler text NOT NULL DEFAULT '');
CREATE TABLE history_%[1]s (entry bigint NOT NULL, from_id int NOT NULL, to_id int NOT NULL, amount bigint NOT NULL, at timestamptz NOT NULL DEFAULT now());
INSERT INTO accounts_%[1]s SELECT i, %[2]d FROM generate_series(1, %[3]d) i;`, node, openingBalance, accounts)
	}
	return b.String()
}

// BankOwnership is the matching rules.
func BankOwnership(nodes []string) string {
	var b strings.Builder
	for _, node := range nodes {
		fmt.Fprintf(&b, "- tables: [\"public.accounts_%[1]s\", \"public.history_%[1]s\"]\n  owner: %[1]s\n", node)
	}
	return b.String()
}

// Load is transfers at one node until Stop.
type Load struct {
	node      *Node
	cancel    context.CancelFunc
	done      chan struct{}
	committed atomic.Int64 // transfers that the server has acknowledged
	failed    atomic.Int64 // attempts that ended in an error, of which some may have been committed

	mu           sync.Mutex
	acknowledged []int64 // entries in the history table
}

var entries atomic.Int64 // numbers history entries, unique in this process

// StartLoad transfers money at the node, over sessions at a time, as fast as
// the node allows but for a pause after each transfer; errors are endured, as
// an application would that connects again.
func (n *Node) StartLoad(seed uint64, sessions int, pause time.Duration) *Load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &Load{node: n, cancel: cancel, done: make(chan struct{})}
	var group sync.WaitGroup
	for session := range sessions {
		group.Go(func() {
			l.run(ctx, rand.New(rand.NewPCG(seed, uint64(session))), pause)
		})
	}
	go func() {
		group.Wait()
		close(l.done)
	}()
	n.t.Cleanup(l.Stop)
	return l
}

// Stop ends the load; what is running is finished first.
func (l *Load) Stop() {
	l.cancel()
	<-l.done
}

// Committed is the number of transfers that the server has acknowledged.
func (l *Load) Committed() int64 { return l.committed.Load() }

func (l *Load) run(ctx context.Context, random *rand.Rand, pause time.Duration) {
	for ctx.Err() == nil {
		conn, err := l.node.DB.Connect(ctx)
		if err != nil {
			rest(ctx, 100*time.Millisecond)
			continue
		}
		for ctx.Err() == nil {
			// Not cut short by Stop: every outcome but a lost server is known.
			entry, err := l.node.transfer(context.WithoutCancel(ctx), conn, random)
			if err != nil {
				l.failed.Add(1)
				break
			}
			l.committed.Add(1)
			l.mu.Lock()
			l.acknowledged = append(l.acknowledged, entry)
			l.mu.Unlock()
			rest(ctx, pause)
		}
		_ = conn.Close(context.WithoutCancel(ctx))
	}
}

// rest paces the load.
func rest(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// transfer moves an amount between two accounts of the node's branch.
func (n *Node) transfer(ctx context.Context, conn *pgx.Conn, random *rand.Rand) (entry int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	from, to := 1+random.IntN(accounts), 1+random.IntN(accounts)
	amount := 1 + random.IntN(50)
	entry = entries.Add(1)
	// In the order of ids, or two sessions could wait for each other.
	low, high := min(from, to), max(from, to)
	if from > to {
		amount = -amount
	}
	table := "public.accounts_" + n.Name
	for _, sql := range []string{
		"BEGIN",
		fmt.Sprintf("UPDATE %s SET balance = balance - %d WHERE id = %d", table, amount, low),
		fmt.Sprintf("UPDATE %s SET balance = balance + %d WHERE id = %d", table, amount, high),
		fmt.Sprintf("INSERT INTO public.history_%s VALUES (%d, %d, %d, %d)", n.Name, entry, low, high, amount),
		"COMMIT",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return 0, fmt.Errorf("transfer at %s: %w", n.Name, err)
		}
	}
	return entry, nil
}

// Burst makes a number of transfers, one after the other.
func (n *Node) Burst(transactions int) {
	n.t.Helper()
	ctx := context.Background()
	conn, err := n.DB.Connect(ctx)
	if err != nil {
		n.t.Fatal(err)
	}
	defer conn.Close(ctx)
	random := rand.New(rand.NewPCG(uint64(transactions), 1))
	for range transactions {
		if _, err := n.transfer(ctx, conn, random); err != nil {
			n.t.Fatal(err)
		}
	}
}

// CheckSums reads all branches of a node in one snapshot and says if money was
// made or lost.
func (n *Node) CheckSums(ctx context.Context) error {
	var parts []string
	for _, node := range n.f.Nodes() {
		parts = append(parts, fmt.Sprintf("SELECT '%[1]s', coalesce(sum(balance), 0) FROM accounts_%[1]s", node.Name))
	}
	rows, err := n.DB.TryQuery(ctx, strings.Join(parts, " UNION ALL "))
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row[1] != strconv.Itoa(accounts*openingBalance) {
			return &sumError{fmt.Sprintf("at %s the accounts of %s add up to %s, not %d: a transaction is visible in part, twice or not at all",
				n.Name, row[0], row[1], accounts*openingBalance)}
		}
	}
	return nil
}

// sumError tells a wrong sum from a server that does not answer.
type sumError struct{ text string }

func (b *sumError) Error() string { return b.text }

// Sampler checks all sums on all nodes, over and over.
type Sampler struct {
	cancel  context.CancelFunc
	done    chan struct{}
	samples atomic.Int64
	mu      sync.Mutex
	broken  error
}

// StartSampler checks until Stop; servers that do not answer are passed over.
func (f *Federation) StartSampler(every time.Duration) *Sampler {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Sampler{cancel: cancel, done: make(chan struct{})}
	var group sync.WaitGroup
	for _, node := range f.Nodes() {
		group.Go(func() {
			for ctx.Err() == nil {
				err := node.CheckSums(context.WithoutCancel(ctx))
				var broken *sumError
				if errors.As(err, &broken) {
					s.mu.Lock()
					s.broken = errors.Join(s.broken, err)
					s.mu.Unlock()
					return
				}
				if err == nil {
					s.samples.Add(1)
				}
				rest(ctx, every)
			}
		})
	}
	go func() {
		group.Wait()
		close(s.done)
	}()
	f.t.Cleanup(func() { _ = s.Stop() })
	return s
}

// Stop ends the checks and says what they found.
func (s *Sampler) Stop() error {
	s.cancel()
	<-s.done
	return s.broken
}

// Broken says what the checks have found so far.
func (s *Sampler) Broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// Samples is the number of checks with all sums right.
func (s *Sampler) Samples() int64 { return s.samples.Load() }

// CheckHistory says if an entry that a server had acknowledged is missing at
// some node, or if one is there twice.
func (f *Federation) CheckHistory(ctx context.Context, loads ...*Load) error {
	var problems []error
	for _, load := range loads {
		table := "history_" + load.node.Name
		for _, node := range f.Nodes() {
			rows, err := node.DB.TryQuery(ctx, fmt.Sprintf("SELECT entry, count(*) FROM %s GROUP BY entry", table))
			if err != nil {
				return err
			}
			times := map[string]string{}
			for _, row := range rows {
				times[row[0]] = row[1]
				if row[1] != "1" {
					problems = append(problems, fmt.Errorf("at %s entry %s of %s is there %s times", node.Name, row[0], table, row[1]))
				}
			}
			missing := 0
			for _, entry := range load.acknowledged {
				if times[strconv.FormatInt(entry, 10)] == "" {
					missing++
				}
			}
			if missing > 0 {
				problems = append(problems, fmt.Errorf("at %s %d of %d acknowledged entries of %s are missing", node.Name, missing, len(load.acknowledged), table))
			}
		}
	}
	return errors.Join(problems...)
}

// CheckBooks says if at some node the balance of an account is not what the
// history makes of it: exact for every account, where a sum could hide two
// mistakes.
func (f *Federation) CheckBooks(ctx context.Context) error {
	var problems []error
	for _, node := range f.Nodes() {
		for _, branch := range f.Nodes() {
			rows, err := node.DB.TryQuery(ctx, fmt.Sprintf(`SELECT count(*) FROM accounts_%[1]s a LEFT JOIN (
				SELECT id, sum(amount) AS moved FROM (SELECT from_id AS id, -amount AS amount FROM history_%[1]s
					UNION ALL SELECT to_id, amount FROM history_%[1]s) entries GROUP BY id) h USING (id)
				WHERE a.balance <> %[2]d + coalesce(h.moved, 0)`, branch.Name, openingBalance))
			if err != nil {
				return err
			}
			if rows[0][0] != "0" {
				problems = append(problems, fmt.Errorf("at %s %s accounts of %s are not what their history says", node.Name, rows[0][0], branch.Name))
			}
		}
	}
	return errors.Join(problems...)
}
