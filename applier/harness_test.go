package applier

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/checkpoint"
	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/partition"
	"github.com/pgfed/pgfed/internal/pgtest"
)

// One server serves all tests: each has a source and a target database of its
// own in it, and its own federation, because origins belong to the server.
var shared struct {
	once    sync.Once
	server  *pgtest.Server
	tb      *binaryTB
	members int
}

// binaryTB lets the shared server live as long as the test binary.
type binaryTB struct {
	testing.TB
	cleanups []func()
	failed   bool
}

func (b *binaryTB) Helper()                 {}
func (b *binaryTB) Cleanup(f func())        { b.cleanups = append(b.cleanups, f) }
func (b *binaryTB) Failed() bool            { return b.failed }
func (b *binaryTB) Log(args ...any)         { fmt.Fprintln(os.Stderr, args...) }
func (b *binaryTB) Logf(f string, a ...any) { fmt.Fprintf(os.Stderr, f+"\n", a...) }
func (b *binaryTB) Fatal(args ...any)       { panic(fmt.Sprint(args...)) }
func (b *binaryTB) Fatalf(f string, a ...any) {
	panic(fmt.Sprintf(f, a...))
}

func TestMain(m *testing.M) {
	shared.tb = new(binaryTB)
	code := m.Run()
	for i := len(shared.tb.cleanups) - 1; i >= 0; i-- {
		shared.tb.cleanups[i]()
	}
	os.Exit(code)
}

func server(t testing.TB) *pgtest.Server {
	t.Helper()
	shared.once.Do(func() {
		shared.server = pgtest.Start(shared.tb, pgtest.Name("applier"),
			pgtest.Setting("max_replication_slots", "100"), pgtest.Setting("autovacuum", "off"))
	})
	return shared.server
}

// bench is a source whose changes are captured with pgoutput, and a target
// that an Applier writes to.
type bench struct {
	t          testing.TB
	ctx        context.Context
	federation string
	targetURL  string
	source     *pgx.Conn
	target     *pgx.Conn
	frontier   *checkpoint.Frontier
	history    change.History
	generation change.ID
	cfg        Config
	a          *Applier
	last       change.LSN // end of what was captured
	sequence   uint64
	progress   []Progress
}

// newBench makes both databases with the same schema; the target gets the
// second one instead if there are two. Node east is the source, west the
// target.
func newBench(t testing.TB, schemas ...string) *bench {
	t.Helper()
	return newBenchOn(t, server(t), schemas...)
}

// newBenchOn is newBench on a server that may be killed: the shared one takes
// long to come back, because recovery visits every file of all its databases.
func newBenchOn(t testing.TB, s *pgtest.Server, schemas ...string) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	shared.members++
	b := &bench{
		t: t, ctx: ctx, federation: fmt.Sprintf("f%d", shared.members),
		history: change.History{ID: change.NewID(), System: 1, Timeline: 1}, generation: change.NewID(),
	}
	sourceURL := s.Database(t)
	b.targetURL = s.Database(t)
	var err error
	b.source, err = connect(ctx, sourceURL, "test source")
	require.NoError(t, err)
	b.target, err = pgx.Connect(ctx, b.targetURL)
	require.NoError(t, err)
	t.Cleanup(b.cleanUp)

	b.on(b.source, "SET search_path = public")
	b.on(b.source, "SET synchronous_commit = on") // decoding reads what is flushed
	b.on(b.source, schemas[0])
	b.on(b.target, schemas[len(schemas)-1])
	b.install()
	b.on(b.source, "CREATE PUBLICATION pgfed FOR ALL TABLES")
	b.on(b.source, fmt.Sprintf("SELECT pg_create_logical_replication_slot('%s', 'pgoutput')", b.federation))
	b.frontier = checkpoint.NewFrontier("west")
	b.cfg = Config{
		ConnString: b.targetURL, Federation: b.federation, Node: "west", Origin: "east",
		Rules: b.rules(nil), Frontier: b.frontier, Stall: 10 * time.Second,
		Observe: func(p Progress) { b.progress = append(b.progress, p) },
	}
	return b
}

func (b *bench) install() {
	b.t.Helper()
	sql, err := os.ReadFile(filepath.Join("..", "internal", "admin", "schema.sql"))
	require.NoError(b.t, err)
	b.on(b.target, string(sql))
	b.on(b.target, fmt.Sprintf("SELECT pg_replication_origin_create('pgfed_%s_east')", b.federation))
}

