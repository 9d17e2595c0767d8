// Package catalog asks a member database what it holds: the tables that the
// federation file selects, what the publication contains, foreign replication
// origins, settings. It only reads, and it is the one place that knows how
// server versions 14 to 18 differ in what we ask (versions.go).
package catalog

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Querier is a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Quote gives schema.name, quoted where SQL needs it.
func Quote(parts ...string) string { return pgx.Identifier(parts).Sanitize() }
