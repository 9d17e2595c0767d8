package transport

import (
	"errors"

	"github.com/pgfed/pgfed/internal/change"
)

// wireMessage is one message taken apart as far as that goes without knowing the
// ones before it. Everything in it shares memory with the message's bytes.
type wireMessage struct {
	header
	tables  [][]byte // descriptions
	parts   []part
	records []byte
}

// parseMessage reads a body and checks that what it says fits together.
func parseMessage(body []byte, parts []part, tables [][]byte) (wireMessage, error) {
	r := &parser{b: body}
	m := wireMessage{header: r.header(), parts: parts[:0], tables: tables[:0]}
	for n := r.count(4); n > 0 && r.err == nil; n-- {
		m.tables = append(m.tables, r.skipTable())
	}
	for n := r.count(6); n > 0 && r.err == nil; n-- {
		m.parts = append(m.parts, r.part(len(m.tables)))
	}
	m.records = r.b
	if r.err == nil {
		r.err = m.check()
	}
	return m, r.err
}

// check holds the promises of a message about its parts.
func (m *wireMessage) check() error {
	if len(m.parts) == 0 {
		return corrupt("it carries nothing")
	}
	size, last := 0, m.Previous
	for i := range m.parts {
		p := &m.parts[i]
		size += p.Size
		if size > len(m.records) {
			return corrupt("its records are cut off")
		}
		if !p.whole() && len(m.parts) > 1 {
			return corrupt("a piece of a large transaction is not alone")
		}
		if p.First && !p.HasVector && i == 0 {
			return corrupt("a transaction without a vector")
		}
		if !p.Last {
			continue
		}
		if p.Commit <= last {
			return corrupt("a transaction that ends at %v behind %v", p.Commit, last)
		}
		last = p.Commit
	}
	if last != m.Last {
		return corrupt("its transactions end at %v, it says %v", last, m.Last)
	}
	if size != len(m.records) {
		return corrupt("%d bytes of records, %d announced", len(m.records), size)
	}
	return nil
}

// piece tells whether the message carries a piece of a large transaction.
func (m *wireMessage) piece() bool { return !m.parts[0].whole() }

// errHole: a piece of a large transaction does not follow the one before it.
var errHole = errors.New("a piece of a large transaction is missing")

// unfinished is a large transaction of which pieces have arrived.
type unfinished struct {
	open    bool
	xid     uint32
	attempt change.ID
	next    uint32 // index of the piece that comes next
	vector  change.Vector
	tables  []*change.Table
	ordinal uint64

	// A record of which runs have arrived: the table numbers in it mean those
	// known when it began.
	run    []byte
	total  uint64 // 0: none
	tabled int    // how many tables were known when it began
}

// unpacker turns messages into batches. It carries what spans messages, and
// the memory that is used again for each batch. One goroutine owns it.
type unpacker struct {
	large   unfinished
	scratch []byte // decompressed body
	raw     [][]byte
	parsed  []part
	parts   []change.Part
	changes []change.Change
	bounds  []int
	local   []*change.Table
	known   map[string]*change.Table // descriptions seen, so that equal ones are one pointer
}

// parse checks a message's envelope and structure. The result is valid until
// the next parse.
func (u *unpacker) parse(data []byte) (wireMessage, error) {
	body, scratch, err := unseal(data, u.scratch)
	u.scratch = scratch
	if err != nil {
		return wireMessage{}, err
	}
	m, err := parseMessage(body, u.parsed, u.raw)
	u.parsed, u.raw = m.parts, m.tables
	return m, err
}

// batch fills in the parts of a batch from a message that is known to follow
// the ones before. Everything in it is valid until the next parse. errHole
// means that a piece is missing; every other error is an ErrCorrupt or
// ErrFormat.
func (u *unpacker) batch(m *wireMessage, b *change.Batch) error {
	u.parts, u.changes, u.bounds = u.parts[:0], u.changes[:0], u.bounds[:0]
	tables := make([]*change.Table, len(m.tables))
	for i, raw := range m.tables {
		table, err := u.table(raw)
		if err != nil {
			return err
		}
		tables[i] = table
	}
	var err error
	if m.piece() {
		err = u.piece(m, tables)
	} else {
		err = u.whole(m, tables)
	}
	if err != nil {
		return err
	}
	// The changes are handed out only now: while they grew, they may have moved.
	start := 0
	for i, end := range u.bounds {
		u.parts[i].Changes = u.changes[start:end:end]
		start = end
	}
	b.Origin, b.History, b.Generation, b.Rules = m.Origin, m.History, m.Generation, m.Rules
	b.Previous, b.Last, b.Parts = m.Previous, m.Last, u.parts
	return nil
}

// whole reads a message of whole transactions.
func (u *unpacker) whole(m *wireMessage, tables []*change.Table) error {
	if u.large.open && u.large.attempt == m.Writer {
		return errInterleaved
	}
	u.large.close()
	records := m.records
	var vector change.Vector
	for i := range m.parts {
		p := &m.parts[i]
		if p.HasVector {
			vector = p.Vector
		}
		u.local = u.local[:0]
		for _, n := range p.Tables {
			u.local = append(u.local, tables[n])
		}
		u.parts = append(u.parts, change.Part{Begin: p.Begin, Commit: p.Commit, Vector: vector, Attempt: m.Writer, First: true, Last: true})
		r := &parser{b: records[:p.Size]}
		records = records[p.Size:]
		ordinal := p.Ordinal
		for len(r.b) > 0 {
			op := r.op(&ordinal)
			if op == opFragment {
				r.fail("a record of a whole transaction spans messages")
			}
			u.record(r, op, u.local, &ordinal)
		}
		if r.err != nil {
			return r.err
		}
		u.bounds = append(u.bounds, len(u.changes))
	}
	return nil
}

