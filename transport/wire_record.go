package transport

import (
	"encoding/binary"
	"time"

	"github.com/pgfed/pgfed/internal/change"
)

// Tables, parts and records in wire format 1.
//
//	tables    = n:uvarint n*table
//	table     = schema:string name:string identity:byte [partition] n:uvarint n*column
//	partition = root_schema:string root:string place:id n:uvarint n*key:string    if identity has bit 0x80
//	column    = name:string flags:byte type_oid:uvarint type_mod:varint type:string   (flag 1: key)
//	parts     = n:uvarint n*part
//	part      = flags:byte xid:uvarint final:uvarint time:varint
//	            [commit-final:uvarint]     if last
//	            [vector]                   if first and said so
//	            [attempt:id index:uvarint] unless first and last
//	            ordinal:uvarint n:uvarint n*table_of_the_message:uvarint size:uvarint
//	vector    = n:uvarint n*(origin:string history:id lsn:uvarint)
//	records   = the parts' records, one part behind the other, size bytes each
//	record    = 'I' table:uvarint new:bytes
//	          | 'U' table:uvarint kind:byte [old:bytes] new:bytes    (old unless kind is 0)
//	          | 'D' table:uvarint kind:byte [old:bytes]
//	          | 'T' flags:byte n:uvarint n*table:uvarint             (flags: 1 cascade, 2 restart identity)
//	            [n:uvarint n*(schema:string name:string)]            the roots that it empties, if flag 4
//	          | 'F' total:uvarint offset:uvarint run:bytes           a run of a record that spans messages
//
// Times are microseconds since 1970. Tuples are bytes as pgoutput wrote them.
// A whole transaction is a part that is first and last; a message holds whole
// transactions, or one piece of a large one and nothing else.
//
// A first part without a vector has that of the first part before it in the
// message. Records number tables per transaction: a part lists the tables it
// adds to its transaction's, in order. A whole transaction thus lists all that
// it uses, and a piece those that no piece before it has used.
//
// The ordinal is that of the part's first record. Records count up from it; an
// operation with bit 0x80 set is followed by how many ordinals are left out
// before it. A record that spans messages counts once, where it ends; its run
// is one of the record forms above.
const (
	partFirst  = 1
	partLast   = 2
	partVector = 4

	isPartition     = 0x80
	columnKey       = 1
	truncateCascade = 1
	truncateRestart = 2
	truncateWholly  = 4

	opFragment = 'F'
	opSkip     = 0x80

	// maxRecord bounds a record that spans messages: Postgres has no row
	// larger than 1 GB, and a record holds two at most, written as text.
	maxRecord = 8 << 30
)

func appendTable(b []byte, t *change.Table) []byte {
	b = appendString(b, t.Schema)
	b = appendString(b, t.Name)
	if p := t.Partition; p != nil {
		b = append(b, t.Identity|isPartition)
		b = appendName(b, p.Root)
		b = append(b, p.Place[:]...)
		b = binary.AppendUvarint(b, uint64(len(p.Key)))
		for _, name := range p.Key {
			b = appendString(b, name)
		}
	} else {
		b = append(b, t.Identity)
	}
	b = binary.AppendUvarint(b, uint64(len(t.Columns)))
	for i := range t.Columns {
		c := &t.Columns[i]
		b = appendString(b, c.Name)
		var flags byte
		if c.Key {
			flags |= columnKey
		}
		b = append(b, flags)
		b = binary.AppendUvarint(b, uint64(c.TypeOID))
		b = binary.AppendVarint(b, int64(c.TypeMod))
		b = appendString(b, c.Type)
	}
	return b
}

func (r *parser) table() *change.Table {
	t := &change.Table{Schema: r.string(), Name: r.string(), Identity: r.byte()}
	if t.Identity&isPartition != 0 {
		t.Identity &^= isPartition
		t.Partition = r.partition()
	}
	t.Columns = make([]change.Column, r.count(5))
	for i := range t.Columns {
		c := &t.Columns[i]
		c.Name = r.string()
		c.Key = r.byte()&columnKey != 0
		c.TypeOID = r.uint32()
		mod := r.varint()
		if mod != int64(int32(mod)) {
			r.fail("an impossible type modifier %d", mod)
		}
		c.TypeMod = int32(mod)
		c.Type = r.string()
	}
	return t
}

