package applier

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// Bounds of one run: what is sent between two points where the replies are
// read. Two runs may be under way: one being executed, one being read.
const (
	runChanges = 1000
	runBytes   = 1 << 20
)

// anyCount accepts every row count.
const anyCount = -1

// mismatch: a statement touched another number of rows than one. The exact
// path finds out why.
type mismatch struct{ have, want int64 }

func (m *mismatch) Error() string {
	return fmt.Sprintf("%d rows touched, want %d", m.have, m.want)
}

// errOutgrown: a table is not what its plan was made for. The exact path makes
// a new one.
var errOutgrown = errors.New("the table has changed since it was planned for")

// request awaits its reply in a pipe.
type request struct {
	prepares *prepared // the reply to a Parse, else
	holds    *plan     // the reply to a plan's hold: its columns must be those of the plan
	want     int64     // the row count of a statement
	then     func(pgconn.CommandTag) error
}

// pipe sends statements without waiting for each reply. The first error or
// mismatch is kept; the replies behind it are read all the same, so that what
// is known of the session stays true.
type pipe struct {
	a        *Applier
	p        *pgconn.Pipeline
	id       uint64
	requests []request // queued and not read from head on, oldest first
	head     int
	runs     []int // how many of them each run that was sent has
	changes  int   // in the run being filled
	bytes    int
	filled   int // requests in the run being filled
	err      error
}

// pipe puts the session into pipeline mode. Nothing else may use it until
// close.
func (a *Applier) pipe(ctx context.Context) *pipe {
	a.pipes++
	l := &pipe{a: a, p: a.conn.PgConn().StartPipeline(ctx), id: a.pipes, requests: a.requests[:0]}
	for _, name := range a.statements.expired() {
		l.p.SendDeallocate(name)
		l.expect(request{want: anyCount})
	}
	return l
}

func (l *pipe) expect(r request) {
	l.requests = append(l.requests, r)
	l.filled++
}

// send queues one statement; values are copied before it returns.
func (l *pipe) send(st *statement, values [][]byte, r request) {
	p := l.a.statements.use(st)
	if !p.there && p.sentIn != l.id {
		l.a.statements.rename(p)
		p.sentIn = l.id
		l.p.SendPrepare(p.name, st.sql, st.oids)
		l.expect(request{prepares: p})
	}
	l.p.SendQueryPrepared(p.name, values, nil, nil)
	l.expect(r)
	l.changes++
	for _, v := range values {
		l.bytes += len(v)
	}
}

// hold makes sure that a table is still as it was planned for and stays so
// until the transaction ends, see plan.hold.
func (l *pipe) hold(p *plan) {
	l.send(p.hold, nil, request{holds: p, want: anyCount})
	if p.stillGenerated != nil {
		l.send(p.stillGenerated, nil, request{want: p.generated})
	}
}

// full reports whether the run should be sent.
func (l *pipe) full() bool { return l.changes >= runChanges || l.bytes >= runBytes }

// turn sends the run, and reads the replies of the one before it meanwhile.
func (l *pipe) turn() error {
	if err := l.flush(); err != nil {
		return err
	}
	if len(l.runs) > 1 {
		return l.read()
	}
	return nil
}

func (l *pipe) flush() error {
	if err := l.p.Sync(); err != nil {
		l.fail(err)
		return l.err
	}
	l.runs = append(l.runs, l.filled)
	l.changes, l.bytes, l.filled = 0, 0, 0
	return nil
}

// finish sends what is left and reads every reply.
func (l *pipe) finish() error {
	if err := l.flush(); err != nil {
		return err
	}
	for len(l.runs) > 0 {
		if err := l.read(); err != nil {
			return err
		}
	}
	return l.err
}

// read reads the replies of the oldest run, up to its Sync. A server error
// ends the run: what follows it was skipped there.
func (l *pipe) read() error {
	n := l.runs[0]
	l.runs = l.runs[1:]
	own := l.requests[l.head : l.head+n]
	l.head += n
	if l.head == len(l.requests) {
		l.requests, l.head = l.requests[:0], 0
	}
	for {
		result, err := l.p.GetResults()
		var refused *pgconn.PgError
		if errors.As(err, &refused) {
			l.fail(err)
			continue // the next result is the Sync
		}
		if err != nil {
			l.fail(err)
			return l.err
		}
		switch result := result.(type) {
		case *pgconn.PipelineSync:
			return l.err
		case nil:
			l.fail(errors.New("the replies ended before their Sync"))
			return l.err
		case *pgconn.StatementDescription:
			own[0].prepares.there = true
		case *pgconn.ResultReader:
			l.judge(result, own[0])
		}
		own = own[1:]
	}
}

// judge compares a row count with the wanted one.
func (l *pipe) judge(result *pgconn.ResultReader, r request) {
	outgrown := r.holds != nil && !r.holds.fits(result.FieldDescriptions())
	tag, err := result.Close()
	switch {
	case err != nil:
		l.fail(err)
	case outgrown:
		l.fail(errOutgrown)
	case r.then != nil:
		if err := r.then(tag); err != nil {
			l.fail(err)
		}
	case r.want != anyCount && tag.RowsAffected() != r.want:
		l.fail(&mismatch{tag.RowsAffected(), r.want})
	}
}

func (l *pipe) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

// close returns the session to ordinary mode and reports the first failure.
// Runs that were not read are read and judged no more.
func (l *pipe) close() error {
	if l.filled > 0 && !l.a.conn.IsClosed() {
		_ = l.flush() // never leave requests without their Sync
	}
	for len(l.runs) > 0 && !l.a.conn.IsClosed() {
		if l.read() != nil && l.a.conn.IsClosed() {
			break
		}
	}
	l.a.requests = l.requests[:0]
	var refused *pgconn.PgError
	if err := l.p.Close(); err != nil && !errors.As(err, &refused) {
		l.fail(err)
	}
	return l.err
}
