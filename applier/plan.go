package applier

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
)

// plan is how changes of one table, as its origin describes it, are written
// to a table here, see Applier.target.
type plan struct {
	source  *change.Table
	target  *target
	columns []int // for each column of source its place in target.columns; -1: generated here or local, never written
	places  []int // the same, whether it is generated here or not

	key      []match // finds the row by the origin's key; nil under full and for tables without identity
	full     bool    // REPLICA IDENTITY FULL: the whole old row finds the row
	keyIndex uint32  // of key or pk
	pk       []match // under full: an index of ours that finds the row faster
	rule     conflict.Rule
	watched  []int // columns of source whose values intact looks at

	// deferred are the constraints that a replica session does not enforce:
	// the exact path looks itself.
	deferred []*targetIndex

	insert   *statement
	confirm  *statement            // where key holds a column that is generated here: finds the new row by what the origin's expression gave it
	variants map[string]*statement // updates and deletes, by shape

	// hold goes before the first change of a target transaction. It locks the
	// table against ALTER TABLE and shows the columns' types: a statement
	// prepared for a float goes on taking floats after the column has become
	// numeric, and what it writes then is something else.
	hold   *statement
	heldIn uint64 // the pipe that has sent it
	// stillGenerated counts, after hold, the columns that are left out because
	// they are generated here; nil where there are none.
	stillGenerated *statement
	generated      int64
}

// match says that a column of the row equals a column of the origin's tuple.
type match struct {
	source    int // in source.Columns
	column    int // in target.columns
	operator  string
	collation string
}

// plans holds one plan per table: the one for the description seen last.
type plans struct {
	byName   map[change.Name]*plan // by the origin's name of the table
	included func(schema, table string) bool
	checked  time.Time // when stamps were compared last
}

func newPlans(included func(schema, table string) bool) *plans {
	return &plans{byName: make(map[change.Name]*plan), included: included}
}

// cached returns the plan for a table described so, nil if there is none.
func (ps *plans) cached(t *change.Table) *plan {
	p := ps.byName[nameOf(t)]
	if p == nil || p.source != t && !sameShape(p.source, t) {
		return nil
	}
	p.source = t
	return p
}

// sameShape: a plan made for one description serves the other.
func sameShape(a, b *change.Table) bool {
	return a.Identity == b.Identity && slices.Equal(a.Columns, b.Columns) && a.Partition.Equal(b.Partition)
}

// plan returns the plan for a table, reading the local catalog if the table
// is described so for the first time. A *Halt says what is missing here; it is
// not remembered, so a table made meanwhile is found at the next try.
func (a *Applier) plan(ctx context.Context, t *change.Table) (*plan, error) {
	if p := a.plans.cached(t); p != nil {
		return p, nil
	}
	return a.replan(ctx, t)
}

// replan reads the catalog whatever is known.
func (a *Applier) replan(ctx context.Context, t *change.Table) (*plan, error) {
	name := nameOf(t)
	if old := a.plans.byName[name]; old != nil {
		a.statements.discard(old)
		delete(a.plans.byName, name)
	}
	local, err := a.target(ctx, t)
	if err != nil {
		return nil, err
	}
	p, err := buildPlan(t, local, a.ours(t, local))
	if err != nil {
		return nil, err
	}
	p.rule = a.Rules.For(t.Schema, t.Name)
	a.plans.byName[name] = p
	return p, nil
}

// ours tells which columns stay as they are here, by the name of either table.
func (a *Applier) ours(t *change.Table, local *target) func(column string) bool {
	return func(column string) bool {
		return a.Local != nil && (a.Local(t.Schema, t.Name, column) || a.Local(local.name.Schema, local.name.Name, column))
	}
}

// buildPlan matches the origin's columns with ours by name and chooses how
// rows are found. ours are columns that stay as they are here.
func buildPlan(t *change.Table, local *target, ours func(column string) bool) (*plan, error) {
	p := &plan{source: t, target: local, columns: make([]int, len(t.Columns)), places: make([]int, len(t.Columns)), variants: make(map[string]*statement)}
	for i := range local.columns {
		local.columns[i].local = ours(local.columns[i].name)
	}
	var missing, lossy []string
	for i, c := range t.Columns {
		if ours(c.Name) { // from an origin with another file
			p.columns[i], p.places[i] = -1, -1
			continue
		}
		at := local.column(c.Name)
		if at < 0 {
			missing = append(missing, c.Name)
			continue
		}
		p.places[i] = at
		if local.columns[at].generated {
			at = -1
		}
		p.columns[i] = at
		if at >= 0 && loses(c, &local.columns[at]) {
			lossy = append(lossy, fmt.Sprintf("%s (%s here)", c.Name, local.columns[at].typeName))
		}
	}
	if missing != nil {
		return nil, lasting(CodeMissingColumn, t.String(), "add what is missing; applying resumes by itself",
			"missing here: column %s", strings.Join(missing, ", "))
	}
	if lossy != nil {
		return nil, lasting(CodeColumnType, t.String(), "give the column the type it has at its origin; applying resumes by itself",
			"a type here would round or cut the origin's values without a word: column %s", strings.Join(lossy, ", "))
	}
	p.full = t.Identity == change.IdentityFull
	if p.full {
		p.pk = p.bestIndex(func(source int) bool { return p.columns[source] >= 0 })
	} else {
		p.key = p.keyMatches()
	}
	p.watch()
	p.insert = p.buildInsert()
	p.confirm = p.buildConfirm()
	p.buildHold()
	for i := range local.indexes {
		if local.indexes[i].deferred {
			p.deferred = append(p.deferred, &local.indexes[i])
		}
	}
	return p, nil
}

// bestIndex returns the matches of an index that identifies rows by columns
// which the origin sends and allow accepts: the primary key if possible.
func (p *plan) bestIndex(allow func(source int) bool) []match {
	for i := range p.target.indexes {
		x := &p.target.indexes[i]
		if !x.identifies(p.target.columns) {
			continue
		}
		var matches []match
		for _, key := range x.keys {
			at := slices.Index(p.places, key.column)
			if at < 0 || !allow(at) {
				matches = nil
				break
			}
			matches = append(matches, match{source: at, column: key.column, operator: key.equality, collation: key.collation})
		}
		if matches != nil {
			p.keyIndex = x.oid
			return matches
		}
	}
	return nil
}

// keyMatches: an index here over the origin's key columns or some of them,
// and the rest of them compared as text. A column that is generated here is
// left out if possible: its expression may be another one than at the origin.
// Nil when there is no index: then updates and deletes halt.
func (p *plan) keyMatches() []match {
	matches := p.bestIndex(func(source int) bool { return p.source.Columns[source].Key && p.columns[source] >= 0 })
	if matches == nil {
		matches = p.bestIndex(func(source int) bool { return p.source.Columns[source].Key })
	}
	if matches == nil {
		return nil
	}
	for i, c := range p.source.Columns {
		found := slices.ContainsFunc(matches, func(m match) bool { return m.source == i })
		if c.Key && !found && p.columns[i] >= 0 {
			matches = append(matches, match{source: i, column: p.columns[i]})
		}
	}
	return matches
}

// findable reports, as a *Halt, why updates and deletes of the table cannot
// find their row.
func (p *plan) findable() error {
	if p.full || p.key != nil {
		return nil
	}
	return lasting(CodeNoKey, p.source.String(), "give the table the primary key it has at its origin; applying resumes by itself",
		"no primary key or unique index over valid NOT NULL columns here covers the origin's replica identity")
}
