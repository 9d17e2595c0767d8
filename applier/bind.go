package applier

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
)

// scratch is memory reused from change to change.
type scratch struct {
	image  image
	set    []bool
	shape  []byte
	values [][]byte
	items  []item
}

// image is a change's tuples, column by column. Values share memory with the
// change.
type image struct {
	old, new []change.Value
}

// judgeChanges plans and judges the next changes of the source transaction.
// The result is valid until the next call.
func (a *Applier) judgeChanges(ctx context.Context, changes []change.Change, last bool) ([]item, error) {
	if err := a.refresh(ctx); err != nil {
		return nil, err
	}
	for i := range changes {
		c := &changes[i]
		if c.Op != change.Truncate {
			if c.Table == nil {
				return nil, lasting(CodeMalformed, "", "", "change %d names no table", c.Ordinal)
			}
			if _, err := a.plan(ctx, c.Table); err != nil {
				return nil, err
			}
		}
	}
	judged, err := a.judge.Judge(changes, last)
	if errors.Is(err, conflict.ErrOwnerUnknown) {
		return nil, &Halt{Code: CodeOwnerUnknown, Reason: err.Error(), Remedy: "correct the ownership rule or the table's replica identity", Err: err}
	}
	if err != nil {
		return nil, malformed(nil, err)
	}
	items := a.scratch.items[:0]
	for i := range judged {
		it := item{Judged: judged[i]}
		if it.Change.Op != change.Truncate {
			if it.plan, err = a.plan(ctx, it.Change.Table); err != nil {
				return nil, err
			}
		}
		items = append(items, it)
	}
	a.scratch.items = items
	return items, nil
}

func malformed(t *change.Table, err error) *Halt {
	var h *Halt
	if errors.As(err, &h) {
		return h
	}
	table := ""
	if t != nil {
		table = t.String()
	}
	return &Halt{Code: CodeMalformed, Table: table, Reason: err.Error(), Remedy: "report this: the batch contradicts itself", Err: err}
}

// read takes a change's tuples apart.
func (img *image) read(c *change.Change) error {
	var err error
	img.old, img.new = img.old[:0], img.new[:0]
	if c.OldKind != change.OldNone {
		if img.old, err = c.Old.Values(img.old); err != nil {
			return malformed(c.Table, err)
		}
	}
	if c.Op != change.Delete {
		if img.new, err = c.New.Values(img.new); err != nil {
			return malformed(c.Table, err)
		}
	}
	n := len(c.Table.Columns)
	switch {
	case c.OldKind != change.OldNone && len(img.old) != n, c.Op != change.Delete && len(img.new) != n:
		return malformed(c.Table, fmt.Errorf("%w: the table has %d columns, the tuple another number", change.ErrTuple, n))
	case c.Op == change.Delete && c.OldKind == change.OldNone:
		return malformed(c.Table, fmt.Errorf("%w: a DELETE without the old row's key", change.ErrTuple))
	case c.Table.Identity == change.IdentityFull && c.Op != change.Insert && c.OldKind != change.OldFull:
		return malformed(c.Table, fmt.Errorf("%w: %s without the whole old row under REPLICA IDENTITY FULL", change.ErrTuple, c.Op))
	}
	return nil
}

// bind chooses the statement that makes an accepted change, and its
// parameters; they are valid until the next call.
func (a *Applier) bind(it *item) (*statement, [][]byte, error) {
	img := &a.scratch.image
	if err := img.read(it.Change); err != nil {
		return nil, nil, err
	}
	if err := it.plan.intact(img); err != nil {
		return nil, nil, err
	}
	st, err := a.choose(it, img)
	if err != nil {
		return nil, nil, err
	}
	a.scratch.values, err = st.bind(a.scratch.values[:0], img)
	if err != nil {
		return nil, nil, malformed(it.Change.Table, err)
	}
	return st, a.scratch.values, nil
}

// choose finds or builds the statement for a change of this shape.
func (a *Applier) choose(it *item, img *image) (*statement, error) {
	p, c := it.plan, it.Change
	if c.Op == change.Insert {
		return p.insert, nil
	}
	if err := p.findable(); err != nil {
		return nil, err
	}
	a.scratch.shape = append(a.scratch.shape[:0], byte(c.Op), c.OldKind)
	if c.Op == change.Update {
		a.scratch.set = p.changed(a.scratch.set[:0], c, img)
		for _, set := range a.scratch.set {
			if set {
				a.scratch.shape = append(a.scratch.shape, 1)
			} else {
				a.scratch.shape = append(a.scratch.shape, 0)
			}
		}
	}
	st, known := p.variants[string(a.scratch.shape)]
	if !known {
		if c.Op == change.Update {
			st = p.buildUpdate(c.OldKind, a.scratch.set)
		} else {
			st = p.buildDelete(c.OldKind)
		}
		a.remember(p, string(a.scratch.shape), st)
	}
	return st, nil
}

// variantsLimit bounds the update shapes kept per table; each combination of
// unchanged out-of-line columns is one.
const variantsLimit = 256

func (a *Applier) remember(p *plan, shape string, st *statement) {
	if len(p.variants) >= variantsLimit {
		for old, victim := range p.variants {
			if victim.at == nil || victim.at.sentIn != a.pipes { // in flight perhaps
				a.statements.forget(victim)
				delete(p.variants, old)
				break
			}
		}
	}
	p.variants[shape] = st
}

// changed tells which columns an update writes: those that were sent (a value
// stored out of line and unchanged was not: PITFALLS D1), without the key when
// it did not change.
func (p *plan) changed(set []bool, c *change.Change, img *image) []bool {
	for i := range p.columns {
		sent := p.columns[i] >= 0 && img.new[i].Kind != change.Unchanged
		sameKey := !p.full && c.OldKind == change.OldNone && c.Table.Columns[i].Key
		set = append(set, sent && !sameKey)
	}
	return set
}

// bind fills in the parameters. nil is NULL.
func (st *statement) bind(values [][]byte, img *image) ([][]byte, error) {
	for _, p := range st.params {
		from := img.new
		if p.old {
			from = img.old
		}
		v := from[p.source]
		switch v.Kind {
		case change.Null:
			values = append(values, nil)
		case change.Text:
			if p.oneByte && len(v.Bytes) > 1 {
				return nil, lasting(CodeApplyError, st.plan.source.String(), remedyUnreadable,
					"the origin's value of column %s is an escaped byte, of which this server would take the first character", st.plan.source.Columns[p.source].Name)
			}
			values = append(values, v.Bytes)
		default:
			return nil, fmt.Errorf("%w: column %s has no text value (kind %q)", change.ErrTuple, st.plan.source.Columns[p.source].Name, v.Kind)
		}
	}
	return values, nil
}
