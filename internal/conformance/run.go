package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

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
	sessions map[string]*pgx.Conn
}

// Together runs cases in one federation: first those that do not disturb each
// other, all at once, stage by stage; then the others one after another. A case
// that halts the federation is out, and the others begin anew in another one.
func Together(t testing.TB, majors Majors, judge *pgtest.Server, cases []*Case) []Verdict {
	t.Helper()
	var verdicts []Verdict
	for len(cases) > 0 {
		done, rest := together(t, majors, judge, cases)
		if len(rest) == len(cases) {
			t.Fatal("the federation broke, and no case is to blame")
		}
		verdicts, cases = append(verdicts, done...), rest
	}
	return verdicts
}

// together runs cases until one breaks the federation, and gives back those
// that were not judged.
func together(t testing.TB, majors Majors, judge *pgtest.Server, cases []*Case) (done []Verdict, rest []*Case) {
	t.Helper()
	a, err := newArena(t, majors, judge, cases...)
	if err != nil {
		t.Fatal(err)
	}
	defer a.end()
	var parallel, serial []*running
	for _, c := range cases {
		r := &running{c: c, a: a, sessions: map[string]*pgx.Conn{}}
		defer r.close()
		if c.Serial() {
			serial = append(serial, r)
		} else {
			parallel = append(parallel, r)
			r.setup()
		}
	}
	if err := a.start(); err != nil {
		t.Fatal(err)
	}
	a.stages(parallel)
	for _, r := range serial {
		if a.broken {
			break
		}
		r.judged = true
		r.alone(true)
		if err := a.settle(); err != nil {
			a.broken = true
			r.note(err)
		}
	}
	for _, r := range append(parallel, serial...) {
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
	a, err := newArena(t, majors, judge, c)
	if err != nil {
		return Verdict{Case: c, Err: err}
	}
	r := &running{c: c, a: a, sessions: map[string]*pgx.Conn{}}
	defer r.close()
	r.alone(false)
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
			for _, s := range stages[n] {
				r.step(s)
			}
			r.closeUnnamed()
		}
		if len(now) == 0 {
			return
		}
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
		for _, r := range now {
			if r.err == nil && (n == len(r.c.stages())-1 || r.c.comparable()) {
				r.err = r.compare()
			}
		}
	}
}

// alone runs a case from setup to comparison while no other runs. The
// replicators run already if the arena is shared.
func (r *running) alone(shared bool) {
	r.setup()
	if r.err != nil {
		return
	}
	if shared {
		r.step(Step{Verb: "init"})
	} else if err := r.a.start(); err != nil {
		if r.err = err; r.c.Expect.Kind == RefusedAtInit {
			r.err = r.a.refused(err, strings.Split(r.c.Expect.Detail, "\n"))
		}
		return
	} else if r.c.Expect.Kind == RefusedAtInit {
		r.err = errors.New("init did not refuse")
		return
	}
	stages := r.c.stages()
	halting := r.c.Expect.Kind == Halt
	for i, stage := range stages {
		for _, s := range stage {
			if s.Verb == "repair" || s.Verb == "halted" {
				r.awaitHalt()
				halting = s.Verb == "halted"
			}
			r.step(s)
		}
		r.closeUnnamed()
		if r.err != nil {
			return
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

func (r *running) awaitHalt() {
	if r.err == nil {
		_, r.err = r.a.awaitHalt(r.c.Expect.Detail)
	}
}

func (r *running) setup() {
	for _, where := range append(slices.Clone(Nodes), oracle) {
		sql := "CREATE SCHEMA " + pgx.Identifier{r.c.Schema()}.Sanitize() + ";"
		for _, extension := range r.c.Contrib {
			sql += "CREATE EXTENSION IF NOT EXISTS " + pgx.Identifier{extension}.Sanitize() + " SCHEMA public;"
		}
		r.note(r.a.exec(where, sql))
	}
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
		for _, where := range s.Where {
			if err == nil {
				err = r.sql(where, s)
			}
		}
	case "fails":
		err = r.fails(s)
	case "check":
		err = r.check(s)
	case "init":
		for _, node := range Nodes {
			if err == nil {
				err = r.a.init(node)
			}
		}
	case "restart", "kill", "stop", "start":
		err = r.disturb(s)
	}
	if err != nil {
		r.err = fmt.Errorf("line %d: %w", s.Line, err)
	}
}

// session finds or opens a session of the case. The oracle has one for each
// that the nodes have.
func (r *running) session(where string, s Step) (*pgx.Conn, error) {
	key := where + "/" + s.Session
	if where == oracle && len(s.Where) == 2 {
		key = where + "/" + s.Where[0] + "/" + s.Session
	}
	if conn := r.sessions[key]; conn != nil && !conn.IsClosed() {
		return conn, nil
	}
	conn, err := r.a.connect(where, r.c.Schema())
	if err == nil {
		r.sessions[key] = conn
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
		if s.What == "postgres" {
			r.drop(name)
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

// drop closes the sessions with a node.
func (r *running) drop(node string) {
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