func (b *bench) cleanUp() {
	ctx := context.Background()
	if b.a != nil {
		b.a.Close()
	}
	_, _ = b.source.Exec(ctx, fmt.Sprintf("SELECT pg_drop_replication_slot('%s')", b.federation))
	for range 1000 {
		_, err := b.target.Exec(ctx, fmt.Sprintf("SELECT pg_replication_origin_drop('pgfed_%s_east')", b.federation))
		if sqlState(err) != "55006" { // still held by the session that ends
			break
		}
	}
	_ = b.source.Close(ctx)
	_ = b.target.Close(ctx)
	shared.tb.failed = shared.tb.failed || b.t.Failed()
}

// on runs SQL, each argument as one multi-statement query.
func (b *bench) on(conn *pgx.Conn, sqls ...string) {
	b.t.Helper()
	for _, sql := range sqls {
		_, err := conn.PgConn().Exec(b.ctx, sql).ReadAll()
		require.NoError(b.t, err, sql)
	}
}

func (b *bench) rules(spec conflict.Spec) *conflict.Rules {
	b.t.Helper()
	rules, err := conflict.Compile(spec, []string{"east", "west", "north"}, conflict.PolicyError)
	require.NoError(b.t, err)
	return rules
}

// owned makes one node the owner of every table.
func (b *bench) owned(node string) *bench {
	b.cfg.Rules = b.rules(conflict.Spec{{Tables: []string{"public.*"}, Node: node}})
	return b
}

// open opens an applier, closing the one before, and initializes it.
func (b *bench) open() *Applier {
	b.t.Helper()
	if b.a != nil {
		b.a.Close()
	}
	require.EventuallyWithT(b.t, func(c *assert.CollectT) {
		a, err := Open(b.ctx, b.cfg)
		require.NoError(c, err)
		b.a = a
	}, 10*time.Second, 10*time.Millisecond)
	if _, known := b.a.Checkpoint(); !known {
		require.NoError(b.t, b.a.Initialize(b.ctx, change.Position{History: b.history.ID}))
	}
	return b.a
}

// errDrained ends a Run whose source has no more.
var errDrained = errors.New("drained")

// batches is a Source of prepared batches.
type batches []*change.Batch

func (s *batches) Next(context.Context) (*change.Batch, error) {
	if len(*s) == 0 {
		return nil, errDrained
	}
	next := (*s)[0]
	*s = (*s)[1:]
	return next, nil
}

// exec runs transactions on the source.
func (b *bench) exec(sqls ...string) *bench {
	b.t.Helper()
	b.on(b.source, sqls...)
	return b
}

// run applies batches and returns what stopped it, nil when all were applied.
func (b *bench) run(list []*change.Batch) error {
	b.t.Helper()
	if b.a == nil {
		b.open()
	}
	source := batches(list)
	err := b.a.Run(b.ctx, &source)
	if errors.Is(err, errDrained) {
		return nil
	}
	return err
}

// replicate runs transactions on the source and applies them.
func (b *bench) replicate(sqls ...string) {
	b.t.Helper()
	require.NoError(b.t, b.run(b.exec(sqls...).capture()))
}

// capture returns what the source committed since the last call: one batch for
// each transaction, tuples as pgoutput wrote them.
func (b *bench) capture() []*change.Batch {
	b.t.Helper()
	var list []*change.Batch
	for _, p := range b.parts() {
		list = append(list, b.batch(p))
	}
	return list
}

func (b *bench) batch(parts ...change.Part) *change.Batch {
	b.sequence++
	batch := &change.Batch{
		Origin: "east", History: b.history, Generation: b.generation, Sequence: b.sequence, LowWater: b.sequence + 1,
		Previous: b.last, Last: b.last, Parts: parts,
	}
	for _, p := range parts {
		if p.Commit != 0 {
			batch.Last = p.Commit
		}
	}
	b.last = batch.Last
	return batch
}

// pieces cuts a transaction into pieces of n changes, a batch each.
func (b *bench) pieces(p change.Part, n int) []*change.Batch {
	var list []*change.Batch
	attempt := change.NewID()
	for from := 0; from < len(p.Changes); from += n {
		to := min(from+n, len(p.Changes))
		piece := change.Part{
			Begin: p.Begin, Vector: p.Vector, Attempt: attempt, Index: uint32(from / n),
			First: from == 0, Last: to == len(p.Changes), Changes: p.Changes[from:to],
		}
		if piece.Last {
			piece.Commit = p.Commit
		}
		list = append(list, b.batch(piece))
	}
	return list
}

func (b *bench) parts() []change.Part {
	b.t.Helper()
	b.on(b.source, "SET search_path = ''")
	defer b.on(b.source, "SET search_path = public")
	rows, err := b.source.Query(b.ctx, `SELECT data FROM pg_logical_slot_get_binary_changes($1, NULL, NULL,
		'proto_version', '1', 'publication_names', 'pgfed')`, b.federation)
	require.NoError(b.t, err)
	messages, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	require.NoError(b.t, err)
	parser := pgoutput{t: b.t, tables: make(map[uint32]*change.Table), conn: b.source}
	for _, m := range messages {
		parser.message(m)
	}
	return parser.parts
}