func (r *parser) partition() *change.Partition {
	p := &change.Partition{Root: r.name()}
	copy(p.Place[:], r.take(uint64(len(p.Place))))
	if n := r.count(1); n > 0 {
		p.Key = make([]string, n)
	}
	for i := range p.Key {
		p.Key[i] = r.string()
	}
	return p
}

func appendName(b []byte, n change.Name) []byte {
	return appendString(appendString(b, n.Schema), n.Name)
}

func (r *parser) name() change.Name { return change.Name{Schema: r.string(), Name: r.string()} }

// skipTable passes over a table and returns its bytes.
func (r *parser) skipTable() []byte {
	start := r.b
	r.bytes()
	r.bytes()
	if r.byte()&isPartition != 0 {
		r.bytes()
		r.bytes()
		r.take(uint64(len(change.Place{})))
		for n := r.count(1); n > 0 && r.err == nil; n-- {
			r.bytes()
		}
	}
	for n := r.count(5); n > 0 && r.err == nil; n-- {
		r.bytes()
		r.byte()
		r.uvarint()
		r.uvarint()
		r.bytes()
	}
	if r.err != nil {
		return nil
	}
	return start[:len(start)-len(r.b)]
}

func appendVector(b []byte, v change.Vector) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	for _, origin := range v.Origins() {
		position := v[origin]
		b = appendString(b, origin)
		b = append(b, position.History[:]...)
		b = binary.AppendUvarint(b, uint64(position.LSN))
	}
	return b
}

func (r *parser) vector() change.Vector {
	n := r.count(18)
	v := make(change.Vector, n)
	for ; n > 0 && r.err == nil; n-- {
		origin := r.string()
		if _, twice := v[origin]; twice {
			r.fail("a vector names an origin twice")
		}
		v[origin] = change.Position{History: r.id(), LSN: change.LSN(r.uvarint())}
	}
	return v
}

// part is what a message says of a transaction, or of a piece of one, besides
// its records.
type part struct {
	change.Begin
	First, Last bool
	HasVector   bool
	Commit      change.LSN
	Vector      change.Vector
	Attempt     change.ID
	Index       uint32
	Ordinal     uint64
	Tables      []uint32 // tables of the message that the transaction uses from here on
	Size        int      // bytes of records
}

func (p *part) whole() bool { return p.First && p.Last }

func appendPart(b []byte, p *part) []byte {
	var flags byte
	if p.First {
		flags |= partFirst
	}
	if p.Last {
		flags |= partLast
	}
	if p.HasVector {
		flags |= partVector
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(p.XID))
	b = binary.AppendUvarint(b, uint64(p.Final))
	b = binary.AppendVarint(b, p.Time.UnixMicro())
	if p.Last {
		b = binary.AppendUvarint(b, uint64(p.Commit-p.Final))
	}
	if p.HasVector {
		b = appendVector(b, p.Vector)
	}
	if !p.whole() {
		b = append(b, p.Attempt[:]...)
		b = binary.AppendUvarint(b, uint64(p.Index))
	}
	b = binary.AppendUvarint(b, p.Ordinal)
	b = binary.AppendUvarint(b, uint64(len(p.Tables)))
	for _, table := range p.Tables {
		b = binary.AppendUvarint(b, uint64(table))
	}
	return binary.AppendUvarint(b, uint64(p.Size))
}

func (r *parser) part(tables int) part {
	var p part
	flags := r.byte()
	p.First, p.Last, p.HasVector = flags&partFirst != 0, flags&partLast != 0, flags&partVector != 0
	if flags&^(partFirst|partLast|partVector) != 0 || p.HasVector && !p.First {
		r.fail("impossible flags %02x of a part", flags)
	}
	p.XID = r.uint32()
	p.Final = change.LSN(r.uvarint())
	p.Time = time.UnixMicro(r.varint()).UTC()
	if p.Last {
		p.Commit = p.Final + change.LSN(r.uvarint())
		if p.Commit < p.Final {
			r.fail("a transaction ends before its commit record")
		}
	}
	if p.HasVector {
		p.Vector = r.vector()
	}
	if !p.whole() {
		p.Attempt = r.id()
		p.Index = r.uint32()
		if p.First != (p.Index == 0) {
			r.fail("piece %d is said to be the first", p.Index)
		}
	}
	p.Ordinal = r.uvarint()
	if n := r.count(1); n > 0 {
		p.Tables = make([]uint32, n)
	}
	for i := range p.Tables {
		p.Tables[i] = r.uint32()
		if uint64(p.Tables[i]) >= uint64(tables) {
			r.fail("table %d of %d", p.Tables[i], tables)
		}
	}
	size := r.uvarint()
	if size > maxBody {
		r.fail("a part of %d bytes", size)
		size = 0
	}
	p.Size = int(size)
	return p
}

