package transport

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/change"
)

var update = flag.Bool("update", false, "write the golden files of the current wire format anew")

// golden is one example of the wire format: messages of one publisher in
// order.
type golden struct {
	name        string
	target      int
	compression compression
	feed        func(t *testing.T, b *builder)
}

var goldens = []golden{
	{name: "small", feed: func(t *testing.T, b *builder) {
		feed(t, b, 100, insert(0, "1", "ann"), remove(1, "1"))
		feed(t, b, 200, change.Change{Op: change.Truncate, Ordinal: 0, Truncated: []*change.Table{otherTable, testTable}, Cascade: true, RestartIdentity: true})
		feed(t, b, 300, change.Change{Op: change.Update, Table: testTable, Ordinal: 4, OldKind: change.OldKey,
			Old: change.AppendTuple(nil, text("1"), change.Value{Kind: change.Null}, change.Value{Kind: change.Null}),
			New: change.AppendTuple(nil, text("2"), change.Value{Kind: change.Unchanged}, change.Value{Kind: change.Binary, Bytes: []byte{0, 255}})},
			change.Change{Op: change.Update, Table: testTable, Ordinal: 5, New: change.AppendTuple(nil, text("2"), text("bob"), text("calm"))})
		b.flushNow()
	}},
	{name: "large", target: 256, feed: func(t *testing.T, b *builder) {
		feed(t, b, 100, insert(0, "1", "before"))
		feed(t, b, 200, insert(0, "2", strings.Repeat("x", 200)), insert(1, "3", strings.Repeat("y", 200)),
			change.Change{Op: change.Delete, Table: otherTable, Ordinal: 2, OldKind: change.OldFull, Old: change.AppendTuple(nil, text("now"), text("z"))},
			insert(3, "4", strings.Repeat("z", 200)))
	}},
	{name: "spanning", target: 256, feed: func(t *testing.T, b *builder) {
		b.capacity = 1500
		feed(t, b, 100, insert(0, "1", "a"), insert(7, "2", strings.Repeat("long", 700)), insert(8, "3", "c"))
	}},
	{name: "partitions", feed: func(t *testing.T, b *builder) {
		feed(t, b, 100, change.Change{Op: change.Insert, Table: partitionTable, New: change.AppendTuple(nil, text("1"))},
			change.Change{Op: change.Truncate, Ordinal: 1, Truncated: []*change.Table{partitionTable, otherTable}, Wholly: []change.Name{partitionTable.Partition.Root}},
			change.Change{Op: change.Truncate, Ordinal: 2, Truncated: []*change.Table{partitionTable}})
		b.flushNow()
	}},
	{name: "s2", compression: compressedS2, feed: func(t *testing.T, b *builder) {
		feed(t, b, 100, insert(0, "1", strings.Repeat("again ", 200)))
		b.flushNow()
	}},
	{name: "zstd", compression: compressedZstd, feed: func(t *testing.T, b *builder) {
		feed(t, b, 100, insert(0, "1", strings.Repeat("again ", 200)))
		b.flushNow()
	}},
}

func insert(ordinal uint64, id, owner string) change.Change {
	return change.Change{Op: change.Insert, Table: testTable, Ordinal: ordinal, New: change.AppendTuple(nil, text(id), text(owner), change.Value{Kind: change.Null})}
}

func remove(ordinal uint64, id string) change.Change {
	return change.Change{Op: change.Delete, Table: testTable, Ordinal: ordinal, OldKind: change.OldKey,
		Old: change.AppendTuple(nil, text(id), change.Value{Kind: change.Null}, change.Value{Kind: change.Null})}
}

// feed hands one transaction to a builder that nobody empties.
func feed(t *testing.T, b *builder, final change.LSN, changes ...change.Change) {
	t.Helper()
	ctx := testContext(t)
	require.NoError(t, b.Begin(ctx, change.Begin{XID: uint32(final), Final: 0x16_0000_0000 + final, Time: time.UnixMicro(1_700_000_000_000_000 + int64(final)).UTC()}))
	for i := range changes {
		require.NoError(t, b.Change(ctx, &changes[i]))
	}
	require.NoError(t, b.Commit(ctx, 0x16_0000_0000+final+48))
}

