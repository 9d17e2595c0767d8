package decoder

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/change"
)

// frame wraps a body as the server's CopyData.
func frame(body []byte) []byte {
	b := append([]byte{msgCopyData}, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b[1:], uint32(4+len(body)))
	return append(b, body...)
}

// dataFrame wraps a pgoutput message.
func dataFrame(lsn change.LSN, message []byte) []byte {
	body := append([]byte{copyData}, make([]byte, 24)...)
	binary.BigEndian.PutUint64(body[1:], uint64(lsn))
	binary.BigEndian.PutUint64(body[9:], uint64(lsn))
	return frame(append(body, message...))
}

// wire runs a receiver on one end of a pipe and gives the other.
func wire(t *testing.T, limit int) (server net.Conn, q *queue, r *receiver, ended chan error) {
	t.Helper()
	server, client := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		_, _ = server.Close(), client.Close()
	})
	cfg := Config{QueueBytes: limit}.withDefaults()
	q = newQueue(cfg.QueueBytes, cfg.Metrics)
	r = newReceiver(&session{conn: client}, newProgress(0, 0), q, func() {}, cfg)
	ended = make(chan error, 1)
	go func() { ended <- r.run(ctx) }()
	return server, q, r, ended
}

// However the network cuts the stream, and whatever the sizes, the frames come
// out as they went in; what is taken from the queue is given back.
func TestFramesSurviveAnyCutting(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	const limit = 64 << 10
	server, q, _, ended := wire(t, limit)

	var sent []byte
	for range 2000 {
		size := random.IntN(200)
		switch random.IntN(100) {
		case 0:
			size = random.IntN(3 * limit) // larger than blocks, even than the queue
		case 1:
			size = minBlockBytes - frameHeader - 4 + random.IntN(8) // around a block
		case 2, 3, 4:
			size = random.IntN(minBlockBytes)
		}
		message := make([]byte, size)
		for i := range message {
			message[i] = byte(random.Uint32())
		}
		sent = append(sent, dataFrame(1, message)...)
	}
	go func() {
		cut := rand.New(rand.NewPCG(seed, 2))
		for rest := sent; len(rest) > 0; {
			n := min(1+cut.IntN(1<<cut.IntN(17)), len(rest))
			if _, err := server.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
	}()
	var got []byte
	for len(got) < len(sent) {
		select {
		case s := <-q.segments:
			got = append(got, s.data...)
			q.done(s)
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(patience):
			require.Fail(t, "frames are missing", "%d of %d bytes", len(got), len(sent))
		}
	}
	require.Equal(t, sent, got)
	require.True(t, q.bytes.TryAcquire(limit), "bytes were not given back")
}

// What precedes the server's last words is delivered, and the words are kept.
func TestLastWords(t *testing.T) {
	server, q, _, ended := wire(t, 0)
	data := dataFrame(7, []byte("x"))
	words, err := (&pgproto3.ErrorResponse{Severity: "FATAL", Code: "57P01", Message: "goodbye"}).Encode(append([]byte{}, data...))
	require.NoError(t, err)
	_, err = server.Write(words)
	require.NoError(t, err)
	var said *pgconn.PgError
	require.ErrorAs(t, <-ended, &said)
	require.Equal(t, "57P01", said.Code)
	require.Equal(t, data, (<-q.segments).data)
}

func TestBrokenFrames(t *testing.T) {
	for name, bytes := range map[string][]byte{
		"too short a length":    {'d', 0, 0, 0, 3},
		"too long a length":     {'d', 0xff, 0xff, 0xff, 0xff},
		"an unknown kind":       {'Z', 0, 0, 0, 4},
		"empty copy data":       frame(nil),
		"unknown copy data":     frame([]byte("?123456789012345678901234567890")),
		"a torn keepalive":      frame([]byte{copyKeepalive, 1, 2}),
		"data without a header": frame([]byte{copyData, 1, 2}),
	} {
		t.Run(name, func(t *testing.T) {
			server, _, _, ended := wire(t, 0)
			_, err := server.Write(bytes)
			require.NoError(t, err)
			require.ErrorIs(t, <-ended, ErrProtocol)
		})
	}
}

func TestEndOfConnection(t *testing.T) {
	server, _, _, ended := wire(t, 0)
	_, err := server.Write(dataFrame(7, []byte("torn"))[:20])
	require.NoError(t, err)
	require.NoError(t, server.Close())
	require.ErrorContains(t, <-ended, "unexpected EOF")
}

func TestAnxiety(t *testing.T) {
	at := time.Unix(1000, 0)
	var calm anxiety
	for n := range 1000 { // a short wal_sender_timeout
		require.False(t, calm.letGo(at.Add(time.Duration(n)*anxietyGap*2), 7))
	}
	var moving anxiety // the log still grows
	for n := range 1000 {
		require.False(t, moving.letGo(at.Add(time.Duration(n)*replyPause), change.LSN(n)))
	}
	var stopping anxiety
	n := 0
	for !stopping.letGo(at.Add(time.Duration(n)*replyPause), 7) {
		n++
	}
	require.Equal(t, anxietyGrace, time.Duration(n)*replyPause)
}

func TestStatus(t *testing.T) {
	b := appendStatus(nil, 0x10, 0x0f, postgresEpoch.Add(time.Second), true)
	require.Equal(t, append([]byte{'d', 0, 0, 0, 38, 'r'},
		0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0x0f, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40, 1), b)
}
