package conflict

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sort"

	"github.com/pgfed/pgfed/internal/change"
)

// familyTable is what a Transaction knows of one table.
type familyTable struct {
	rule      Rule
	partition *change.Partition
	root      string
	key       []string // Partition.Key; nil: the replica identity
	moves     bool     // rows can move between owners: it has siblings, or the owner is a column

	described *change.Table // the description that columns was made for
	columns   []string      // sorted
}

// moveKey names a row under its root, whatever sibling it is in.
type moveKey [16]byte

// moveKey returns the key of the row that a delete removes or an insert
// brings. Not found: the change does not say it, so it is no half of a move.
func (t *familyTable) moveKey(c *change.Change) (key moveKey, found bool, err error) {
	if t.described != c.Table {
		t.described, t.columns = c.Table, t.keyColumns(c.Table)
	}
	image := c.New
	if c.Op == change.Delete {
		image = c.Old
	}
	if len(t.columns) == 0 || len(image) == 0 || c.OldKind == change.OldKey && !sent(c.Table, t.columns) {
		return moveKey{}, false, nil
	}
	values, err := pick(c.Table, image, t.columns)
	if err != nil {
		return moveKey{}, false, err
	}
	b := appendSized(nil, []byte(t.root))
	for i, v := range values {
		if v.Kind == change.Unchanged {
			return moveKey{}, false, nil
		}
		b = appendSized(b, []byte(t.columns[i]))
		b = append(b, v.Kind)
		b = appendSized(b, v.Bytes)
	}
	sum := sha256.Sum256(b)
	copy(key[:], sum[:])
	return key, true, nil
}

// keyColumns are the columns that identify a row under its root, sorted; none
// when the description lacks one.
func (t *familyTable) keyColumns(described *change.Table) []string {
	columns := slices.Clone(t.key)
	if columns == nil {
		for _, c := range described.Columns {
			if c.Key {
				columns = append(columns, c.Name)
			}
		}
	}
	if t.rule.Kind == ByColumn && len(columns) > 1 {
		columns = slices.DeleteFunc(columns, func(name string) bool { return name == t.rule.Column })
	}
	sort.Strings(columns)
	for _, name := range columns {
		if columnIndex(described, name) < 0 {
			return nil
		}
	}
	return columns
}

// sent reports whether an old image of the replica identity has the columns.
func sent(t *change.Table, columns []string) bool {
	return !slices.ContainsFunc(columns, func(name string) bool { return !t.Columns[columnIndex(t, name)].Key })
}

func appendSized(b, value []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}
