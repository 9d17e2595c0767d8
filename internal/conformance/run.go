package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgfed/pgfed/internal/pgtest"
)

// Verdict is what became of a case.
type Verdict struct {
	Case *Case
	Skip string // why it does not apply to this version
	Err  error
}

// running is a case in an arena.
type running struct {
	c        *Case
	a        *arena
	err      error
	judged   bool // to the end
	mu       sync.Mutex
	sessions map[string]*pgx.Conn
}

// Campaign is a federation that cases share.
type Campaign struct {
	Majors Majors
	Judge  *pgtest.Server // the oracle
	Common *Case          // settings of the federation; nil: the ordinary ones
	// Sessions is how many cases run at once; 0: one after the other.
	Sessions int
	// Disturb says what befalls the nodes in the middle of a stage; nil: nothing.
	Disturb func(stage int) []Step
}

// Together runs cases in a federation with ordinary settings.
func Together(t testing.TB, majors Majors, judge *pgtest.Server, cases []*Case) []Verdict {
	t.Helper()
	return Campaign{Majors: majors, Judge: judge}.Run(t, cases)
}

// Run runs cases in one federation: first those that do not disturb each
// other, all at once, stage by stage; then the others one after another. A case
// that halts the federation is out, and the others begin anew in another one.
func (g Campaign) Run(t testing.TB, cases []*Case) []Verdict {
	t.Helper()
	var verdicts []Verdict
	for len(cases) > 0 {
		done, rest := g.together(t, cases)
		if len(rest) == len(cases) {
			t.Fatal("the federation broke, and no case is to blame")
		}
		verdicts, cases = append(verdicts, done...), rest
	}
	return verdicts
}

// together runs cases until one breaks the federation, and gives back those
// that were not judged.
func (g Campaign) together(t testing.TB, cases []*Case) (done []Verdict, rest []*Case) {
	t.Helper()
	a, err := newArena(t, g.Majors, g.Judge, g.Common, cases...)
	if err != nil {
		t.Fatal(err)
	}
	a.disturb, a.sessions = g.Disturb, g.Sessions
	defer a.end()
	var all, parallel, serial []*running
	for _, c := range cases {
		r := &running{c: c, a: a, sessions: map[string]*pgx.Conn{}}
		defer r.close()
		r.extensions()
		all = append(all, r)
		if c.Serial() {
			serial = append(serial, r)
		} else {
			parallel = append(parallel, r)
		}
	}
	a.each(all, (*running).setup)
	if err := a.start(); err != nil {
		t.Fatal(err)
	}
	a.stages(parallel)
	for _, r := range serial {
		if a.broken {
			break
		}
		r.judged = true
		r.alone()
		if err := a.settle(); err != nil {
			a.broken = true
			r.note(err)
		}
	}
	for _, r := range all {
		if r.judged || r.err != nil {
			done = append(done, Verdict{Case: r.c, Err: r.err})
		} else {
			rest = append(rest, r.c)
		}
	}
	return done, rest
}

// Alone runs a case in a federation of its own.
func Alone(t testing.TB, majors Majors, judge *pgtest.Server, c *Case) Verdict {
	t.Helper()
	a, err := newArena(t, majors, judge, c, c)
	if err != nil {
		return Verdict{Case: c, Err: err}
	}
	r := &running{c: c, a: a, sessions: map[string]*pgx.Conn{}}
	defer r.close()
	if r.begin() {
		r.alone()
	}
	return Verdict{Case: c, Err: r.err}
}

// stages runs all cases' first stage, waits for it to arrive, compares, and
// goes on with the second.
func (a *arena) stages(cases []*running) {
	for n := 0; ; n++ {
		var now []*running
		for _, r := range cases {
			stages := r.c.stages()
			if n >= len(stages) || r.err != nil {
				r.judged = true
				continue
			}
			now = append(now, r)
		}
		if len(now) == 0 {
			return
		}
		write := func(r *running) {
			for _, s := range r.c.stages()[n] {
				r.step(s)
			}
			r.closeUnnamed()
		}
		began := time.Now()
		a.each(now[:len(now)/2], write)
		a.befall(cases, n, "replicator")
		a.each(now[len(now)/2:], write)
		a.befall(cases, n, "postgres")
		wrote := time.Now()
		if err := a.settle(); err != nil {
			a.broken = true
			a.t.Logf("the federation broke: %v", err)
			for _, r := range now {
				if errors.Is(err, errHalted) && strings.Contains(err.Error(), " "+r.c.Schema()+".") {
					r.note(err)
				}
			}
			return
		}
		arrived := time.Now()
		a.each(now, func(r *running) {
			if r.err == nil && (n == len(r.c.stages())-1 || r.c.comparable()) {
				r.err = r.compare()
			}
		})
		a.t.Logf("stage %d of %d cases: written in %.1fs, arrived in %.1fs, compared in %.1fs", n, len(now),
			wrote.Sub(began).Seconds(), arrived.Sub(wrote).Seconds(), time.Since(arrived).Seconds())
	}
}

