package conflict

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/pgfed/pgfed/internal/change"
)

// Verdict says whether a change counts.
type Verdict struct {
	// Accept: the change is applied. Otherwise it is refused, and Kind says why.
	Accept bool
	// Free: nobody owns the row. The change is applied, and a clash is
	// decided by the policy.
	Free bool
	// Kind is set when the change is not applied as its origin made it.
	Kind Kind
	// Origin made the change.
	Origin string
	// Owner of the row before the change (of an insert: of the new row), ""
	// when nobody is.
	Owner string
	// Handover: judged as one with the other half of a row's move, see
	// Transaction.
	Handover bool
	// Own is set for the TRUNCATE of a table that is owned by column: the
	// change is accepted for these rows alone.
	Own *OwnRows
}

// OwnRows are the rows that a TRUNCATE of a table owned by column removes
// elsewhere: those whose owner column holds one of Values, as text, and those
// without an owner, where it is NULL. Rows of others stay.
type OwnRows struct {
	Column string
	Values []string
}

// ErrOwnerUnknown is wrapped by Judge when a change does not say who owns its
// row. It is lasting: the same change will never say. The message ends with
// the remedy.
var ErrOwnerUnknown = errors.New("the owner cannot be told from the change")

// CheckTable reports whether a rule by column can judge every change of a
// table described so. Preflight asks it before the first change does.
func (r Rule) CheckTable(t *change.Table) error {
	if r.Kind != ByColumn {
		return nil
	}
	at := columnIndex(t, r.Column)
	if at < 0 {
		return fmt.Errorf("%w: table %s has no column %s; correct the ownership rule or add the column", ErrOwnerUnknown, t, r.Column)
	}
	if t.Identity != change.IdentityFull && !t.Columns[at].Key {
		return r.unknown(t, "is not part of the replica identity")
	}
	return nil
}

func (r Rule) unknown(t *change.Table, why string) error {
	return fmt.Errorf("%w: column %s of table %s %s; put it into the replica identity (REPLICA IDENTITY USING INDEX) or set REPLICA IDENTITY FULL",
		ErrOwnerUnknown, r.Column, t, why)
}

// Judge says whether a change by origin counts, by the change alone: by the
// image before it for updates and deletes, by the new row for inserts. For a
// TRUNCATE it judges the rule's own table; ask once per truncated table.
//
// It judges one change by itself; Transaction also knows the moves of rows
// between owners. An error wraps ErrOwnerUnknown or change.ErrTuple.
func (r Rule) Judge(origin string, c *change.Change) (Verdict, error) {
	switch r.Kind {
	case Unowned, Unlisted:
		return Verdict{Accept: true, Free: true, Origin: origin}, nil
	case Static:
		return judgeOwner(origin, r.Node), nil
	case ByColumn:
		return r.judgeColumn(origin, c)
	}
	return Verdict{}, fmt.Errorf("judge by an unknown kind of rule %d", r.Kind)
}

// judgeOwner is the one sentence: a row's owner writes it.
func judgeOwner(origin, owner string) Verdict {
	v := Verdict{Accept: owner == origin && owner != "", Origin: origin, Owner: owner}
	if !v.Accept {
		v.Kind = NotOwner
	}
	return v
}

func (r Rule) judgeColumn(origin string, c *change.Change) (Verdict, error) {
	if c.Op == change.Truncate {
		own := &OwnRows{Column: r.Column, Values: r.valuesOf(origin)}
		return Verdict{Accept: true, Kind: TruncateRefused, Origin: origin, Own: own}, nil
	}
	at := columnIndex(c.Table, r.Column)
	if at < 0 {
		return Verdict{}, r.CheckTable(c.Table)
	}
	image, err := r.deciding(c, at)
	if err != nil {
		return Verdict{}, err
	}
	value, err := column(image, at)
	if err != nil {
		return Verdict{}, fmt.Errorf("read the owner of a row of %s: %w", c.Table, err)
	}
	owner, free, err := r.ownerOf(value, c.Table, at)
	if err != nil {
		return Verdict{}, err
	}
	if free {
		return Verdict{Accept: true, Free: true, Origin: origin}, nil
	}
	return judgeOwner(origin, owner), nil
}

// deciding picks the tuple whose owner column holds the row's owner before
// the change.
func (r Rule) deciding(c *change.Change, at int) (change.Tuple, error) {
	inKey := c.Table.Columns[at].Key
	switch {
	case c.Op == change.Insert:
		return c.New, nil
	case c.Op != change.Update && c.Op != change.Delete:
		return nil, fmt.Errorf("judge %s: %q is no change of a row", c.Table, c.Op)
	case c.OldKind == change.OldFull:
		return c.Old, nil
	case !inKey:
		return nil, r.unknown(c.Table, "is not part of the replica identity")
	case c.OldKind == change.OldKey:
		return c.Old, nil
	case c.OldKind == change.OldNone && c.Op == change.Update:
		// No old image: no column of the identity changed, this one included.
		return c.New, nil
	}
	return nil, r.unknown(c.Table, fmt.Sprintf("has no value in a %s without its old key", c.Op))
}

// OwnerOf reads the owner out of a value of the owner column: a node, or ""
// when the row is free (NULL) or names nobody. For a Static rule it is the
// table's owner whatever the value. It serves Clash.Holders.
func (r Rule) OwnerOf(value change.Value) string {
	if r.Kind == Static {
		return r.Node
	}
	if r.Kind != ByColumn || value.Kind != change.Text {
		return ""
	}
	return r.node(string(value.Bytes))
}

func (r Rule) ownerOf(value change.Value, t *change.Table, at int) (owner string, free bool, err error) {
	switch value.Kind {
	case change.Null:
		return "", true, nil
	case change.Text:
		text := string(value.Bytes)
		if t.Columns[at].TypeOID == bpcharOID {
			text = strings.TrimRight(text, " ")
		}
		return r.node(text), false, nil
	case change.Unchanged:
		return "", false, r.unknown(t, "was not sent: it is stored out of line and did not change")
	}
	return "", false, fmt.Errorf("%w: column %s of table %s is in binary, want text", ErrOwnerUnknown, r.Column, t)
}

// bpcharOID is character(n), whose text is padded with blanks that do not
// count. Built-in types have the same OID on every server.
const bpcharOID = 1042

// node names the owner that a value stands for, or "" for a value that stands
// for nobody.
func (r Rule) node(value string) string {
	if r.Values != nil {
		return r.Values[value]
	}
	if _, member := slices.BinarySearch(r.nodes, value); member {
		return value
	}
	return ""
}

// valuesOf is the inverse of node, sorted.
func (r Rule) valuesOf(node string) []string {
	if r.Values == nil {
		return []string{node}
	}
	var values []string
	for value, owner := range r.Values {
		if owner == node {
			values = append(values, value)
		}
	}
	sort.Strings(values)
	return values
}

func columnIndex(t *change.Table, name string) int {
	return slices.IndexFunc(t.Columns, func(c change.Column) bool { return c.Name == name })
}

func column(t change.Tuple, at int) (change.Value, error) {
	var buffer [32]change.Value
	values, err := t.Values(buffer[:0])
	if err != nil {
		return change.Value{}, err
	}
	if at >= len(values) {
		return change.Value{}, fmt.Errorf("%w: %d columns, the table has more", change.ErrTuple, len(values))
	}
	return values[at], nil
}
