package applier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/checkpoint"
	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
)

// OnError says what becomes of a transaction that cannot be applied for a
// lasting reason.
const (
	Stop = "stop" // the origin halts
	Park = "park" // the transaction is kept whole in pgfed.parked, the origin goes on
)

// Config is what an Applier needs. ConnString, Federation, Node, Origin, Rules
// and Frontier are required.
type Config struct {
	ConnString      string
	ApplicationName string // "" stands for pgfed/<node>/apply/<origin>
	Federation      string
	Node            string // this node
	Origin          string // the peer whose changes are applied
	Rules           *conflict.Rules
	Frontier        *checkpoint.Frontier

	// Causal makes a transaction wait until what it had seen of other origins
	// is applied here. After MaxWait (0: 30 s) without success the origin's
	// transactions go on without waiting until they have caught up.
	Causal  bool
	MaxWait time.Duration
	// Stall is how long an open large transaction waits for its next piece
	// before it is rolled back. 0: 5 s.
	Stall time.Duration

	OnError  string // Stop or Park; "" is Stop
	Included func(schema, table string) bool
	// Local says which columns are this node's own: never written or compared,
	// whatever the origin sends, and left out of records. Nil: none.
	Local func(schema, table, column string) bool

	// Memory is shared by successive Appliers of one origin. Nil makes one
	// that lives as long as this Applier.
	Memory *Memory

	Logger  *slog.Logger
	Metrics *Metrics
	// Observe is called from Run's goroutine after each commit and when the
	// state changes. It must not block.
	Observe func(Progress)
}

func (c *Config) setDefaults() {
	if c.ApplicationName == "" {
		c.ApplicationName = "pgfed/" + c.Node + "/apply/" + c.Origin
	}
	if c.MaxWait <= 0 {
		c.MaxWait = 30 * time.Second
	}
	if c.Stall <= 0 {
		c.Stall = 5 * time.Second
	}
	if c.OnError == "" {
		c.OnError = Stop
	}
	if c.Memory == nil {
		c.Memory = new(Memory)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(Progress) {}
	}
}

// Memory is what must outlive an Applier when its source is opened again:
// which large transactions are to be parked although their first pieces look
// fine. One per origin; safe for concurrent use. The zero value is empty.
type Memory struct {
	mu   sync.Mutex
	park map[change.LSN]parkReason // by Begin.Final
	// stalled is the large transaction whose pieces did not come in time: this
	// attempt at it is not begun again before its last piece is in the stream.
	stalled struct {
		final   change.LSN
		attempt change.ID
	}
}

// The states of an Applier, as report.Inbound writes them.
const (
	Applying = "applying"
	Waiting  = "waiting"
)

// Progress is what an Applier says of itself. Counts are since Open.
type Progress struct {
	Origin       string
	Position     change.Position
	CommitTime   time.Time // at the origin, of the last applied transaction
	LowWater     uint64    // sequence of the first message that is still needed after Position
	Generation   change.ID // that LowWater belongs to
	Transactions uint64
	Changes      uint64
	Conflicts    uint64
	Parked       uint64
	State        string   // Applying or Waiting
	WaitingFor   []string // origins, while Waiting, and while going on without having waited
}

// Source hands over an origin's batches in order.
type Source interface {
	// Next blocks until there is a batch or ctx ends. The batch belongs to the
	// Applier until the following call.
	Next(ctx context.Context) (*change.Batch, error)
}

// Applier applies one origin's batches to the local database. It is for one
// goroutine.
type Applier struct {
	Config
	conn       *pgx.Conn
	originName string
	position   change.Position // what the database says is applied; zero before Initialize
	row        checkpoint.Row
	known      bool

	plans      *plans
	statements statements
	control    control
	judge      *conflict.Transaction
	pipes      uint64
	requests   []request
	scratch    scratch
	open       *large          // the large transaction under way, nil
	freeRun    map[string]bool // origins that are waited for no more until they have caught up
	tainted    bool            // some key of this origin is parked
	progress   Progress
}

