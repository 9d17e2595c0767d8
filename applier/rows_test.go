package applier

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRowsAreInsertedUpdatedDeleted(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v text)")
	b.replicate(
		"INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, NULL)",
		"UPDATE t SET v = 'zwei' WHERE id = 2",
		"BEGIN; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (4, ''); COMMIT",
	)
	require.Equal(t, []string{"2|zwei", "3|NULL", "4|"}, b.rows(b.target, "SELECT * FROM t ORDER BY id"))
	b.equal("t")
	require.Empty(t, b.conflicts())
	row, known := b.a.Checkpoint()
	require.True(t, known)
	require.Equal(t, b.last, row.Position.LSN)
	require.Equal(t, row.Position, b.frontier.Applied("east"))
	require.Equal(t, uint64(3), b.progress[len(b.progress)-1].Transactions)
	require.Equal(t, uint64(6), b.progress[len(b.progress)-1].Changes)
}

func TestKeysChange(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (a int, b text, v text, PRIMARY KEY (a, b))")
	b.replicate(
		"INSERT INTO t VALUES (1, 'x', 'v'), (2, 'y', 'w')",
		"UPDATE t SET a = a + 10, b = b || '!'",
		"UPDATE t SET v = 'z', b = 'q' WHERE a = 12",
		"UPDATE t SET a = a",
	)
	b.equal("t")
	require.Empty(t, b.conflicts())
}