// testBuilder is a builder whose messages are always the same.
func testBuilder(target int, how compression) *builder {
	vector := change.Vector{
		"central": {History: change.ID{9}, LSN: 0x1_0000_0010},
		"west":    {History: change.ID{8, 7}, LSN: 77},
	}
	history := change.History{ID: change.ID{1, 2, 3}, System: 7_300_000_000_000_000_001, Timeline: 2, Parent: change.ID{4, 5}, Fork: 0x15_0000_0000, Start: 0x14_0000_0000}
	b := &builder{
		identity: header{Federation: "hippo", Origin: "east", History: history, Generation: change.ID{6}, Rules: 3, Writer: change.ID{0xaa}},
		out:      newOutbox(1<<40, 1<<20), askVector: func() change.Vector { return vector }, compression: how,
		capacity: 200 << 10, target: 150 << 10, limit: 256 << 10,
		position: 0x16_0000_0000, completed: 0x16_0000_0000, attempt: change.ID{0xaa},
	}
	if target > 0 {
		b.target = target
	}
	b.localOf = b.local
	return b
}

func (g *golden) messages(t *testing.T) [][]byte {
	b := testBuilder(g.target, g.compression)
	g.feed(t, b)
	require.NoError(t, b.broken)
	var messages [][]byte
	for _, m := range b.out.messages {
		messages = append(messages, m.data)
	}
	return messages
}

// TestWireFormatIsKept compares what is written today with the golden files of
// the current format, and what is read today with the readable files of every
// format there ever was. Compressors may change their output; what they wrote
// must stay readable.
func TestWireFormatIsKept(t *testing.T) {
	folder := filepath.Join("testdata", "wire", fmt.Sprintf("v%d", formatVersion))
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			messages := g.messages(t)
			if *update {
				require.NoError(t, os.MkdirAll(folder, 0o755))
				for i, data := range messages {
					require.NoError(t, os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%d.bin", g.name, i+1)), data, 0o644))
				}
				require.NoError(t, os.WriteFile(filepath.Join(folder, g.name+".txt"), []byte(dumpAll(t, messages)), 0o644))
			}
			var kept [][]byte
			for i := range messages {
				data, err := os.ReadFile(filepath.Join(folder, fmt.Sprintf("%s-%d.bin", g.name, i+1)))
				require.NoError(t, err)
				kept = append(kept, data)
			}
			readable, err := os.ReadFile(filepath.Join(folder, g.name+".txt"))
			require.NoError(t, err)
			require.Equal(t, string(readable), dumpAll(t, kept), "what was written then reads differently now")
			require.Equal(t, string(readable), dumpAll(t, messages), "what is written now reads differently")
			if g.compression == uncompressed {
				require.Equal(t, kept, messages, "what is written now has other bytes")
			}
		})
	}
}

func dumpAll(t *testing.T, messages [][]byte) string {
	t.Helper()
	var (
		u   unpacker
		out strings.Builder
	)
	for i, data := range messages {
		m, err := u.parse(data)
		require.NoError(t, err)
		var b change.Batch
		fmt.Fprintf(&out, "message %d\n", i+1)
		dumpHeader(&out, &m)
		require.NoError(t, u.batch(&m, &b))
		for i := range b.Parts {
			dumpPart(&out, &b.Parts[i])
		}
	}
	return out.String()
}

func dumpHeader(out *strings.Builder, m *wireMessage) {
	h := m.History
	fmt.Fprintf(out, "  federation %s origin %s generation %s rules %d\n", m.Federation, m.Origin, m.Generation, m.Rules)
	fmt.Fprintf(out, "  history %s system %d timeline %d parent %s fork %v start %v\n", h.ID, h.System, h.Timeline, h.Parent, h.Fork, h.Start)
	fmt.Fprintf(out, "  writer %s number %d\n  previous %v last %v back %d\n", m.Writer, m.Number, m.Previous, m.Last, m.Back)
	for _, raw := range m.tables {
		r := &parser{b: raw}
		table := r.table()
		fmt.Fprintf(out, "  table %s identity %c", table, table.Identity)
		if p := table.Partition; p != nil {
			fmt.Fprintf(out, " partition of %s at %x key %v", p.Root, p.Place, p.Key)
		}
		for _, c := range table.Columns {
			fmt.Fprintf(out, " %s(key=%t type=%d mod=%d %q)", c.Name, c.Key, c.TypeOID, c.TypeMod, c.Type)
		}
		out.WriteByte('\n')
	}
}

