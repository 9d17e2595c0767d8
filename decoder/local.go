package decoder

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/pgfed/pgfed/internal/change"
)

// ErrLocalIdentity says that a column which is the node's own is part of a
// table's replica identity: peers could not find its rows. It is not captured
// past such a change.
var ErrLocalIdentity = errors.New("a local column is part of the replica identity")

// hide takes the node's own columns out of a table's description. The result
// tells which of the server's columns they are; nil when there are none. Under
// REPLICA IDENTITY FULL the other columns find the row.
func (k *catalog) hide(t *change.Table) ([]bool, error) {
	if k.local == nil {
		return nil, nil
	}
	var hidden []bool
	kept := make([]change.Column, 0, len(t.Columns))
	for i, c := range t.Columns {
		if !k.local(t.Schema, t.Name, c.Name) {
			kept = append(kept, c)
			continue
		}
		if c.Key && t.Identity != change.IdentityFull {
			return nil, fmt.Errorf("%w: column %s of table %s", ErrLocalIdentity, c.Name, t)
		}
		if hidden == nil {
			hidden = make([]bool, len(t.Columns))
		}
		hidden[i] = true
	}
	t.Columns = kept
	return hidden, nil
}

// leaveOut takes the node's own columns out of a change's images, in place, and
// reports whether the change is anybody else's affair. An update of nothing but
// them is not; only whole old rows (REPLICA IDENTITY FULL) tell.
func (k *catalog) leaveOut(c *change.Change) bool {
	hidden := k.hidden[c.Table]
	if hidden == nil {
		return true
	}
	c.Old, c.New = k.without(c.Old, hidden), k.without(c.New, hidden)
	return c.Op != change.Update || c.OldKind != change.OldFull || !k.same(c.Old, c.New)
}

// without moves the other columns together. What is written lies never behind
// what is still to be read.
func (k *catalog) without(t change.Tuple, hidden []bool) change.Tuple {
	if t == nil {
		return nil
	}
	k.values, _ = t.Values(k.values[:0]) // its form was checked when it was read
	kept := k.values[:0]
	for i, v := range k.values {
		if !hidden[i] {
			kept = append(kept, v)
		}
	}
	return change.AppendTuple(t[:0], kept...)
}

// same reports whether an update leaves every value as it was.
func (k *catalog) same(before, after change.Tuple) bool {
	k.values, _ = before.Values(k.values[:0])
	n := len(k.values)
	k.values, _ = after.Values(k.values)
	for i, v := range k.values[n:] {
		if old := k.values[i]; v.Kind != change.Unchanged && (v.Kind != old.Kind || !bytes.Equal(v.Bytes, old.Bytes)) {
			return false
		}
	}
	return true
}
