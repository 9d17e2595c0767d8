package transport

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/pgfed/pgfed/internal/change"
)

const (
	defaultBatchBytes = 256 << 10
	maxParts          = 4096

	// Most that a message needs besides tables, records and the vector, and
	// most that a part and a record need besides what they name.
	headerRoom = 320
	partRoom   = 96
	recordRoom = 48
	// vectorRoom holds the positions of some eighty other nodes.
	vectorRoom = 4 << 10
	// natsRoom is for the headers that NATS counts as payload.
	natsRoom = 1 << 10
	// leastRun is the shortest run of a spanning record worth beginning.
	leastRun = 1 << 10
)

// builder packs transactions into messages. mu guards everything: the capture
// side calls it, and Run seals what is whole when a flush was put off. It is
// never held while waiting.
type builder struct {
	mu          sync.Mutex
	identity    header // what all messages say alike
	out         *outbox
	askVector   func() change.Vector
	compression compression

	capacity int // most bytes of tables, part heads and records in one message
	target   int // a message that reaches this is sealed

	number    uint64     // of the last message sealed
	position  change.LSN // completed by the messages sealed
	completed change.LSN // end of the last transaction packed, sealed or not
	attempt   change.ID  // for pieces

	// The message being built: whole transactions, then the open one.
	records []byte
	parts   []packed
	arena   []*described // tables of parts
	size    int          // of tables, part heads and records
	batch   uint64       // marks the tables counted in size
	open    openTransaction
	serial  uint64 // of the open transaction
	tables  map[*change.Table]*described
	runs    [][]byte // for laying out one record
	scratch []byte
	numbers []uint32
	limit   int   // most bytes of a message
	broken  error // set once the builder cannot go on
	localOf func(*change.Table) uint64
}

// packed is a whole transaction waiting to be sealed.
type packed struct {
	change.Begin
	commit  change.LSN
	ordinal uint64
	tables  [2]int // in the arena
	end     int    // in the records
}

// openTransaction is the one whose changes are arriving.
type openTransaction struct {
	active   bool
	skip     bool // the stream has it already
	begin    change.Begin
	start    int    // of its records
	first    uint64 // ordinal of the first record in the message being built
	ordinal  uint64 // of the next change
	tables   []*described
	unsealed int // tables[unsealed:] are not in a sealed piece

	large  bool // it goes in pieces
	index  uint32
	opened uint64 // number of the message with its first piece
}

// described is a table with its description as it goes onto the wire.
type described struct {
	table  *change.Table
	wire   []byte
	serial uint64 // the transaction for which local holds
	local  uint64
	batch  uint64 // the batch in whose size it is counted, or for which index holds
	index  uint32
	sealed uint64 // the message for which index holds
}

// capacityOf returns how much a message may carry, given what the broker
// takes.
func capacityOf(maxPayload int64, federation, origin string) (int, error) {
	limit := min(maxPayload, messageCeiling)
	capacity := int(limit) - natsRoom - headerRoom - vectorRoom - len(federation) - len(origin)
	if capacity < 16<<10 {
		return 0, fmt.Errorf("max_payload of %d bytes: %w: set it to 64 KiB at least, better 1 MiB", maxPayload, ErrTooLarge)
	}
	return capacity, nil
}

// Begin opens a transaction. One that was open is abandoned: capture has
// started again. Transactions that the stream has are skipped whole: their
// commit record begins before the end of the last one packed.
func (b *builder) Begin(ctx context.Context, begin change.Begin) error {
	if err := b.out.awaitRoom(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return b.broken
	}
	b.abandon()
	b.serial++
	b.open = openTransaction{active: true, skip: begin.Final < b.completed, begin: begin,
		start: len(b.records), tables: b.open.tables[:0]}
	if !b.open.skip {
		b.size += partRoom
	}
	return nil
}

// abandon forgets the open transaction. Pieces of it that are sealed stay in
// the stream; the next attempt gets another name and replaces them.
func (b *builder) abandon() {
	if !b.open.active {
		return
	}
	if b.open.index > 0 {
		b.attempt = change.NewID()
	}
	b.records = b.records[:b.open.start]
	b.open.active = false
	b.measure()
}

