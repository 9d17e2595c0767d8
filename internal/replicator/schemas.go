package replicator

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/internal/catalog"
)

var errSchemaRenamed = errors.New("a schema was renamed, and this server goes on sending its tables under the old name: capture begins again with the new one")

// readSchemas reads the schemas' names, from a server that does not tell when
// they change. It goes before capture begins.
func (o *outbound) readSchemas(ctx context.Context) (map[uint32]string, error) {
	if (catalog.Server{Major: o.serverMajor}).TellsSchemas() {
		return nil, nil
	}
	// 2200 is public, the one schema of initdb's that people rename.
	rows, err := o.conn.Query(ctx, "SELECT oid, nspname::text FROM pg_catalog.pg_namespace WHERE (oid >= 16384 OR oid = 2200) AND nspname !~ '^pg_'")
	if err != nil {
		return nil, fmt.Errorf("read the schemas' names: %w", err)
	}
	schemas := make(map[uint32]string)
	var id uint32
	var name string
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		schemas[id] = name
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the schemas' names: %w", err)
	}
	return schemas, nil
}

// checkSchemas ends the capture session when a schema has another name than
// when it began. It asks whether or not anything was published meanwhile: while
// the broker is away, what is read goes on piling up under the old name.
func (o *outbound) checkSchemas(ctx context.Context) error {
	now, err := o.readSchemas(ctx)
	if err != nil {
		return err
	}
	for id, name := range o.schemas {
		if renamed, there := now[id]; there && renamed != name {
			return errSchemaRenamed
		}
	}
	maps.Copy(o.schemas, now)
	return nil
}
