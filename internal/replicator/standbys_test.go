package replicator

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/pgtest"
)

// TestGateWaitsForStandbys: what a standby that may be promoted does not have
// is not let through; what it has flushed is.
func TestGateWaitsForStandbys(t *testing.T) {
	server := pgtest.Start(t)
	server.Exec("CREATE TABLE t (id int PRIMARY KEY)")
	end, err := change.ParseLSN(server.One("SELECT pg_current_wal_flush_lsn()"))
	require.NoError(t, err)
	g := &gate{conn: server.Conn(t), standbys: []string{"east_b"}, board: newBoard(nil, nil)}

	// Nobody there: it waits.
	short, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, g.await(short, end), context.DeadlineExceeded)
	g.conn = server.Conn(t) // an interrupted query may end its session

	// A receiver that flushes is what the server calls a standby.
	receiver := exec.Command(server.Program("pg_receivewal"), "--synchronous", "--no-loop", "-D", t.TempDir(), "-d", fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres application_name=east_b", server.Port))
	receiver.Stderr = os.Stderr
	require.NoError(t, receiver.Start())
	t.Cleanup(func() { _ = receiver.Process.Kill(); _ = receiver.Wait() })
	long, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	require.NoError(t, g.await(long, end))
	require.GreaterOrEqual(t, g.reached, end)
}
