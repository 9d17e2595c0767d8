package decoder

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/pgtest"
)

var update = flag.Bool("update", false, "record testdata/messages.txt from a real server")

var messagesFile = filepath.Join("testdata", "messages.txt")

// TestRecordedMessages parses what a real server once sent; -update records it
// anew.
func TestRecordedMessages(t *testing.T) {
	if *update {
		record(t)
	}
	r := &recorder{t: t}
	f := newTestFeeder(r)
	for _, message := range recorded(t) {
		require.NoError(t, f.message(context.Background(), 1, message[0], message[1:]))
	}
	require.NoError(t, f.tellIdle(context.Background()))
	require.Equal(t, [][]string{
		{"I public.t (1, glad, a)", "I public.f (1, x)"},
		{"U public.t (1, glad, b)", "U public.t K(1, null, null) (2, glad, b)", "U public.f O(1, x) (1, null)"},
		{"D public.t K(2, null, null)", "D public.f O(1, null)"},
		{"T public.t, public.f cascade restart"},
		{"I public.t (3, null, other origin)"},
	}, texts(r.transactions()))
	require.Equal(t, 1, r.idles, "one transaction is our own")
}

const recordedDDL = `CREATE TYPE mood AS ENUM ('sad', 'glad');
	CREATE TABLE t (id int PRIMARY KEY, m mood, v text);
	CREATE TABLE f (id int, v text); ALTER TABLE f REPLICA IDENTITY FULL`

var recordedSQL = []string{
	"BEGIN", "INSERT INTO t VALUES (1, 'glad', 'a')", "INSERT INTO f VALUES (1, 'x')", "COMMIT",
	"BEGIN", "UPDATE t SET v = 'b'", "UPDATE t SET id = 2", "UPDATE f SET v = NULL", "COMMIT",
	"BEGIN", "DELETE FROM t", "DELETE FROM f", "COMMIT",
	"TRUNCATE t, f RESTART IDENTITY CASCADE",
	"SELECT pg_replication_origin_create('elsewhere'), pg_replication_origin_create('pgfed_hippo_west')",
	"SELECT pg_replication_origin_session_setup('elsewhere')", "INSERT INTO t VALUES (3, NULL, 'other origin')",
	"SELECT pg_replication_origin_session_reset()",
	"SELECT pg_replication_origin_session_setup('pgfed_hippo_west')", "INSERT INTO t VALUES (4, NULL, 'ours')",
}

func record(t *testing.T) {
	t.Helper()
	s := newSite(t, pgtest.Start(t), recordedDDL)
	s.exec(recordedSQL...)
	cfg := s.config().withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	session, err := open(ctx, cfg)
	require.NoError(t, err)
	defer session.conn.Close()
	q := newQueue(cfg.QueueBytes, cfg.Metrics)
	r := newReceiver(session, newProgress(0, 0), q, func() {}, cfg)
	require.NoError(t, r.start(ctx, startCommand(cfg, session.version)))
	go func() { _ = r.run(ctx) }()

	text := "# pgoutput messages of PostgreSQL " + s.value("SHOW server_version") + ", protocol 1; go test -run Recorded -update\n"
	for commits := 0; commits < 6; {
		for data := (<-q.segments).data; len(data) > 0; {
			size := int(binary.BigEndian.Uint32(data[1:])) + 1
			if message := data[frameHeader:size]; message[0] == copyData {
				text += hex.EncodeToString(message[dataHeader:]) + "\n"
				if message[dataHeader] == msgCommit {
					commits++
				}
			}
			data = data[size:]
		}
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(messagesFile), 0o755))
	require.NoError(t, os.WriteFile(messagesFile, []byte(text), 0o644))
}

func recorded(t testing.TB) [][]byte {
	t.Helper()
	file, err := os.Open(messagesFile)
	require.NoError(t, err)
	defer file.Close()
	var messages [][]byte
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		message, err := hex.DecodeString(lines.Text())
		require.NoError(t, err)
		messages = append(messages, message)
	}
	require.NotEmpty(t, messages)
	return messages
}

func newTestFeeder(sink Sink) *feeder {
	cfg := Config{Logger: slog.New(slog.DiscardHandler)}.withDefaults()
	return newFeeder(newQueue(cfg.QueueBytes, cfg.Metrics), sink, newProgress(0, 0), cfg)
}

// Every message cut short, and every message with something behind it, is an
// error.
func TestTornMessages(t *testing.T) {
	for n, message := range recorded(t) {
		for size := range len(message) + 1 {
			torn := message[1:max(1, size)]
			if size == len(message) {
				torn = append(bytes.Clone(message[1:]), 0)
			}
			f := newTestFeeder(&recorder{t: t})
			for _, earlier := range recorded(t)[:n] {
				require.NoError(t, f.message(context.Background(), 1, earlier[0], earlier[1:]))
			}
			require.ErrorIs(t, f.message(context.Background(), 1, message[0], torn), ErrProtocol, "message %d cut to %d bytes", n, size)
		}
	}
}

// PITFALLS B5.
func TestUnaskedMessages(t *testing.T) {
	f := newTestFeeder(&recorder{t: t})
	for kind, wrong := range map[byte]bool{'M': false, 'A': false, 'S': true, 'E': true, 'c': true, 'b': true, 'P': true, 'K': true, 0: true} {
		err := f.message(context.Background(), 1, kind, []byte{0, 0, 0, 1, 0, 0, 0, 2})
		if wrong {
			require.ErrorIs(t, err, ErrProtocol, "%q", kind)
		} else {
			require.NoError(t, err, "%q", kind)
		}
	}
}

func TestPostgresTime(t *testing.T) {
	require.Equal(t, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), postgresTime(0))
	require.Equal(t, time.Date(2024, 2, 3, 4, 5, 6, 789_000, time.UTC), postgresTime(time.Date(2024, 2, 3, 4, 5, 6, 789_000, time.UTC).Sub(postgresEpoch).Microseconds()))
	require.Equal(t, time.Date(1999, 12, 31, 23, 59, 59, 999_999_000, time.UTC), postgresTime(-1))
	require.Equal(t, 294276, postgresTime(9223371331200000000-1).Year(), "the latest timestamp")
}

func TestParseFork(t *testing.T) {
	parent, at, err := parseFork([]byte("1\t0/3000060\tno recovery target specified\n\n# comment\n2\t16/B374D848\tbefore 2000-01-01\n"))
	require.NoError(t, err)
	require.EqualValues(t, 2, parent)
	require.Equal(t, change.LSN(0x16_B374D848), at)
	for _, wrong := range []string{"", "# nothing", "1", "x\t0/1", "1\tx"} {
		_, _, err := parseFork([]byte(wrong))
		require.Error(t, err, wrong)
	}
}

// FuzzParse feeds sequences of messages, each behind a 16-bit length. Whatever
// comes, nothing panics and the sink's rules hold (the recorder checks them).
func FuzzParse(f *testing.F) {
	var all []byte
	for _, message := range recorded(f) {
		one := append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
		f.Add(one)
		all = append(all, one...)
		f.Add(bytes.Clone(all))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &recorder{t: t}
		feeder := newTestFeeder(r)
		for len(data) >= 2 {
			size := min(int(binary.BigEndian.Uint16(data)), len(data)-2)
			message := data[2 : 2+size]
			data = data[2+size:]
			if size == 0 {
				continue
			}
			if err := feeder.message(context.Background(), 1, message[0], message[1:]); err != nil {
				require.ErrorIs(t, err, ErrProtocol, "an error of the sink means that its rules were broken")
				return
			}
			require.NoError(t, feeder.tellIdle(context.Background()))
		}
	})
}