func dumpPart(out *strings.Builder, p *change.Part) {
	fmt.Fprintf(out, "  transaction %d final %v commit %v at %s attempt %s index %d first %t last %t\n", p.XID, p.Final, p.Commit,
		p.Time.Format(time.RFC3339Nano), p.Attempt, p.Index, p.First, p.Last)
	origins := p.Vector.Origins()
	sort.Strings(origins)
	for _, origin := range origins {
		fmt.Fprintf(out, "    has seen %s %v\n", origin, p.Vector[origin])
	}
	for i := range p.Changes {
		c := &p.Changes[i]
		fmt.Fprintf(out, "    %d %v", c.Ordinal, c.Op)
		if c.Op == change.Truncate {
			fmt.Fprintf(out, " %v cascade=%t restart=%t", c.Truncated, c.Cascade, c.RestartIdentity)
			if c.Wholly != nil {
				fmt.Fprintf(out, " wholly=%v", c.Wholly)
			}
			out.WriteByte('\n')
			continue
		}
		fmt.Fprintf(out, " %v", c.Table)
		if c.OldKind != 0 {
			fmt.Fprintf(out, " old(%c) %s", c.OldKind, dumpTuple(c.Old))
		}
		if c.New != nil {
			fmt.Fprintf(out, " new %s", dumpTuple(c.New))
		}
		out.WriteByte('\n')
	}
}

func dumpTuple(t change.Tuple) string {
	values, err := t.Values(nil)
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, v := range values {
		switch v.Kind {
		case change.Text:
			s := string(v.Bytes)
			if len(s) > 40 {
				s = fmt.Sprintf("%s... %d bytes, crc %08x", s[:16], len(s), crc32.ChecksumIEEE(v.Bytes))
			}
			out = append(out, s)
		case change.Binary:
			out = append(out, "0x"+hex.EncodeToString(v.Bytes))
		case change.Null:
			out = append(out, "null")
		default:
			out = append(out, "unchanged")
		}
	}
	return "(" + strings.Join(out, ", ") + ")"
}

func TestDamageIsCorruption(t *testing.T) {
	for _, g := range goldens {
		messages := g.messages(t)
		data := messages[0]
		for n := range data {
			_, err := new(unpacker).parse(data[:n])
			require.ErrorIs(t, err, ErrCorrupt, "%s cut to %d bytes", g.name, n)
		}
		for n := range min(len(data), 600) {
			damaged := append([]byte(nil), data...)
			damaged[n] ^= 1 << (n % 8)
			_, err := new(unpacker).parse(damaged)
			if n == len(magic) {
				require.ErrorIs(t, err, ErrFormat)
				continue
			}
			require.ErrorIs(t, err, ErrCorrupt, "%s with byte %d flipped", g.name, n)
		}
	}
}

func TestOtherFormatIsNamed(t *testing.T) {
	data := goldens[0].messages(t)[0]
	data[len(magic)] = 9
	_, err := new(unpacker).parse(data)
	var format *FormatError
	require.ErrorAs(t, err, &format)
	require.Equal(t, FormatError{Have: 9, Want: 1}, *format)
	require.ErrorContains(t, err, "has format 9, this version reads format 1")
}

func TestUnknownFlagsAreNamed(t *testing.T) {
	data := goldens[0].messages(t)[0]
	_, err := new(unpacker).parse(stamp(data, 0x40))
	require.ErrorIs(t, err, ErrFormat)
	require.ErrorContains(t, err, "flags 40")
}

