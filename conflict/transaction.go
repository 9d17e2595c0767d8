package conflict

import (
	"bytes"

	"github.com/pgfed/pgfed/internal/change"
)

// maxRemembered bounds the deletes that wait for an insert of their key. The
// number is part of the rules: every node must remember the same deletes.
const maxRemembered = 65536

// Judged is a change with its verdict.
type Judged struct {
	Change  *change.Change
	Verdict Verdict
	// Tables are the verdicts on the tables of a TRUNCATE, in its order.
	// Verdict then accepts iff all of them do, else it is the first refusal.
	Tables []Verdict
}

// Transaction judges the changes of one source transaction in their order,
// whole or in pieces; where it was cut makes no difference.
//
// On top of Rule.Judge it knows the moves of rows: a delete and an insert of
// one key, in siblings or, where the owner is a column, in one table. When
// the delete is by the owner the move is a handover and both count, whoever
// owns the place the row moves to. When either half is refused the other one
// is refused with it.
//
// Partitions of one root are siblings, and Partition.Key names a row among them;
// where that is nil, and for other tables, the replica identity does. The owner
// column is left out. The origin says all this with its changes, so that every
// node judges by one picture, whatever its own tables are like.
//
// The halves find each other when the insert follows the delete directly, as
// Postgres writes a row's move. Further apart they do if somebody owned the
// deleted row and no more than 65536 such deletes were waiting for an insert
// then. So a delete of a free row is refused for its insert's sake only when
// that follows directly.
//
// It is for one goroutine. Memory is bounded whatever the transaction's size.
type Transaction struct {
	rules  *Rules
	origin string

	tables  map[tableName]*familyTable
	waiting map[moveKey]half // deletes of owned rows that may be half a move
	direct  *half            // the delete whose insert is the next change
	held    *change.Change   // a copy of the last delete of a piece: what follows decides about it
	judged  []Judged
}

// half is what a delete leaves for its insert to know.
type half struct {
	owner   string // of the row before the move
	refused bool
}

// NewTransaction begins a source transaction by origin. Reset begins the next
// one and keeps what was learned about tables.
func NewTransaction(rules *Rules, origin string) *Transaction {
	return &Transaction{
		rules: rules, origin: origin,
		tables:  make(map[tableName]*familyTable),
		waiting: make(map[moveKey]half),
	}
}

// Reset forgets the transaction, finished or not, and begins another one.
func (t *Transaction) Reset() {
	if len(t.waiting) > 0 {
		t.waiting = make(map[moveKey]half)
	}
	t.direct, t.held = nil, nil
}

// Judge judges the next changes of the transaction; last says that no more
// will come. What it returns is in order and valid until the next call. The
// last change of a piece may be held back and come first at the next call:
// what follows it decides.
func (t *Transaction) Judge(changes []change.Change, last bool) ([]Judged, error) {
	t.judged = t.judged[:0]
	if t.held != nil && (len(changes) > 0 || last) {
		var next *change.Change
		if len(changes) > 0 {
			next = &changes[0]
		}
		held := t.held
		t.held = nil
		if err := t.judge(held, next); err != nil {
			return nil, err
		}
	}
	for i := range changes {
		c := &changes[i]
		var next *change.Change
		if i+1 < len(changes) {
			next = &changes[i+1]
		} else if !last && c.Op == change.Delete {
			t.held = clone(c)
			break
		}
		if err := t.judge(c, next); err != nil {
			return nil, err
		}
	}
	return t.judged, nil
}

func (t *Transaction) judge(c, next *change.Change) error {
	if c.Op == change.Truncate {
		return t.judgeTruncate(c)
	}
	table := t.table(c.Table)
	verdict, err := table.rule.Judge(t.origin, c)
	if err == nil && table.moves {
		switch c.Op {
		case change.Delete:
			verdict, err = t.judgeDelete(table, c, next, verdict)
		case change.Insert:
			verdict, err = t.judgeInsert(table, c, verdict)
		}
	}
	if err != nil {
		return err
	}
	t.judged = append(t.judged, Judged{Change: c, Verdict: verdict})
	return nil
}

