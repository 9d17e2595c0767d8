package applier

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A statement prepared for the old type would go on without an error and write
// what the old type makes of the new values.
func TestColumnsChangeTheirTypes(t *testing.T) {
	b := newBench(t, "CREATE DOMAIN whole AS int; CREATE TABLE t (id int PRIMARY KEY, a int, f float8, d date, w whole)")
	b.replicate("INSERT INTO t VALUES (1, 1, 1, '2020-01-01', 1)", "UPDATE t SET a = 2, f = 2", "DELETE FROM t WHERE id = 0")
	alter := "ALTER TABLE t ALTER a TYPE text, ALTER f TYPE numeric, ALTER d TYPE timestamp, ALTER w TYPE text"
	b.on(b.target, alter)
	b.on(b.source, alter)
	b.replicate("INSERT INTO t VALUES (2, '007', 0.12345678901234567890123, '2020-01-01 12:34:56', '08')", "UPDATE t SET a = '0042' WHERE id = 1")
	b.equal("t")
	require.Empty(t, b.conflicts())
	runs := b.a.pipes
	b.replicate("UPDATE t SET a = '0043' WHERE id = 1")
	require.Equal(t, runs+2, b.a.pipes, "once is enough: one pipe for the changes, one for COMMIT")
}

func TestColumnIsNoLongerGenerated(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, a int GENERATED ALWAYS AS (id) STORED)")
	b.replicate("INSERT INTO t VALUES (1)")
	b.on(b.source, "ALTER TABLE t ALTER a DROP EXPRESSION")
	b.replicate("INSERT INTO t VALUES (2, 2)")
	b.on(b.target, "ALTER TABLE t ALTER a DROP EXPRESSION")
	b.replicate("INSERT INTO t VALUES (3, 33)", "UPDATE t SET a = 11 WHERE id = 1")
	b.equal("t")
}