// each does something for all cases, for as many at once as the campaign wants.
func (a *arena) each(cases []*running, do func(*running)) {
	queue := make(chan *running)
	var done sync.WaitGroup
	for range max(1, a.sessions) {
		done.Go(func() {
			for r := range queue {
				do(r)
			}
		})
	}
	for _, r := range cases {
		queue <- r
	}
	close(queue)
	done.Wait()
}

// befall does to the nodes what the campaign wants in a stage: to replicators
// while cases write, to databases when they are done.
func (a *arena) befall(cases []*running, stage int, what string) {
	if a.disturb == nil {
		return
	}
	for _, s := range a.disturb(stage) {
		if s.What != what {
			continue
		}
		a.t.Logf("stage %d: %s %s %s", stage, s.Verb, s.What, s.Where[0])
		for _, r := range cases {
			r.drop(s.Where[0], what)
		}
		if err := (&running{a: a}).disturb(s); err != nil {
			a.t.Fatal(err)
		}
	}
}

// begin sets up the federation of a case that has its own; false when that was
// all.
func (r *running) begin() bool {
	r.extensions()
	r.setup()
	if r.err != nil {
		return false
	}
	err := r.a.start()
	switch {
	case r.c.Expect.Kind != RefusedAtInit:
		r.err = err
		return err == nil
	case err == nil:
		r.err = errors.New("init did not refuse")
	default:
		r.err = r.a.refused(err, strings.Split(r.c.Expect.Detail, "\n"))
	}
	return false
}

// alone runs a case that is set up, to its comparison, while no other runs.
func (r *running) alone() {
	if r.err != nil {
		return
	}
	stages := r.c.stages()
	halting := r.c.Expect.Kind == Halt
	for i, stage := range stages {
		for _, s := range stage {
			if s.Verb == "repair" || s.Verb == "halted" {
				r.awaitHalt()
				halting = s.Verb == "halted" || repairsAgain(stages[i+1:])
			}
			r.step(s)
		}
		r.closeUnnamed()
		if r.err != nil {
			return
		}
		if stage[0].Verb == "repair" {
			r.a.mended = time.Now()
		}
		if halting {
			switch {
			case i == len(stages)-1:
				r.awaitHalt()
			case stages[i+1][0].Verb != "repair" && stages[i+1][0].Verb != "halted" && stage[0].Verb != "halted":
				r.err = r.a.settle()
			}
			continue
		}
		if r.err = r.a.settle(); r.err != nil {
			return
		}
		if i == len(stages)-1 || r.c.comparable() {
			if r.err = r.compare(); r.err != nil {
				return
			}
		}
	}
}

// repairsAgain reports whether another halt is to come.
func repairsAgain(stages [][]Step) bool {
	return slices.ContainsFunc(stages, func(stage []Step) bool { return stage[0].Verb == "repair" })
}

func (r *running) awaitHalt() {
	if r.err == nil {
		_, r.err = r.a.awaitHalt(r.c.Expect.Detail)
	}
}

// extensions are shared by all cases.
func (r *running) extensions() {
	var sql string
	for _, extension := range r.c.Contrib {
		sql += "CREATE EXTENSION IF NOT EXISTS " + pgx.Identifier{extension}.Sanitize() + " SCHEMA public;"
	}
	if sql != "" {
		r.note(everywhere(func(where string) error { return r.a.exec(where, sql) }))
	}
}

func (r *running) setup() {
	r.note(everywhere(func(where string) error {
		return r.a.exec(where, "CREATE SCHEMA "+pgx.Identifier{r.c.Schema()}.Sanitize())
	}))
	for _, s := range r.c.Steps {
		if s.Verb == "setup" {
			r.step(s)
		}
	}
	r.closeUnnamed()
}

func (r *running) note(err error) {
	if r.err == nil && err != nil {
		r.err = err
	}
}