// measure computes anew what is in the batch.
func (b *builder) measure() {
	b.batch++
	b.size = len(b.records) + len(b.parts)*partRoom
	for i := range b.parts {
		for _, d := range b.arena[b.parts[i].tables[0]:b.parts[i].tables[1]] {
			b.count(d)
		}
	}
	if b.open.active && !b.open.skip {
		b.size += partRoom
		for _, d := range b.open.tables[b.open.unsealed:] {
			b.count(d)
		}
	}
}

func (b *builder) count(d *described) {
	b.size += binary.MaxVarintLen32
	if d.batch != b.batch {
		d.batch = b.batch
		b.size += len(d.wire)
	}
}

// Change packs a change of the open transaction. Nothing of it is kept but
// the pointers to its tables, which are immutable.
func (b *builder) Change(ctx context.Context, c *change.Change) error {
	if err := b.out.awaitRoom(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return b.broken
	}
	if !b.open.active {
		return fmt.Errorf("pack a change: no transaction is open")
	}
	if b.open.skip {
		return nil
	}
	if c.Ordinal < b.open.ordinal {
		return fmt.Errorf("pack change %d of transaction %d: change %d was expected", c.Ordinal, b.open.begin.XID, b.open.ordinal)
	}
	if err := b.describe(c); err != nil {
		return err
	}
	b.runs, b.scratch = recordParts(b.runs[:0], b.scratch, c, b.localOf)
	size := 0
	for _, run := range b.runs {
		size += len(run)
	}
	b.makeRoom(size + recordRoom)
	if b.size+size+recordRoom > b.capacity {
		return b.span(ctx, c.Ordinal, uint64(size))
	}
	before := len(b.records)
	b.records = b.appendOp(b.records, c.Ordinal, b.runs[0][0])
	b.records = append(b.records, b.runs[0][1:]...)
	for _, run := range b.runs[1:] {
		b.records = append(b.records, run...)
	}
	b.size += len(b.records) - before
	b.open.ordinal = c.Ordinal + 1
	return nil
}

// appendOp writes an operation, and how many ordinals before it are left out.
func (b *builder) appendOp(to []byte, ordinal uint64, op byte) []byte {
	skipped := ordinal - b.open.ordinal
	if skipped == 0 {
		return append(to, op)
	}
	b.open.ordinal = ordinal
	return binary.AppendUvarint(append(to, op|opSkip), skipped)
}