// judgeDelete looks for the other half behind the delete, and else leaves
// word for it.
func (t *Transaction) judgeDelete(table *familyTable, c, next *change.Change, v Verdict) (Verdict, error) {
	key, found, err := table.moveKey(c)
	if err != nil || !found {
		return v, err
	}
	if next == nil || next.Op != change.Insert {
		t.remember(key, v)
		return v, nil
	}
	target := t.table(next.Table)
	targetKey, found, err := target.moveKey(next)
	if err != nil {
		return v, err
	}
	if !found || targetKey != key {
		t.remember(key, v)
		return v, nil
	}
	if v.Free {
		insert, err := target.rule.Judge(t.origin, next)
		if err != nil || insert.Accept {
			return v, err
		}
		v = insert
		v.Handover = true
	}
	t.direct = &half{v.Owner, !v.Accept}
	return v, nil
}

func (t *Transaction) remember(key moveKey, v Verdict) {
	if v.Free {
		delete(t.waiting, key)
		return
	}
	if _, again := t.waiting[key]; again || len(t.waiting) < maxRemembered {
		t.waiting[key] = half{v.Owner, !v.Accept}
	}
}

// judgeInsert gives the insert the verdict of the delete that it completes.
func (t *Transaction) judgeInsert(table *familyTable, c *change.Change, v Verdict) (Verdict, error) {
	var first half
	switch {
	case t.direct != nil:
		first, t.direct = *t.direct, nil
	case len(t.waiting) == 0:
		return v, nil
	default:
		key, found, err := table.moveKey(c)
		if err != nil || !found {
			return v, err
		}
		if first, found = t.waiting[key]; !found {
			return v, nil
		}
		delete(t.waiting, key)
	}
	switch {
	case first.refused:
		return Verdict{Kind: NotOwner, Origin: t.origin, Owner: first.owner, Handover: true}, nil
	case v.Accept && !v.Free:
		return v, nil // both count by themselves
	}
	return Verdict{Accept: true, Origin: t.origin, Owner: first.owner, Handover: true}, nil
}

func (t *Transaction) judgeTruncate(c *change.Change) error {
	judged := Judged{Change: c}
	for i, described := range c.Truncated {
		v, err := t.table(described).rule.Judge(t.origin, c)
		if err != nil {
			return err
		}
		judged.Tables = append(judged.Tables, v)
		if i == 0 || judged.Verdict.outweighed(v) {
			judged.Verdict = v
		}
	}
	t.judged = append(t.judged, judged)
	return nil
}

// outweighed reports whether w says more about a TRUNCATE of several tables:
// refused before restricted, restricted before owned, owned before free.
func (v Verdict) outweighed(w Verdict) bool {
	weight := func(v Verdict) int {
		switch {
		case !v.Accept:
			return 3
		case v.Own != nil:
			return 2
		case !v.Free:
			return 1
		}
		return 0
	}
	return weight(w) > weight(v)
}

func (t *Transaction) table(described *change.Table) *familyTable {
	name := tableName{described.Schema, described.Name}
	table, known := t.tables[name]
	if known && table.partition.Equal(described.Partition) {
		return table
	}
	table = &familyTable{rule: t.rules.For(name.schema, name.name), partition: described.Partition, root: described.String()}
	if p := described.Partition; p != nil {
		table.root, table.key, table.moves = p.Root.String(), p.Key, true
	}
	table.moves = table.moves || table.rule.Kind == ByColumn
	t.tables[name] = table
	return table
}

func clone(c *change.Change) *change.Change {
	held := *c
	held.Old, held.New = bytes.Clone(c.Old), bytes.Clone(c.New)
	return &held
}
