package brokertest_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/brokertest"
)

func connect(t *testing.T, p *brokertest.Process) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(p.URL())
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	return js
}

func messages(t *testing.T, js jetstream.JetStream) uint64 {
	t.Helper()
	s, err := js.Stream(t.Context(), "S")
	require.NoError(t, err)
	return s.CachedInfo().State.Msgs
}

func TestKilledServerKeepsWhatItAcknowledged(t *testing.T) {
	p := brokertest.Start(t, brokertest.Options{})
	js := connect(t, p)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "s", []byte("one"))
	require.NoError(t, err)

	p.Kill9()
	copied := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.CopyFS(copied, os.DirFS(p.StoreDir())))
	p.Restart()
	js = connect(t, p)
	require.EqualValues(t, 1, messages(t, js))
	_, err = js.Publish(t.Context(), "s", []byte("two"))
	require.NoError(t, err)

	p.Stop()
	_, err = nats.Connect(p.URL(), nats.Timeout(time.Second))
	require.ErrorIs(t, err, nats.ErrNoServers)
	require.NoError(t, os.RemoveAll(p.StoreDir()))
	require.NoError(t, os.CopyFS(p.StoreDir(), os.DirFS(copied)))
	p.Restart()
	require.EqualValues(t, 1, messages(t, connect(t, p)))
}
