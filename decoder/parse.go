package decoder

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/pgfed/pgfed/internal/change"
)

// Messages of pgoutput, protocol version 1.
const (
	msgBegin    = 'B'
	msgCommit   = 'C'
	msgOrigin   = 'O'
	msgRelation = 'R'
	msgType     = 'Y'
	msgInsert   = 'I'
	msgUpdate   = 'U'
	msgDelete   = 'D'
	msgTruncate = 'T'
	msgLogical  = 'M' // logical decoding message: not asked for
	// Stream Abort. Some servers send it although streaming is off; without
	// streaming there is nothing that it could abort.
	msgStreamAbort = 'A'
)

const (
	truncateCascade         = 1
	truncateRestartIdentity = 2
	columnIsKey             = 1
)

// cursor reads a message's fields in order. The first failure sticks, and
// reading goes on with zero values. Nothing it returns but strings outlives
// the message.
type cursor struct {
	rest []byte
	err  error
}

func (c *cursor) fail(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: message ends inside its %s", ErrProtocol, what)
	}
	c.rest = nil
}

func (c *cursor) take(n int, what string) []byte {
	if len(c.rest) < n {
		c.fail(what)
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) byte(what string) byte {
	if b := c.take(1, what); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint16(what string) uint16 {
	if b := c.take(2, what); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) uint32(what string) uint32 {
	if b := c.take(4, what); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) lsn(what string) change.LSN {
	if b := c.take(8, what); b != nil {
		return change.LSN(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (c *cursor) time(what string) time.Time {
	if b := c.take(8, what); b != nil {
		return postgresTime(int64(binary.BigEndian.Uint64(b)))
	}
	return time.Time{}
}

// postgresTime turns microseconds since 2000 into a time, without the
// overflow of a time.Duration.
func postgresTime(micros int64) time.Time {
	const million = 1_000_000
	return time.Unix(postgresEpoch.Unix()+micros/million, micros%million*1000).UTC()
}

func (c *cursor) string(what string) string {
	end := bytes.IndexByte(c.rest, 0)
	if end < 0 {
		c.fail(what)
		return ""
	}
	s := string(c.rest[:end])
	c.rest = c.rest[end+1:]
	return s
}

func (c *cursor) tuple(what string) change.Tuple {
	if c.err != nil {
		return nil
	}
	size, err := change.TupleSize(c.rest)
	if err != nil {
		c.err = fmt.Errorf("%w: %s: %w", ErrProtocol, what, err)
		return nil
	}
	return change.Tuple(c.take(size, what))
}

// end returns the first failure, or complains of bytes that are left.
func (c *cursor) end() error {
	if c.err == nil && len(c.rest) > 0 {
		c.err = fmt.Errorf("%w: %d bytes too many", ErrProtocol, len(c.rest))
	}
	return c.err
}

func parseBegin(body []byte) (change.Begin, error) {
	c := cursor{rest: body}
	b := change.Begin{Final: c.lsn("final LSN"), Time: c.time("commit time"), XID: c.uint32("xid")}
	return b, c.end()
}

// parseCommit returns the position: the end of the commit record.
func parseCommit(body []byte) (change.LSN, error) {
	c := cursor{rest: body}
	c.byte("flags")
	c.lsn("commit LSN")
	end := c.lsn("end LSN")
	c.time("commit time")
	return end, c.end()
}

func parseOrigin(body []byte) (string, error) {
	c := cursor{rest: body}
	c.lsn("origin LSN")
	name := c.string("origin name")
	return name, c.end()
}

// catalog remembers how the server described its tables and types. A table is
// described anew before its first change after anything about it changed.
type catalog struct {
	tables map[uint32]*change.Table
	types  map[uint32]string

	local  func(schema, table, column string) bool // Config.Local
	hidden map[*change.Table][]bool                // which of the server's columns are left out; absent: none
	values []change.Value                          // scratch
}

func newCatalog(local func(schema, table, column string) bool) *catalog {
	return &catalog{tables: map[uint32]*change.Table{}, types: map[uint32]string{}, local: local, hidden: map[*change.Table][]bool{}}
}

// parseRelation reads a Relation message.
func (k *catalog) parseRelation(body []byte) (uint32, *change.Table, error) {
	c := cursor{rest: body}
	id := c.uint32("relation id")
	schema := c.string("schema")
	if schema == "" {
		schema = "pg_catalog"
	}
	t := &change.Table{Schema: schema, Name: c.string("table name"), Identity: c.byte("replica identity")}
	count := int(c.uint16("column count"))
	for n := 0; n < count && c.err == nil; n++ {
		t.Columns = append(t.Columns, change.Column{
			Key:     c.byte("column flags")&columnIsKey != 0,
			Name:    c.string("column name"),
			TypeOID: c.uint32("column type"),
			TypeMod: int32(c.uint32("type modifier")),
		})
	}
	if err := c.end(); err != nil {
		return 0, nil, err
	}
	switch t.Identity {
	case change.IdentityDefault, change.IdentityNothing, change.IdentityFull, change.IdentityIndex:
	default:
		return 0, nil, fmt.Errorf("%w: table %s has the unknown replica identity %q", ErrProtocol, t, t.Identity)
	}
	for i := range t.Columns {
		t.Columns[i].Type = k.types[t.Columns[i].TypeOID]
	}
	return id, t, nil
}

// keep takes over a description, of which some of the server's columns are left
// out. One that is equal to the known one keeps its pointer.
func (k *catalog) keep(id uint32, t *change.Table, hidden []bool) {
	known := k.tables[id]
	delete(k.hidden, known)
	if known == nil || !sameTable(known, t) {
		known = t
		k.tables[id] = t
	}
	if hidden != nil {
		k.hidden[known] = hidden
	}
}

func sameTable(a, b *change.Table) bool {
	return a.Schema == b.Schema && a.Name == b.Name && a.Identity == b.Identity && slices.Equal(a.Columns, b.Columns) &&
		a.Partition.Equal(b.Partition)
}

// name takes a Type message.
func (k *catalog) name(body []byte) error {
	c := cursor{rest: body}
	id := c.uint32("type id")
	schema, name := c.string("type schema"), c.string("type name")
	if err := c.end(); err != nil {
		return err
	}
	if schema != "" {
		name = schema + "." + name
	}
	k.types[id] = name
	return nil
}

func (k *catalog) table(c *cursor) *change.Table {
	id := c.uint32("relation id")
	t := k.tables[id]
	if t == nil {
		if c.err == nil {
			c.err = fmt.Errorf("%w: relation %d was never described", ErrProtocol, id)
		}
		return nil
	}
	return t
}

// change reads an Insert, Update, Delete or Truncate message. The tuples
// share memory with the body.
func (k *catalog) change(kind byte, body []byte) (change.Change, error) {
	c := cursor{rest: body}
	x := change.Change{Op: change.Op(kind)}
	if kind == msgTruncate {
		k.truncation(&c, &x)
		return x, c.end()
	}
	x.Table = k.table(&c)
	image := c.byte("image kind")
	if kind != msgInsert && (image == change.OldKey || image == change.OldFull) {
		x.OldKind, x.Old = image, c.tuple("old image")
		if kind == msgUpdate {
			image = c.byte("image kind")
		}
	} else if kind == msgDelete && c.err == nil {
		c.err = fmt.Errorf("%w: a delete with image %q", ErrProtocol, image)
	}
	if kind != msgDelete {
		if image != 'N' && c.err == nil {
			c.err = fmt.Errorf("%w: new image marked %q", ErrProtocol, image)
		}
		x.New = c.tuple("new image")
	}
	if err := c.end(); err != nil {
		return x, err
	}
	columns := len(x.Table.Columns)
	if hidden := k.hidden[x.Table]; hidden != nil {
		columns = len(hidden)
	}
	for _, tuple := range []change.Tuple{x.Old, x.New} {
		if tuple != nil && int(binary.BigEndian.Uint16(tuple)) != columns {
			return x, fmt.Errorf("%w: an image of %d columns for table %s, which has %d",
				ErrProtocol, binary.BigEndian.Uint16(tuple), x.Table, columns)
		}
	}
	return x, nil
}

func (k *catalog) truncation(c *cursor, x *change.Change) {
	count := int(c.uint32("relation count"))
	options := c.byte("options")
	x.Cascade = options&truncateCascade != 0
	x.RestartIdentity = options&truncateRestartIdentity != 0
	for n := 0; n < count && c.err == nil; n++ {
		if t := k.table(c); t != nil {
			x.Truncated = append(x.Truncated, t)
		}
	}
}
