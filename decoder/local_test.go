package decoder

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/pgtest"
)

// ours makes every column named local_* the node's own.
func ours(cfg *Config, _ *recorder) {
	cfg.Local = func(schema, table, column string) bool {
		return schema == "public" && table != "other" && strings.HasPrefix(column, "local_")
	}
}

// The description, new images and old images come without them, wherever they
// stand, and columns may come and go. Under REPLICA IDENTITY FULL an update of
// nothing else is not told, and a transaction of nothing else is none.
func localColumns(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, `CREATE TABLE t (local_a text, id int PRIMARY KEY, local_b text DEFAULT 'b', v text, local_c int);
		CREATE TABLE f (v text, local_v text, big text); ALTER TABLE f REPLICA IDENTITY FULL; ALTER TABLE f ALTER big SET STORAGE EXTERNAL;
		CREATE TABLE other (id int PRIMARY KEY, local_v text)`)
	s.exec("INSERT INTO f VALUES ('big', 'l', repeat('x', 10000))")
	r := s.run(ours)
	s.exec("BEGIN",
		"INSERT INTO t VALUES ('secret', 1, NULL, 'v', 7), (NULL, 2, repeat('secret', 10000), NULL, NULL)",
		"INSERT INTO other VALUES (1, 'told')",
		"UPDATE t SET local_b = 'secret'", // told: nothing says that the rest stayed
		"UPDATE t SET id = 3 WHERE id = 1",
		"DELETE FROM t WHERE id = 2",
		"COMMIT")
	s.exec("UPDATE f SET local_v = 'secret'") // not told
	s.exec("BEGIN", "UPDATE f SET local_v = 'more'", "INSERT INTO f VALUES (NULL, 'l', '')", "UPDATE f SET v = 'w', local_v = 'x' WHERE v IS NULL",
		"UPDATE f SET local_v = NULL WHERE v = 'w'", "DELETE FROM f WHERE v = 'w'", "COMMIT")
	s.exec("ALTER TABLE t ADD local_d text DEFAULT 'secret', ADD w text", "INSERT INTO t VALUES ('secret', 4, 'secret', 'v', 1, 'secret', 'w')",
		"ALTER TABLE t DROP local_a, DROP local_b, DROP local_c, DROP local_d", "INSERT INTO t VALUES (5, 'v', 'w')")

	got := r.await(5)[1:]
	require.Equal(t, [][]string{
		{
			"I public.t (1, v)", "I public.t (2, null)", "I public.other (1, told)", "U public.t (1, v)", "U public.t (2, null)",
			"U public.t K(1, null) (3, v)", "D public.t K(2, null)",
		},
		{"I public.f (null, )", "U public.f O(null, ) (w, )", "D public.f O(w, )"},
		{"I public.t (4, v, w)"}, {"I public.t (5, v, w)"},
	}, texts(got))
	for _, table := range r.tables {
		for _, column := range table.Columns {
			require.False(t, table.Name != "other" && strings.HasPrefix(column.Name, "local_"), "%s.%s", table, column.Name)
		}
	}
}

// Without it peers would find the wrong rows, or none.
func localIdentity(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, "CREATE TABLE t (id int, local_id int, PRIMARY KEY (id, local_id))")
	r := s.run(ours)
	s.exec("INSERT INTO t VALUES (1, 1)")
	err := r.wait()
	require.ErrorIs(t, err, ErrLocalIdentity)
	require.ErrorContains(t, err, "column local_id of table public.t")
	require.Empty(t, r.transactions())
}
