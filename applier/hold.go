package applier

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// buildHold builds the statements that keep a plan true, see plan.hold.
func (p *plan) buildHold() {
	var columns, generated []string
	for i, at := range p.columns {
		if at >= 0 {
			columns = append(columns, "t."+p.target.columns[at].quoted)
		} else {
			generated = append(generated, literal(p.source.Columns[i].Name))
		}
	}
	p.hold = &statement{plan: p, sql: fmt.Sprintf("SELECT %s FROM ONLY %s AS t WHERE false", strings.Join(columns, ", "), p.target.quoted)}
	if generated == nil {
		return
	}
	p.generated = int64(len(generated))
	p.stillGenerated = &statement{plan: p, sql: fmt.Sprintf(`SELECT 1 FROM pg_catalog.pg_attribute a
		JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = %s AND c.relname = %s AND a.attgenerated <> '' AND a.attname IN (%s)`,
		literal(p.source.Schema), literal(p.source.Name), strings.Join(generated, ", "))}
}

// fits reports whether hold has shown the columns that the plan was made for.
func (p *plan) fits(fields []pgconn.FieldDescription) bool {
	for _, at := range p.columns {
		if at < 0 {
			continue
		}
		c := &p.target.columns[at]
		if len(fields) == 0 || c.shownOID != 0 && fields[0].DataTypeOID != c.shownOID {
			return false
		}
		fields = fields[1:]
	}
	return len(fields) == 0
}

// literal quotes a string; standard_conforming_strings is on.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
