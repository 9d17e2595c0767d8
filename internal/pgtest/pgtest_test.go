package pgtest_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/pgtest"
)

func TestServerSurvivesKill9(t *testing.T) {
	server := pgtest.Start(t)
	server.Exec("CREATE TABLE kept (id int PRIMARY KEY); INSERT INTO kept SELECT generate_series(1, 1000)")
	port := server.Port
	server.Kill9()
	require.Error(t, server.TryExec(context.Background(), "SELECT 1"))
	server.Start()
	require.Equal(t, port, server.Port)
	require.Equal(t, "1000", server.One("SELECT count(*) FROM kept"))
	require.Contains(t, server.Log(), "not properly shut down")
}

func TestServersDiffer(t *testing.T) {
	a, b := pgtest.Start(t, pgtest.Name("a")), pgtest.Start(t, pgtest.Name("b"), pgtest.Setting("work_mem", "5MB"))
	const identity = "SELECT system_identifier FROM pg_control_system()"
	require.NotEqual(t, a.One(identity), b.One(identity))
	require.Equal(t, "5MB", b.One("SHOW work_mem"))
	require.Equal(t, "logical", a.One("SHOW wal_level"))
	require.Equal(t, [][]string{{"1", "NULL"}, {"x", "2.50"}},
		a.Query("SELECT * FROM (VALUES ('1', null), ($1, $2::numeric)) v", "x", "2.50"))
	b.Stop(pgtest.Fast)
	b.Restart()
	require.NotEqual(t, a.Database(t), a.Database(t))
}

// Every major version on this machine runs; hack/postgres.sh adds more.
func TestMajors(t *testing.T) {
	for _, major := range pgtest.Majors() {
		server := pgtest.Start(t, pgtest.Major(major))
		server.Kill9()
		server.Start()
		require.Equal(t, server.Major, major)
	}
}
