package fedtest

import (
	"bufio"
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/pgtest"
)

// bare is a federation without replicators: what compares, disturbs and loads
// is tested by itself.
func bare(t *testing.T, servers bool, names ...string) *Federation {
	f := &Federation{Config: Config{Nodes: names}, t: t, nodes: map[string]*Node{}}
	for _, name := range names {
		node := &Node{Name: name, f: f, t: t}
		if servers {
			node.DB = pgtest.Start(t, pgtest.Name(name))
		}
		f.nodes[name] = node
	}
	return f
}

func TestDifferencesAreFound(t *testing.T) {
	ctx := context.Background()
	f := bare(t, true, "east", "west")
	east, west := f.Node("east"), f.Node("west")
	for _, node := range f.Nodes() {
		node.Exec(`CREATE TABLE keyless (a int, b text); CREATE TABLE local_x (a int);
			CREATE TABLE parted (a int) PARTITION BY LIST (a); CREATE TABLE part PARTITION OF parted DEFAULT`)
	}
	east.Exec("INSERT INTO keyless VALUES (1, 'x'), (2, 'y'), (2, 'y'), (NULL, NULL); INSERT INTO local_x VALUES (1)")
	west.Exec("INSERT INTO keyless VALUES (2, 'y'), (NULL, NULL), (1, 'x'), (2, 'y')")
	f.ExpectEqual(Span{})

	west.Exec("INSERT INTO keyless VALUES (2, 'y')")
	require.ErrorContains(t, f.differences(ctx, Span{}), "2 times at east, 3 times at west: (2,y)")
	west.Exec("DELETE FROM keyless WHERE ctid = (SELECT max(ctid) FROM keyless)")
	f.ExpectEqual(Span{Tables: []string{"public.keyless"}})
	east.Exec("UPDATE keyless SET b = '' WHERE a IS NULL")
	require.ErrorContains(t, f.differences(ctx, Span{}), "table keyless differs")
	require.NoError(t, f.differences(ctx, Span{Nodes: []string{"east"}}))
	east.Exec("UPDATE keyless SET b = NULL WHERE a IS NULL; INSERT INTO parted VALUES (1)")
	require.ErrorContains(t, f.differences(ctx, Span{}), "table part differs: 1 rows at east, 0 rows at west")
	west.Exec("INSERT INTO parted VALUES (1); CREATE TABLE more ()")
	require.ErrorContains(t, f.differences(ctx, Span{}), "table more differs: absent at east, 0 rows at west")
}

func TestTheBankKeepsItsSums(t *testing.T) {
	f := bare(t, true, "east")
	east := f.Node("east")
	east.Exec(BankSchema([]string{"east"}))
	sampler := f.StartSampler(time.Millisecond)
	load := east.StartLoad(1, 3, 0)
	bench := east.StartPgbench(2, 100)
	require.Eventually(t, func() bool { return load.Committed() > 50 }, time.Minute, pollEvery)
	east.DB.Kill9()
	east.DB.Start()
	before := load.Committed()
	require.Eventually(t, func() bool { return load.Committed() > before+50 && sampler.Samples() > 20 }, time.Minute, pollEvery)
	load.Stop()
	require.NoError(t, bench.Stop())
	require.Positive(t, bench.Committed())
	require.Equal(t, 1, bench.Broken())
	east.Burst(20)
	require.NoError(t, sampler.Stop())
	require.NoError(t, f.CheckHistory(context.Background(), load))
	require.NoError(t, f.CheckPgbench(context.Background(), bench))
	require.NoError(t, f.CheckBooks(context.Background()))

	east.Exec("INSERT INTO history_east SELECT * FROM history_east WHERE amount <> 0 AND from_id <> to_id ORDER BY entry DESC LIMIT 1")
	require.ErrorContains(t, f.CheckHistory(context.Background(), load), "2 times")
	require.ErrorContains(t, f.CheckPgbench(context.Background(), bench), "different ones")
	require.ErrorContains(t, f.CheckBooks(context.Background()), "2 accounts")
	east.Exec("DELETE FROM history_east")
	require.ErrorContains(t, f.CheckHistory(context.Background(), load), "missing")
	require.ErrorContains(t, f.CheckPgbench(context.Background(), bench), "has 0 entries")
	east.Exec("UPDATE accounts_east SET balance = balance + 1 WHERE id = 1")
	var broken *sumError
	require.ErrorAs(t, east.CheckSums(context.Background()), &broken)
}

func TestWires(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				lines := bufio.NewReader(conn)
				for {
					line, err := lines.ReadString('\n')
					if err != nil {
						return
					}
					_, _ = conn.Write([]byte(line))
				}
			}()
		}
	}()
	f := bare(t, false, "east", "west")
	for _, node := range f.Nodes() {
		node.BrokerAddr = listener.Addr().String()
	}
	f.wires = newWires(t, f.nodes)
	t.Cleanup(f.wires.stop)
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", f.wires.address("east", "west"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	echo := func(conn net.Conn, within time.Duration) error {
		if _, err := conn.Write([]byte("hello\n")); err != nil {
			return err
		}
		_ = conn.SetReadDeadline(time.Now().Add(within))
		_, err := bufio.NewReader(conn).ReadString('\n')
		return err
	}
	const long, short = 10 * time.Second, 200 * time.Millisecond
	require.NoError(t, echo(dial(), long))

	f.Partition("west", "east")
	f.Partition("west", "") // again is no mistake
	var timeout net.Error
	require.ErrorAs(t, echo(dial(), short), &timeout)
	require.True(t, timeout.Timeout(), "nobody is told")
	f.Heal()
	require.NoError(t, echo(dial(), long))

	conn := dial()
	require.NoError(t, echo(conn, long))
	f.Cut("east", "west")
	require.Error(t, echo(conn, long))
	require.NoError(t, echo(dial(), long))

	f.Slow("east", "west", short)
	started := time.Now()
	require.NoError(t, echo(dial(), long))
	require.Greater(t, time.Since(started), short)
	f.Heal()
}
