package preflight

import (
	"slices"
	"strings"

	"github.com/pgfed/pgfed/internal/catalog"
	"github.com/pgfed/pgfed/internal/change"
)

// localColumns: a column that stays here must be nobody's way to a row, and a
// row that comes from elsewhere must do without it.
func (c *check) localColumns(t *catalog.Table) {
	isLocal := func(column string) bool { return c.Federation.Local(t.Schema, t.Name, column) }
	local := those(t.Columns, isLocal)
	if local == nil {
		return
	}
	if keys := those(t.IdentityColumns, isLocal); keys != nil && t.Identity != change.IdentityFull {
		c.fail("local_identity", t.String(), "column "+strings.Join(keys, ", ")+" of the replica identity is in tables.local_columns, so peers could not find rows and nothing of this table would be captured",
			"take it out of tables.local_columns, or give the table another primary key, or ALTER TABLE "+t.Quoted()+" REPLICA IDENTITY USING INDEX or FULL")
	}
	if column := c.rules.For(t.Schema, t.Name).Column; slices.Contains(local, column) {
		c.fail("local_owner_column", t.String(), "column "+column+", which names the owner, is in tables.local_columns", "take it out of tables.local_columns")
	}
	if required := those(t.RequiredColumns, isLocal); required != nil {
		c.warn("local_not_null", t.String(), "column "+strings.Join(required, ", ")+" is in tables.local_columns, NOT NULL and without a default: no row of a peer's can be inserted here",
			"give it a default")
	}
	if t.Identifiable() && t.Identity != change.IdentityFull {
		c.warn("local_update", t.String(), "an UPDATE of column "+strings.Join(local, ", ")+" alone (tables.local_columns) is to the peers an UPDATE of the whole row: it can undo what another node writes to the row at the same time, or is refused on record where the row has another owner",
			"ALTER TABLE "+t.Quoted()+" REPLICA IDENTITY FULL, under which it is not sent, or update them only where nobody else writes the row")
	}
}

func those(columns []string, is func(string) bool) []string {
	var some []string
	for _, column := range columns {
		if is(column) {
			some = append(some, column)
		}
	}
	return some
}
