package decoder

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/pgtest"
)

const patience = 30 * time.Second

// site is one database of a server with a publication and a slot.
type site struct {
	t      *testing.T
	server *pgtest.Server
	url    string
	db     *pgx.Conn
	slot   string
}

var sites atomic.Int64

func newSite(t *testing.T, server *pgtest.Server, ddl string) *site {
	t.Helper()
	return newSiteAt(t, server, server.Database(t), ddl)
}

func newSiteAt(t *testing.T, server *pgtest.Server, url, ddl string) *site {
	t.Helper()
	s := &site{t: t, server: server, url: url, slot: fmt.Sprintf("slot_%d", sites.Add(1))}
	s.db = s.connect()
	s.exec(ddl)
	s.exec("CREATE PUBLICATION pub FOR ALL TABLES")
	s.exec("SELECT pg_create_logical_replication_slot('" + s.slot + "', 'pgoutput')")
	return s
}

func (s *site) connect() *pgx.Conn {
	s.t.Helper()
	return pgtest.Connect(s.t, s.url)
}

func (s *site) exec(statements ...string) {
	s.t.Helper()
	for _, sql := range statements {
		_, err := s.db.Exec(context.Background(), sql, pgx.QueryExecModeSimpleProtocol)
		require.NoError(s.t, err, sql)
	}
}

func (s *site) value(sql string) string {
	s.t.Helper()
	var v string
	require.NoError(s.t, s.db.QueryRow(context.Background(), sql, pgx.QueryExecModeSimpleProtocol).Scan(&v), sql)
	return v
}

func (s *site) lsn(sql string) change.LSN {
	s.t.Helper()
	lsn, err := change.ParseLSN(s.value(sql))
	require.NoError(s.t, err)
	return lsn
}

func (s *site) now() change.LSN { return s.lsn("SELECT pg_current_wal_lsn()::text") }

func (s *site) confirmed() change.LSN {
	return s.lsn("SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = '" + s.slot + "'")
}

func (s *site) config() Config {
	return Config{
		ConnString: s.url, ApplicationName: "pgfed/test/capture", Slot: s.slot, Publication: "pub",
		StatusInterval: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	}
}

// run starts capture with the slot confirmed up to what the recorder has,
// stopped when the test ends.
func (s *site) run(change ...func(*Config, *recorder)) *recorder {
	s.t.Helper()
	r := &recorder{t: s.t, ended: make(chan struct{})}
	cfg := s.config()
	for _, f := range change {
		f(&cfg, r)
	}
	if r.confirm == nil {
		r.confirm = r.position
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() {
		defer close(r.ended)
		r.err = Run(ctx, cfg, r, r.confirm)
	}()
	s.t.Cleanup(func() { r.stop() })
	return r
}

// recorder is a Sink that writes down what it is given, and checks the order
// of the calls.
type recorder struct {
	t       *testing.T
	confirm func() change.LSN
	before  func(ctx context.Context) error // called before each change
	terse   bool                            // count changes, keep none

	cancel context.CancelFunc
	ended  chan struct{}
	err    error // after ended

	mu      sync.Mutex
	open    *transaction
	done    []transaction
	at      change.LSN // last Commit or Idle
	idle    change.LSN
	idles   int
	flushes int
	tables  []*change.Table
}

type transaction struct {
	change.Begin
	end     change.LSN
	changes []string
	count   uint64
}

func (r *recorder) Begin(_ context.Context, b change.Begin) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open != nil {
		return fmt.Errorf("begin inside a transaction")
	}
	r.open = &transaction{Begin: b}
	return nil
}

func (r *recorder) Change(ctx context.Context, c *change.Change) error {
	if r.before != nil {
		if err := r.before(ctx); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil || c.Ordinal != r.open.count {
		return fmt.Errorf("change %d out of order", c.Ordinal)
	}
	r.open.count++
	if !r.terse {
		r.open.changes = append(r.open.changes, describe(r.t, c))
		r.tables = append(r.tables, c.Table)
	}
	return nil
}

func (r *recorder) Commit(_ context.Context, end change.LSN) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil || end <= r.open.Final || end <= r.at {
		return fmt.Errorf("commit out of order")
	}
	r.open.end = end
	r.at = end
	r.done = append(r.done, *r.open)
	r.open = nil
	return nil
}

func (r *recorder) Flush(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flushes++
	return nil
}

func (r *recorder) Idle(_ context.Context, lsn change.LSN) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open != nil || lsn <= r.at {
		return fmt.Errorf("idle out of order")
	}
	r.at, r.idle = lsn, lsn
	r.idles++
	return nil
}

func (r *recorder) position() change.LSN {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

func (r *recorder) transactions() []transaction {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]transaction(nil), r.done...)
}

// await waits until n transactions are there and returns them.
func (r *recorder) await(n int) []transaction {
	r.t.Helper()
	r.until(func() bool { return len(r.transactions()) >= n })
	got := r.transactions()
	require.Len(r.t, got, n)
	return got
}

// until waits for a condition, and no longer than capture runs.
func (r *recorder) until(condition func() bool) {
	r.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-r.ended:
			require.NoError(r.t, r.err, "capture ended early")
		case <-deadline:
			require.Fail(r.t, "the condition did not come true")
		case <-tick.C:
		}
	}
}

// stop ends capture and returns its error.
func (r *recorder) stop() error {
	r.cancel()
	return r.wait()
}

func (r *recorder) wait() error {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(patience):
		require.Fail(r.t, "capture did not end")
	}
	return r.err
}

// texts returns what the changes of each transaction say.
func texts(transactions []transaction) [][]string {
	var all [][]string
	for _, x := range transactions {
		all = append(all, x.changes)
	}
	return all
}

// describe writes a change the way a person would: U public.t K(1) -> (2, a).
func describe(t testing.TB, c *change.Change) string {
	if c.Op == change.Truncate {
		var names []string
		for _, table := range c.Truncated {
			names = append(names, table.String())
		}
		text := "T " + strings.Join(names, ", ")
		if c.Cascade {
			text += " cascade"
		}
		if c.RestartIdentity {
			text += " restart"
		}
		for _, root := range c.Wholly {
			text += " wholly " + root.String()
		}
		return text
	}
	text := string(c.Op) + " " + c.Table.String()
	if c.OldKind != change.OldNone {
		text += " " + string(c.OldKind) + row(t, c.Old)
	}
	if c.New != nil {
		text += " " + row(t, c.New)
	}
	return text
}

func row(t testing.TB, tuple change.Tuple) string {
	values, err := tuple.Values(nil)
	require.NoError(t, err)
	var parts []string
	for _, v := range values {
		switch v.Kind {
		case change.Null:
			parts = append(parts, "null")
		case change.Unchanged:
			parts = append(parts, "unchanged")
		default:
			parts = append(parts, string(v.Bytes))
		}
	}
	return "(" + strings.Join(parts, ", ") + ")"
}