// step does one section, unless the case has failed.
func (r *running) step(s Step) {
	if r.err != nil {
		return
	}
	var err error
	switch s.Verb {
	case "setup", "on":
		err = atOnce(s.Where, func(where string) error { return r.sql(where, s) })
	case "fails":
		err = r.fails(s)
	case "check":
		err = r.check(s)
	case "init":
		err = atOnce(Nodes, r.a.init)
	case "restart", "kill", "stop", "start":
		err = r.disturb(s)
	}
	if err != nil {
		r.err = fmt.Errorf("line %d: %w", s.Line, err)
	}
}

// everywhere does the same at all nodes and at the oracle, atOnce at some.
func everywhere(do func(where string) error) error {
	return atOnce(append(slices.Clone(Nodes), oracle), do)
}

func atOnce(where []string, do func(where string) error) error {
	errs := make([]error, len(where))
	var working sync.WaitGroup
	for i, name := range where {
		working.Go(func() { errs[i] = do(name) })
	}
	working.Wait()
	return errors.Join(errs...)
}

// session finds or opens a session of the case. The oracle has one for each
// that the nodes have.
func (r *running) session(where string, s Step) (*pgx.Conn, error) {
	key := where + "/" + s.Session
	if where == oracle && len(s.Where) == 2 {
		key = where + "/" + s.Where[0] + "/" + s.Session
	}
	r.mu.Lock()
	conn := r.sessions[key]
	r.mu.Unlock()
	if conn != nil && !conn.IsClosed() {
		return conn, nil
	}
	conn, err := r.a.connect(where, r.c.Schema())
	if err == nil {
		r.mu.Lock()
		r.sessions[key] = conn
		r.mu.Unlock()
	}
	return conn, err
}

func (r *running) sql(where string, s Step) error {
	conn, err := r.session(where, s)
	if err != nil {
		return err
	}
	return run(conn, where, s.SQL)
}

// fails wants every statement refused with the SQLSTATE.
func (r *running) fails(s Step) error {
	conn, err := r.session(s.Where[0], s)
	if err != nil {
		return err
	}
	for _, statement := range Split(s.SQL) {
		err := run(conn, s.Where[0], statement.SQL)
		var refused *pgconn.PgError
		switch {
		case err == nil:
			return fmt.Errorf("%s takes what it should refuse: %s", s.Where[0], statement.SQL)
		case !errors.As(err, &refused) || refused.Code != s.State:
			return fmt.Errorf("want SQLSTATE %s: %w", s.State, err)
		}
	}
	return nil
}

func (r *running) check(s Step) error {
	for _, where := range s.Where {
		conn, err := r.session(where, s)
		if err != nil {
			return err
		}
		have, err := answer(conn, s.Query)
		if err != nil {
			return fmt.Errorf("at %s: %w\n%s", where, err, s.Query)
		}
		if have != s.Want {
			return fmt.Errorf("at %s: %s\n    want %s\n    have %s", where, s.Query, s.Want, have)
		}
	}
	return nil
}

// disturb restarts or kills something; a kill starts it again.
func (r *running) disturb(s Step) error {
	for _, name := range s.Where {
		node := r.a.f.Node(name)
		r.drop(name, s.What)
		if s.What == "postgres" {
			switch s.Verb {
			case "kill":
				node.DB.Kill9()
			case "stop", "restart":
				node.DB.Stop()
			}
			if s.Verb != "stop" {
				if err := node.DB.TryStart(); err != nil {
					return err
				}
			}
			continue
		}
		switch s.Verb {
		case "kill":
			node.Kill()
		case "stop", "restart":
			node.Stop()
		}
		if s.Verb != "stop" {
			if err := node.TryStart(); err != nil {
				return err
			}
		}
	}
	return nil
}

// drop closes the sessions with a node whose database is about to go.
func (r *running) drop(node, what string) {
	if what != "postgres" {
		return
	}
	for key, conn := range r.sessions {
		if strings.HasPrefix(key, node+"/") {
			_ = conn.Close(context.Background())
			delete(r.sessions, key)
		}
	}
}

// closeUnnamed closes sessions that no later section can mean.
func (r *running) closeUnnamed() {
	for key, conn := range r.sessions {
		if strings.HasSuffix(key, "/") {
			_ = conn.Close(context.Background())
			delete(r.sessions, key)
		}
	}
}

func (r *running) close() {
	for _, conn := range r.sessions {
		_ = conn.Close(context.Background())
	}
}