// Open connects, makes the session a replica's, takes the replication origin
// (ErrOriginBusy when somebody else has it) and reads the checkpoint, waiting
// for a transaction that may still be moving it. The Frontier is set to what
// the checkpoint says, zero before the first contact.
func Open(ctx context.Context, cfg Config) (*Applier, error) {
	cfg.setDefaults()
	if cfg.Federation == "" || cfg.Node == "" || cfg.Origin == "" || cfg.Rules == nil || cfg.Frontier == nil {
		return nil, errors.New("open an applier: federation, node, origin, rules and frontier are required")
	}
	a := &Applier{
		Config:     cfg,
		originName: originName(cfg.Federation, cfg.Origin),
		plans:      newPlans(cfg.Included),
		judge:      conflict.NewTransaction(cfg.Rules, cfg.Origin),
		control:    newControl(),
		freeRun:    make(map[string]bool),
	}
	a.progress = Progress{Origin: cfg.Origin, State: Applying}
	var err error
	if a.conn, err = connect(ctx, cfg.ConnString, cfg.ApplicationName); err != nil {
		return nil, fmt.Errorf("open the applier of %s: %w", cfg.Origin, err)
	}
	if err := a.prepareSession(ctx); err != nil {
		closeSession(ctx, a.conn)
		return nil, fmt.Errorf("open the applier of %s: %w", cfg.Origin, err)
	}
	return a, nil
}

// prepareSession: the order matters. A session of an earlier applier may still
// be committing: only with its origin in hand and its row locked is what we
// read the last word.
func (a *Applier) prepareSession(ctx context.Context) error {
	if err := beReplica(ctx, a.conn); err != nil {
		return err
	}
	if err := takeOrigin(ctx, a.conn, a.originName); err != nil {
		return err
	}
	err := pgx.BeginFunc(ctx, a.conn, func(tx pgx.Tx) error {
		var err error
		a.row, a.known, err = checkpoint.Read(ctx, tx, a.Origin, true)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pgfed.parked_key WHERE origin = $1)", a.Origin).Scan(&a.tainted)
	})
	if err != nil {
		return err
	}
	a.position = a.row.Position
	a.progress.Position, a.progress.CommitTime = a.position, a.row.CommitTime
	a.Frontier.Set(a.Origin, a.position)
	return nil
}

// Checkpoint returns what the database had applied when the applier was
// opened, and now; false before the first contact.
func (a *Applier) Checkpoint() (checkpoint.Row, bool) { return a.row, a.known }

// Initialize writes the first checkpoint: everything up to at is here already.
func (a *Applier) Initialize(ctx context.Context, at change.Position) error {
	if err := checkpoint.Initialize(ctx, a.conn, a.Origin, at); err != nil {
		return err
	}
	a.position, a.known = at, true
	a.row = checkpoint.Row{Position: at}
	a.progress.Position = at
	a.Frontier.Set(a.Origin, at)
	return nil
}

// Continue moves the checkpoint to the same place in another history, a
// descendant of the one it names: the origin was promoted, perhaps more than
// once, and the source vouches that what is applied is shared by both. The
// Frontier must have learned how they descend.
func (a *Applier) Continue(ctx context.Context, at change.Position) error {
	if !a.known || at.LSN != a.position.LSN {
		return fmt.Errorf("continue %s at %s: applied is %s", a.Origin, at, a.position)
	}
	to := a.row
	to.Position = at
	if err := checkpoint.Advance(ctx, a.conn, a.Origin, a.position, to); err != nil {
		return err
	}
	a.position, a.row = at, to
	a.progress.Position = at
	a.Frontier.Set(a.Origin, at)
	return nil
}

// Close ends the session; an open transaction is rolled back. It may be called
// again.
func (a *Applier) Close() {
	a.open = nil
	closeSession(context.Background(), a.conn)
}

func originName(federation, origin string) string { return "pgfed_" + federation + "_" + origin }