// describe sees to it that the transaction knows the change's tables.
func (b *builder) describe(c *change.Change) error {
	if c.Op != change.Truncate {
		return b.describeTable(c.Table)
	}
	for _, table := range c.Truncated {
		if err := b.describeTable(table); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) describeTable(table *change.Table) error {
	d, found := b.tables[table]
	if found && d.serial == b.serial {
		return nil
	}
	if !found {
		if b.tables == nil || len(b.tables) >= maxKnown {
			b.tables = make(map[*change.Table]*described)
		}
		d = &described{table: table, wire: appendTable(nil, table)}
		b.tables[table] = d
	}
	room := len(d.wire) + binary.MaxVarintLen32
	if room+partRoom+leastRun > b.capacity {
		return fmt.Errorf("describe table %s in %d bytes: %w: set max_payload to 1 MiB", table, len(d.wire), ErrTooLarge)
	}
	b.makeRoom(room)
	d.serial, d.local = b.serial, uint64(len(b.open.tables))
	b.open.tables = append(b.open.tables, d)
	b.count(d)
	return nil
}

// local numbers a table in the open transaction. Forgetting descriptions in
// the middle of one leaves those it uses reachable through its own list.
func (b *builder) local(table *change.Table) uint64 {
	if d, found := b.tables[table]; found && d.serial == b.serial {
		return d.local
	}
	for i, d := range b.open.tables {
		if d.table == table {
			return uint64(i)
		}
	}
	panic("a table is used that was not described")
}

// makeRoom seals what is in the way of size more bytes: first the whole
// transactions before the open one, then, when the open one alone is too
// much, a piece of it.
func (b *builder) makeRoom(size int) {
	if b.size+size > b.target && len(b.parts) > 0 {
		b.sealWhole()
	}
	if b.size+size > b.target && b.holdsOpen() {
		b.outgrow()
	}
}

// holdsOpen reports whether anything of the open transaction is unsealed.
func (b *builder) holdsOpen() bool {
	return len(b.records) > b.open.start || len(b.open.tables) > b.open.unsealed
}

// outgrow makes the open transaction go in pieces, and seals one.
func (b *builder) outgrow() {
	if len(b.parts) > 0 {
		b.sealWhole()
	}
	b.open.large = true
	b.sealPiece(0)
}

// span writes the record in b.runs, which is larger than a message, over as
// many messages as it takes. Between them the lock is released to wait for
// room: the transaction is large then, and nobody else seals pieces.
func (b *builder) span(ctx context.Context, ordinal, total uint64) error {
	if total > maxRecord {
		return fmt.Errorf("pack a change of %d bytes: %w", total, ErrTooLarge)
	}
	if len(b.parts) > 0 {
		b.sealWhole()
	}
	b.open.large = true
	for offset := uint64(0); offset < total; {
		room := b.capacity - b.size - recordRoom
		if room < leastRun {
			b.sealPiece(0)
			continue
		}
		n := min(uint64(room), total-offset)
		before := len(b.records)
		op := byte(opFragment)
		if offset == 0 {
			b.records = b.appendOp(b.records, ordinal, op)
		} else {
			b.records = append(b.records, op)
		}
		b.records = binary.AppendUvarint(b.records, total)
		b.records = binary.AppendUvarint(b.records, offset)
		b.records = binary.AppendUvarint(b.records, n)
		b.records = appendRuns(b.records, b.runs, offset, n)
		b.size += len(b.records) - before
		if offset += n; offset == total {
			break
		}
		b.sealPiece(0)
		b.mu.Unlock()
		err := b.out.awaitRoom(ctx)
		b.mu.Lock()
		if err != nil {
			b.broken = err // half a record is sealed: there is no going on
			return err
		}
	}
	b.open.ordinal = ordinal + 1
	return nil
}

// appendRuns appends n bytes from offset of the runs' concatenation.
func appendRuns(to []byte, runs [][]byte, offset, n uint64) []byte {
	for _, run := range runs {
		size := uint64(len(run))
		if offset >= size {
			offset -= size
			continue
		}
		piece := run[offset:min(size, offset+n)]
		to = append(to, piece...)
		n -= uint64(len(piece))
		offset = 0
		if n == 0 {
			break
		}
	}
	return to
}

// Commit closes the open transaction. A small one stays to share a message
// with others; the last piece of a large one is sealed.
func (b *builder) Commit(ctx context.Context, end change.LSN) error {
	if err := b.out.awaitRoom(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return b.broken
	}
	if !b.open.active {
		return fmt.Errorf("commit at %v: no transaction is open", end)
	}
	if b.open.skip {
		b.open.active = false
		return nil
	}
	if end <= b.completed || end < b.open.begin.Final {
		return fmt.Errorf("commit transaction %d: it ends at %v, before %v", b.open.begin.XID, end, max(b.completed, b.open.begin.Final))
	}
	if !b.open.large && !b.holdsOpen() {
		b.abandon() // nothing in it concerns anybody
		return nil
	}
	b.completed = end
	if b.open.large {
		b.sealPiece(end)
		b.open.active = false
		b.measure()
		return nil
	}
	start := len(b.arena)
	b.arena = append(b.arena, b.open.tables...)
	b.parts = append(b.parts, packed{Begin: b.open.begin, commit: end, ordinal: b.open.first,
		tables: [2]int{start, len(b.arena)}, end: len(b.records)})
	b.open.active = false
	if b.size >= b.target || len(b.parts) >= maxParts {
		b.sealWhole()
	}
	return nil
}

// Flush seals what is whole: nothing more is waiting to share its message.
// With enough in flight that is put off until some of it has arrived.
func (b *builder) Flush(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return b.broken
	}
	if len(b.parts) > 0 && !b.out.putOff() {
		b.sealWhole()
	}
	return nil
}

