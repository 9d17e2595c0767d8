// Package admin keeps pgfed's own objects in a member database: it installs
// them ("replctl init"), and it reads and writes what the replicator remembers
// there: the node's name, its histories, and the records of conflicts and
// parked transactions. Rows that applying writes belong to the applier and to
// package checkpoint.
package admin

import (
	"context"
	_ "embed"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// SchemaVersion is the version of schema.sql; a database remembers the one it
// was given.
const SchemaVersion = 1

//go:embed schema.sql
var schemaSQL string

// Querier is a connection or a transaction.
type Querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}