// record reads one record that does not span messages.
func (r *parser) record(op byte, tables []*change.Table, c *change.Change) {
	c.Op = change.Op(op)
	switch c.Op {
	case change.Insert:
		c.Table = r.tableOf(tables)
		c.New = r.bytes()
	case change.Update, change.Delete:
		c.Table = r.tableOf(tables)
		switch c.OldKind = r.byte(); c.OldKind {
		case change.OldNone:
		case change.OldKey, change.OldFull:
			c.Old = r.bytes()
		default:
			r.fail("unknown kind of old row %02x", c.OldKind)
		}
		if c.Op == change.Update {
			c.New = r.bytes()
		}
	case change.Truncate:
		flags := r.byte()
		if flags&^(truncateCascade|truncateRestart|truncateWholly) != 0 {
			r.fail("impossible flags %02x of a truncate", flags)
		}
		c.Cascade, c.RestartIdentity = flags&truncateCascade != 0, flags&truncateRestart != 0
		c.Truncated = make([]*change.Table, r.count(1))
		for i := range c.Truncated {
			c.Truncated[i] = r.tableOf(tables)
		}
		if flags&truncateWholly != 0 {
			c.Wholly = make([]change.Name, r.count(2))
		}
		for i := range c.Wholly {
			c.Wholly[i] = r.name()
		}
	default:
		r.fail("unknown operation %02x", op)
	}
}

func (r *parser) tableOf(tables []*change.Table) *change.Table {
	n := r.uvarint()
	if n >= uint64(len(tables)) {
		r.fail("table %d of %d", n, len(tables))
		return nil
	}
	return tables[n]
}

// recordParts lays out a record as the runs it is made of: small bytes of our
// own, appended to scratch, and the change's tuples, not copied. local gives
// the number of a table in its transaction.
func recordParts(runs [][]byte, scratch []byte, c *change.Change, local func(*change.Table) uint64) ([][]byte, []byte) {
	scratch = append(scratch[:0], byte(c.Op))
	switch c.Op {
	case change.Truncate:
		var flags byte
		if c.Cascade {
			flags |= truncateCascade
		}
		if c.RestartIdentity {
			flags |= truncateRestart
		}
		if len(c.Wholly) > 0 {
			flags |= truncateWholly
		}
		scratch = append(scratch, flags)
		scratch = binary.AppendUvarint(scratch, uint64(len(c.Truncated)))
		for _, table := range c.Truncated {
			scratch = binary.AppendUvarint(scratch, local(table))
		}
		if len(c.Wholly) > 0 {
			scratch = binary.AppendUvarint(scratch, uint64(len(c.Wholly)))
		}
		for _, name := range c.Wholly {
			scratch = appendName(scratch, name)
		}
		return append(runs, scratch), scratch
	case change.Insert:
		scratch = binary.AppendUvarint(scratch, local(c.Table))
		scratch = binary.AppendUvarint(scratch, uint64(len(c.New)))
		return append(runs, scratch, c.New), scratch
	}
	scratch = binary.AppendUvarint(scratch, local(c.Table))
	scratch = append(scratch, c.OldKind)
	if c.OldKind != change.OldNone {
		scratch = binary.AppendUvarint(scratch, uint64(len(c.Old)))
		runs = append(runs, scratch, c.Old)
	} else {
		runs = append(runs, scratch)
	}
	if c.Op == change.Update {
		start := len(scratch)
		scratch = binary.AppendUvarint(scratch, uint64(len(c.New)))
		runs = append(runs, scratch[start:], c.New)
	}
	return runs, scratch
}
