package applier

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// local makes columns named local_* this node's own. The bench's source sends
// them all the same, as an origin with another file would.
func (b *bench) local() *bench {
	b.cfg.Local = func(_, _, column string) bool { return strings.HasPrefix(column, "local_") }
	return b
}

func TestLocalColumnsStay(t *testing.T) {
	source := `CREATE TABLE t (id int PRIMARY KEY, local_v text, v text, local_east int);
		CREATE TABLE f (v text, local_v text); ALTER TABLE f REPLICA IDENTITY FULL`
	b := newBench(t, source, `CREATE TABLE t (id int PRIMARY KEY, v text, local_v text DEFAULT 'mine', local_west serial);
		CREATE TABLE f (v text, local_v int DEFAULT 7); ALTER TABLE f REPLICA IDENTITY FULL`).local()
	b.replicate("INSERT INTO t VALUES (1, 'sent', 'a', 1), (2, 'sent', 'b', 1)", "UPDATE t SET v = 'c', local_v = 'sent' WHERE id = 1",
		"UPDATE t SET id = 3, local_v = NULL WHERE id = 2", "INSERT INTO f VALUES ('a', 'sent'), ('b', 'sent')",
		"UPDATE f SET v = 'c', local_v = NULL WHERE v = 'a'", "DELETE FROM f WHERE v = 'b'")
	require.Equal(t, []string{"1|c|mine|1", "3|b|mine|2"}, b.rows(b.target, "SELECT * FROM t ORDER BY id"))
	require.Equal(t, []string{"c|7"}, b.rows(b.target, "SELECT * FROM f"))
	require.Empty(t, b.conflicts())
}

// They decide no conflict and are not on record, also not those of the row
// that was met; what is overwritten keeps them.
func TestLocalColumnsDecideNothing(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v text)",
		"CREATE TABLE t (id int PRIMARY KEY, v text, local_v text); INSERT INTO t VALUES (1, 'a', 'secret'), (2, 'b', 'secret'), (3, 'c', 'secret')").owned("east").local()
	b.replicate("INSERT INTO t VALUES (1, 'a')") // the very row
	require.Empty(t, b.conflicts())
	b.replicate("INSERT INTO t VALUES (2, 'x')", "INSERT INTO t VALUES (4, 'y')", "UPDATE t SET id = 3 WHERE id = 4")
	require.Equal(t, []string{`t|INSERT|insert_exists|overwrite|{"id": "2"}`, `t|UPDATE|update_exists|displace|{"id": "4"}`}, b.conflicts())
	require.Equal(t, []string{`{"v": "b", "id": "2"}`, `{"v": "c", "id": "3"}`}, b.rows(b.target, "SELECT local_row FROM pgfed.conflict_history ORDER BY position"))
	require.Equal(t, []string{"1|a|secret", "2|x|secret", "3|y|NULL"}, b.rows(b.target, "SELECT * FROM t ORDER BY id"))
}