// op reads an operation and what it says of ordinals.
func (r *parser) op(ordinal *uint64) byte {
	op := r.byte()
	if op&opSkip != 0 {
		*ordinal += r.uvarint()
	}
	return op &^ opSkip
}

// record appends one change.
func (u *unpacker) record(r *parser, op byte, tables []*change.Table, ordinal *uint64) {
	c := change.Change{Ordinal: *ordinal}
	r.record(op, tables, &c)
	if r.err == nil {
		u.changes = append(u.changes, c)
		*ordinal++
	}
}

// piece reads one piece of a large transaction.
func (u *unpacker) piece(m *wireMessage, tables []*change.Table) error {
	p, l := &m.parts[0], &u.large
	if err := l.follow(p); err != nil {
		return err
	}
	for _, n := range p.Tables {
		l.tables = append(l.tables, tables[n])
	}
	r := &parser{b: m.records}
	for len(r.b) > 0 {
		op := r.op(&l.ordinal)
		switch {
		case op == opFragment:
			u.fragment(r)
		case l.total != 0:
			r.fail("a record begins inside another one")
		default:
			u.record(r, op, l.tables, &l.ordinal)
		}
	}
	if r.err == nil && p.Last && l.total != 0 {
		r.fail("its transaction ends inside a record")
	}
	if r.err != nil {
		return r.err
	}
	l.next++
	u.bounds = append(u.bounds, len(u.changes))
	u.parts = append(u.parts, change.Part{Begin: p.Begin, Commit: p.Commit, Vector: l.vector, Attempt: p.Attempt,
		Index: p.Index, First: p.First, Last: p.Last})
	if p.Last {
		l.close()
	}
	return nil
}

// follow begins a large transaction with its first piece, and checks that any
// other piece is the one that comes next.
func (l *unfinished) follow(p *part) error {
	if l.open && p.Attempt == l.attempt && p.XID != l.xid {
		return errInterleaved
	}
	if p.First {
		// A newer attempt replaces whatever there is of an older one.
		l.close()
		*l = unfinished{open: true, xid: p.XID, attempt: p.Attempt, vector: p.Vector, ordinal: p.Ordinal, tables: l.tables[:0]}
		return nil
	}
	if !l.open || p.Attempt != l.attempt || p.Index != l.next {
		return errHole
	}
	if p.Ordinal != l.ordinal {
		return corrupt("piece %d goes on at change %d, the one before it ended at %d", p.Index, p.Ordinal, l.ordinal)
	}
	return nil
}

func (l *unfinished) close() {
	*l = unfinished{tables: l.tables[:0]}
}

// fragment adds a run of bytes to the record that spans messages, and reads
// the record when it is complete.
func (u *unpacker) fragment(r *parser) {
	l := &u.large
	total, offset := r.uvarint(), r.uvarint()
	run := r.bytes()
	if r.err != nil {
		return
	}
	if offset == 0 && l.total == 0 {
		l.total, l.tabled = total, len(l.tables)
	}
	if total == 0 || total > maxRecord || total != l.total || offset != uint64(len(l.run)) || len(run) == 0 || uint64(len(run)) > total-offset {
		r.fail("run %d+%d of %d of a record, expected %d of %d", offset, len(run), total, len(l.run), l.total)
		return
	}
	l.run = grow(l.run, len(run), total)
	l.run = append(l.run, run...)
	if uint64(len(l.run)) < total {
		return
	}
	whole := &parser{b: l.run}
	op := whole.byte()
	u.record(whole, op, l.tables[:l.tabled], &l.ordinal)
	if whole.err == nil && len(whole.b) > 0 {
		whole.fail("%d bytes behind a record", len(whole.b))
	}
	if whole.err != nil {
		r.err, r.b = whole.err, nil
	}
	l.run, l.total = nil, 0
}

// grow makes room for n more bytes of a record of total bytes: never more than
// the record needs, and never much more than what has arrived justifies.
func grow(b []byte, n int, total uint64) []byte {
	need := len(b) + n
	if need <= cap(b) {
		return b
	}
	room := uint64(max(need, 2*cap(b)))
	grown := make([]byte, len(b), min(room, total))
	copy(grown, b)
	return grown
}

// maxKnown bounds the descriptions remembered; forgetting them only costs time.
const maxKnown = 4096

func (u *unpacker) table(raw []byte) (*change.Table, error) {
	if table, found := u.known[string(raw)]; found {
		return table, nil
	}
	r := &parser{b: raw}
	table := r.table()
	if r.err != nil {
		return nil, r.err
	}
	if u.known == nil || len(u.known) >= maxKnown {
		u.known = make(map[string]*change.Table)
	}
	u.known[string(raw)] = table
	return table, nil
}
