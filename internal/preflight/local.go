package preflight

import (
	"slices"
	"strings"

	"github.com/pgfed/pgfed/internal/catalog"
	"github.com/pgfed/pgfed/internal/change"
)

// localColumns: a row that comes from elsewhere must do without a column that
// stays here. (That such a column identifies a row or names its owner makes the
// table unfit.)
func (c *check) localColumns(t *catalog.Table) {
	local := t.LocalColumns
	if len(local) == 0 {
		return
	}
	if required := those(t.RequiredColumns, func(column string) bool { return slices.Contains(local, column) }); required != nil {
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