// A forged message may pass the checksum. It must not make us reserve what it
// only claims to hold.
func TestForgedLengthsReserveNothing(t *testing.T) {
	records := []byte{opFragment}
	records = binary.AppendUvarint(records, 4<<30)
	records = binary.AppendUvarint(records, 0)
	records = appendBytes(records, []byte("a little"))
	data := forge(header{}, part{First: true, HasVector: true, Size: len(records)}, records)
	var u unpacker
	m, err := u.parse(data)
	require.NoError(t, err)
	require.NoError(t, u.batch(&m, new(change.Batch)))
	require.Less(t, cap(u.large.run), 1<<10)

	packed := binary.AppendUvarint(make([]byte, bodyAt), 1<<40)
	before := allocated()
	_, _, err = unseal(stamp(append(packed, 1, 2, 3), compressedS2), nil)
	require.ErrorIs(t, err, ErrCorrupt)
	_, _, err = unseal(stamp(append(binary.AppendUvarint(make([]byte, bodyAt), maxBody), 0xff, 0xff, 0xff, 0x7f, 0), compressedS2), nil)
	require.ErrorIs(t, err, ErrCorrupt)
	require.Less(t, allocated()-before, uint64(4<<20))
}

func allocated() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}

// forge makes a message without tables whose checksum is right.
func forge(h header, p part, records []byte) []byte {
	body := appendHeader(make([]byte, bodyAt), &h)
	body = append(body, 0, 1)
	body = appendPart(body, &p)
	return stamp(append(body, records...), uncompressed)
}

// stamp makes the envelope of a body that is already compressed.
func stamp(b []byte, how compression) []byte {
	copy(b, magic)
	b[len(magic)], b[flagsAt] = formatVersion, byte(how)
	binary.BigEndian.PutUint32(b[crcAt:], crc32.Checksum(b[flagsAt:], castagnoli))
	return b
}

// A record spanning messages costs little more than its own size.
func TestSpanningRecordIsGatheredInOneBuffer(t *testing.T) {
	const total = 10_000_000
	var b []byte
	reserved := 0
	for len(b) < total {
		run := min(100_000, total-len(b))
		before := cap(b)
		b = grow(b, run, total)
		if cap(b) != before {
			reserved += cap(b)
		}
		b = append(b, make([]byte, run)...)
		require.LessOrEqual(t, cap(b), max(2*len(b), run))
	}
	require.Equal(t, total, cap(b))
	require.Less(t, reserved, 3*total)
}

// FuzzDecode feeds anything to the reader: with its own envelope, so that
// what is behind the checksum is reached, and as it is.
func FuzzDecode(f *testing.F) {
	for _, g := range goldens {
		files, err := filepath.Glob(filepath.Join("testdata", "wire", "v*", g.name+"-*.bin"))
		require.NoError(f, err)
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(data, data)
		}
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		var u unpacker
		for _, data := range [][]byte{one, two} {
			_, _ = new(unpacker).parse(data)
			if len(data) < bodyAt {
				continue
			}
			m, err := u.parse(stamp(append([]byte(nil), data...), compression(data[flagsAt]&compressionMask)))
			if err != nil {
				requireReadError(t, err)
				continue
			}
			var b change.Batch
			if err := u.batch(&m, &b); err != nil {
				requireReadError(t, err)
				continue
			}
			requireSound(t, &b)
		}
	})
}

func requireReadError(t *testing.T, err error) {
	t.Helper()
	for _, known := range []error{ErrCorrupt, ErrFormat, errHole} {
		if errors.Is(err, known) {
			return
		}
	}
	t.Fatalf("an error of no known kind: %v", err)
}

// requireSound holds what every batch promises.
func requireSound(t *testing.T, b *change.Batch) {
	t.Helper()
	last := b.Previous
	require.NotEmpty(t, b.Parts)
	for i := range b.Parts {
		p := &b.Parts[i]
		if p.Last {
			require.Greater(t, p.Commit, last)
			last = p.Commit
		} else {
			require.Len(t, b.Parts, 1)
			require.Zero(t, p.Commit)
		}
		for j := range p.Changes {
			c := &p.Changes[j]
			switch c.Op {
			case change.Truncate:
				require.Nil(t, c.Table)
			case change.Insert, change.Update, change.Delete:
				require.NotNil(t, c.Table)
			default:
				t.Fatalf("operation %v", c.Op)
			}
		}
	}
	require.Equal(t, b.Last, last)
}