// rows returns a query's rows as text, one string a row.
func (b *bench) rows(conn *pgx.Conn, sql string) []string {
	b.t.Helper()
	results, err := conn.PgConn().Exec(b.ctx, sql).ReadAll()
	require.NoError(b.t, err, sql)
	lines := []string{}
	for _, row := range results[len(results)-1].Rows {
		var fields []string
		for _, f := range row {
			if f == nil {
				fields = append(fields, "NULL")
			} else {
				fields = append(fields, string(f))
			}
		}
		lines = append(lines, strings.Join(fields, "|"))
	}
	return lines
}

// equal requires that a table has the same rows, as text, in both databases.
func (b *bench) equal(tables ...string) {
	b.t.Helper()
	for _, table := range tables {
		sql := fmt.Sprintf("SELECT t::text FROM %s t ORDER BY 1", table)
		conn, err := connect(b.ctx, b.targetURL, "test")
		require.NoError(b.t, err)
		b.on(conn, "SET search_path = public")
		require.Equal(b.t, b.rows(b.source, sql), b.rows(conn, sql), table)
		require.NoError(b.t, conn.Close(b.ctx))
	}
}

// conflicts lists what is on record.
func (b *bench) conflicts() []string {
	b.t.Helper()
	return b.rows(b.target, "SELECT table_name, operation, kind, resolution, key FROM pgfed.conflict_history ORDER BY position, ordinal")
}

// pgoutput reads protocol version 1 for tests.
type pgoutput struct {
	t      testing.TB
	tables map[uint32]*change.Table
	parts  []change.Part
	conn   *pgx.Conn // where tables are asked what they are partitions of
}

func (p *pgoutput) message(m []byte) {
	body := m[1:]
	u32 := func() uint32 { v := binary.BigEndian.Uint32(body); body = body[4:]; return v }
	u64 := func() uint64 { v := binary.BigEndian.Uint64(body); body = body[8:]; return v }
	epoch := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	var part *change.Part
	if len(p.parts) > 0 {
		part = &p.parts[len(p.parts)-1]
	}
	switch m[0] {
	case 'B':
		final := change.LSN(u64())
		at := epoch.Add(time.Duration(u64()) * time.Microsecond)
		p.parts = append(p.parts, change.Part{Begin: change.Begin{XID: u32(), Final: final, Time: at}, First: true, Last: true})
	case 'C':
		body = body[1:]
		_ = u64()
		part.Commit = change.LSN(u64())
	case 'R':
		p.relation(body)
	case 'I', 'U', 'D':
		table := p.tables[u32()]
		require.NotNil(p.t, table)
		c := change.Change{Op: change.Op(m[0]), Table: table, Ordinal: uint64(len(part.Changes))}
		for len(body) > 0 {
			kind := body[0]
			size, err := change.TupleSize(body[1:])
			require.NoError(p.t, err)
			tuple := change.Tuple(body[1 : 1+size])
			body = body[1+size:]
			if kind == 'N' {
				c.New = tuple
			} else {
				c.OldKind, c.Old = kind, tuple
			}
		}
		part.Changes = append(part.Changes, c)
	case 'T':
		n := u32()
		options := body[0]
		body = body[1:]
		c := change.Change{Op: change.Truncate, Cascade: options&1 != 0, RestartIdentity: options&2 != 0, Ordinal: uint64(len(part.Changes))}
		var ids []uint32
		for range n {
			ids = append(ids, u32())
			c.Truncated = append(c.Truncated, p.tables[ids[len(ids)-1]])
		}
		var err error
		c.Wholly, err = partition.Wholly(context.Background(), p.conn, ids)
		require.NoError(p.t, err)
		part.Changes = append(part.Changes, c)
	}
}

func (p *pgoutput) relation(body []byte) {
	text := func() string {
		end := strings.IndexByte(string(body), 0)
		s := string(body[:end])
		body = body[end+1:]
		return s
	}
	id := binary.BigEndian.Uint32(body)
	body = body[4:]
	t := &change.Table{Schema: text(), Name: text(), Identity: body[0]}
	n := int(binary.BigEndian.Uint16(body[1:]))
	body = body[3:]
	for range n {
		c := change.Column{Key: body[0]&1 != 0}
		body = body[1:]
		c.Name = text()
		c.TypeOID = binary.BigEndian.Uint32(body)
		c.TypeMod = int32(binary.BigEndian.Uint32(body[4:]))
		body = body[8:]
		t.Columns = append(t.Columns, c)
	}
	found, err := partition.Read(context.Background(), p.conn, []uint32{id})
	require.NoError(p.t, err)
	t.Partition = found[id]
	p.tables[id] = t
}
