package decoder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgfed/pgfed/internal/change"
)

// originPrefix begins the names of the replication origins under which pgfed
// applies other nodes' changes.
const originPrefix = "pgfed_"

const (
	defaultStatusInterval = time.Second
	defaultQueueBytes     = 8 << 20
	defaultReceiveTimeout = time.Minute
)

// Errors that Run returns, beside those of the server (errors.As
// *pgconn.PgError finds the SQLSTATE), of the sink and of the slot's Check.
var (
	// ErrProtocol says that the server sent something that the replication
	// protocol or pgoutput does not know. Nothing behind it is delivered.
	ErrProtocol = errors.New("unexpected replication protocol")
	// ErrServerStopping says that the server is shutting down, or ended the
	// stream in good order. Everything not confirmed comes again.
	ErrServerStopping = errors.New("the server is shutting down")
	// ErrPublicationMissing says that the publication does not exist. (18 and
	// later would only warn and deliver nothing.)
	ErrPublicationMissing = errors.New("the publication does not exist")
	// ErrConfirmedAhead says that confirmed() named a position that was never
	// handed to the sink. Passing it on could lose changes.
	ErrConfirmedAhead = errors.New("confirmed position is ahead of what was captured")
	// ErrSilent says that the server sent nothing for the receive timeout, not
	// even when asked.
	ErrSilent = errors.New("the server is silent")
)

// Config says what to read. It is not changed by Run.
type Config struct {
	ConnString      string // ordinary connection string; replication=database and the pinned settings are added
	ApplicationName string // pgfed/<node>/capture
	Slot            string
	Publication     string
	// Start is where to begin: transactions that end at or below it are not
	// delivered. 0, or anything below the slot's confirmed position, begins at
	// the slot's position.
	Start change.LSN
	// Expect is whose log Start belongs to; the connection is checked for it
	// (ErrOtherSystem). Its ID and Timeline count; zero is not checked.
	Expect System
	// ServerFilter asks the server not to send what carries any origin at all,
	// foreign ones included. Used on 16 and later, without effect before.
	ServerFilter bool
	// Local says which columns are this node's own and go no further; asked
	// when a table is described. Nil: none.
	Local          func(schema, table, column string) bool
	StatusInterval time.Duration // 0: 1s; shortened when wal_sender_timeout is short
	ReceiveTimeout time.Duration // 0: 1m without a byte from the server ends Run
	// QueueBytes bounds what was received and is not yet consumed; 0: 8 MiB.
	// One larger message passes alone.
	QueueBytes int
	// Partitions tells what tables are partitions of. Nil: no change says it.
	Partitions Partitions
	Logger     *slog.Logger // nil: slog.Default()
	Metrics    *Metrics     // nil: not measured
}

// Partitions answers from the catalog as it is now, which may be later than
// what is being read. It is asked from one goroutine, while the sink waits: when
// the server describes a table, every few seconds about the roots of all
// partitions that are known, and at each TRUNCATE. An error ends Run, which
// returns it.
type Partitions interface {
	// Of tells what tables are partitions of: nil of one that is none. A table
	// that is gone is absent.
	Of(ctx context.Context, tables []uint32) (map[uint32]*change.Partition, error)
	// Roots tells the names of partitions' roots. A table that is no partition
	// is absent.
	Roots(ctx context.Context, tables []uint32) (map[uint32]change.Name, error)
	// Wholly lists the partitioned tables all of whose partitions are among
	// the tables.
	Wholly(ctx context.Context, tables []uint32) ([]change.Name, error)
}

func (c Config) withDefaults() Config {
	if c.StatusInterval <= 0 {
		c.StatusInterval = defaultStatusInterval
	}
	if c.ReceiveTimeout <= 0 {
		c.ReceiveTimeout = defaultReceiveTimeout
	}
	if c.QueueBytes <= 0 {
		c.QueueBytes = defaultQueueBytes
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil)
	}
	return c
}

// Sink consumes one origin's transactions in commit order. All methods are
// called from one goroutine. Each may block: the server is then held back and
// the connection kept alive. Arguments are borrowed until the method returns.
// An error ends Run, which returns it.
type Sink interface {
	// Begin opens a transaction that has at least one change.
	Begin(ctx context.Context, b change.Begin) error
	// Change delivers the open transaction's next change, its Ordinal set.
	Change(ctx context.Context, c *change.Change) error
	// Commit closes the transaction; end is its position.
	Commit(ctx context.Context, end change.LSN) error
	// Flush says that nothing more is waiting right now: ship what is whole.
	// A transaction may be open.
	Flush(ctx context.Context) error
	// Idle says that up to lsn the log holds nothing that was not delivered.
	// No transaction is open.
	Idle(ctx context.Context, lsn change.LSN) error
}

// Run reads the slot until ctx is canceled or something fails; it never
// returns nil. confirmed is asked, from a goroutine of its own, at every status
// message and names the position up to which the slot may be confirmed; 0 means
// "no further than it is". The slot never moves backwards.
//
// The slot is never created here: see SlotStatus.Check for what a missing one
// means.
func Run(ctx context.Context, cfg Config, sink Sink, confirmed func() change.LSN) error {
	cfg = cfg.withDefaults()
	session, err := open(ctx, cfg)
	if err != nil {
		return fmt.Errorf("capture from slot %q: %w", cfg.Slot, err)
	}
	defer session.conn.Close()

	progress := newProgress(session.slot.Confirmed, cfg.Start)
	queue := newQueue(cfg.QueueBytes, cfg.Metrics)
	reporter := newReporter(session, progress, confirmed, cfg)
	receiver := newReceiver(session, progress, queue, reporter.ask, cfg)
	if err := receiver.start(ctx, startCommand(cfg, session.version)); err != nil {
		return fmt.Errorf("capture from slot %q: %w", cfg.Slot, err)
	}
	cfg.Logger.InfoContext(ctx, "capture started", "slot", cfg.Slot, "start", cfg.Start.String(),
		"confirmed", session.slot.Confirmed.String(), "pid", session.pid)

	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { // wakes the receiver
		<-running.Done()
		return session.conn.SetReadDeadline(time.Unix(1, 0))
	})
	group.Go(func() error { return receiver.run(running) })
	group.Go(func() error { return reporter.run(running, receiver) })
	group.Go(func() error { return newFeeder(queue, sink, progress, cfg).run(running) })
	err = group.Wait()

	// Alone with the connection again: a last confirmation and a goodbye.
	reporter.finish()
	cfg.Metrics.queueBytes.Set(0)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("capture from slot %q: %w", cfg.Slot, err)
}