// flushNow seals what is whole.
func (b *builder) flushNow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.parts) > 0 && b.broken == nil {
		b.sealWhole()
	}
}

// sealWhole makes a message of the whole transactions. What there is of the
// open one moves to the front.
func (b *builder) sealWhole() {
	vector := b.askVector()
	number := b.number + 1
	var tables []*described
	heads := make([]part, 0, len(b.parts))
	start, newest := 0, b.parts[0].Time
	for i := range b.parts {
		p := &b.parts[i]
		head := part{Begin: p.Begin, First: true, Last: true, Commit: p.commit, Ordinal: p.ordinal, Size: p.end - start}
		if i == 0 {
			head.HasVector, head.Vector = true, vector
		}
		head.Tables, tables = b.index(b.arena[p.tables[0]:p.tables[1]], tables, number)
		heads = append(heads, head)
		start = p.end
		if p.Time.After(newest) {
			newest = p.Time
		}
	}
	last := b.parts[len(b.parts)-1].commit
	b.emit(tables, heads, b.records[:start], last, 0, &sealed{commitTime: newest})

	b.records = b.records[:copy(b.records, b.records[start:])]
	b.open.start = 0
	b.parts, b.arena = b.parts[:0], b.arena[:0]
	b.measure()
}

// index numbers tables in a message, adding those that are new to it.
func (b *builder) index(used, all []*described, message uint64) (numbers []uint32, extended []*described) {
	start := len(b.numbers)
	for _, d := range used {
		if d.sealed != message {
			d.sealed, d.index = message, uint32(len(all))
			all = append(all, d)
		}
		b.numbers = append(b.numbers, d.index)
	}
	return b.numbers[start:], all
}

// sealPiece makes a message of what there is of the open transaction. commit
// is 0 unless it is the last piece.
func (b *builder) sealPiece(commit change.LSN) {
	o := &b.open
	number := b.number + 1
	head := part{Begin: o.begin, First: o.index == 0, Last: commit != 0, Commit: commit, Attempt: b.attempt,
		Index: o.index, Ordinal: o.first, Size: len(b.records)}
	if head.First {
		// Asked once: every piece stands under the vector of the first.
		o.opened = number
		head.HasVector, head.Vector = true, b.askVector()
	}
	var tables []*described
	head.Tables, tables = b.index(o.tables[o.unsealed:], nil, number)
	last, back := b.position, number-o.opened+1
	if head.Last {
		last, back = commit, 0
	}
	b.emit(tables, []part{head}, b.records, last, back, &sealed{commitTime: o.begin.Time})

	b.records = b.records[:0]
	o.index++
	o.unsealed = len(o.tables)
	o.start, o.first = 0, o.ordinal
	b.measure()
}

// emit writes a message and puts it into the outbox.
func (b *builder) emit(tables []*described, heads []part, records []byte, last change.LSN, back uint64, m *sealed) {
	b.number++
	h := b.identity
	h.Number, h.Previous, h.Last, h.Back = b.number, b.position, last, back
	size := bodyAt + headerRoom + vectorRoom/4 + len(records) + len(heads)*partRoom/2
	var flags byte
	for _, d := range tables {
		size += len(d.wire)
		if d.table.Partition != nil {
			flags |= hasPartitions
		}
	}
	data := make([]byte, bodyAt, size)
	data = appendHeader(data, &h)
	data = binary.AppendUvarint(data, uint64(len(tables)))
	for _, d := range tables {
		data = append(data, d.wire...)
	}
	data = binary.AppendUvarint(data, uint64(len(heads)))
	for i := range heads {
		data = appendPart(data, &heads[i])
	}
	data = append(data, records...)
	b.numbers = b.numbers[:0]
	if len(data) > b.limit {
		b.broken = fmt.Errorf("seal a message of %d bytes: %w of this federation's size: set it to 1 MiB", len(data), ErrTooLarge)
		return
	}
	m.number, m.last, m.open, m.plain = b.number, last, back > 0, len(data)
	m.data = seal(data, b.compression, flags)
	b.position = last
	b.out.put(m)
}
