package change

import (
	"slices"
	"time"
)

// Op is what a change does to a table.
type Op byte

// The letters are pgoutput's.
const (
	Insert   Op = 'I'
	Update   Op = 'U'
	Delete   Op = 'D'
	Truncate Op = 'T'
)

// String gives the SQL word.
func (op Op) String() string {
	switch op {
	case Insert:
		return "INSERT"
	case Update:
		return "UPDATE"
	case Delete:
		return "DELETE"
	case Truncate:
		return "TRUNCATE"
	}
	return "unknown operation"
}

// The replica identities, as pg_class.relreplident and pgoutput write them.
const (
	IdentityDefault = 'd'
	IdentityNothing = 'n'
	IdentityFull    = 'f'
	IdentityIndex   = 'i'
)

// Column is a column as its origin describes it. Type OIDs mean nothing at
// another server; they and the type's name serve messages only.
type Column struct {
	Name    string
	Key     bool // part of the replica identity
	TypeOID uint32
	TypeMod int32
	Type    string // the type's name where the origin sent one (user-defined types), else ""
}

// Table is a table as its origin described it when the change was made. It is
// immutable once built and shared by pointer; equal descriptions inside one
// batch are one pointer.
type Table struct {
	Schema    string
	Name      string
	Identity  byte
	Columns   []Column
	Partition *Partition // nil: it is none, or was none any more when it was described
}

// String gives schema.name, unquoted, for messages.
func (t *Table) String() string { return t.Schema + "." + t.Name }

// Name is the name of a table.
type Name struct{ Schema, Name string }

// String gives schema.name, unquoted, for messages.
func (n Name) String() string { return n.Schema + "." + n.Name }

// Partition says what a table is a partition of. It is immutable.
type Partition struct {
	Root Name // the partitioned table at the top
	// Place stands for the rows that the table takes of its root's: two tables
	// with one place, on whatever servers, take the same. Zero says nothing:
	// which rows they are depends on the server.
	Place Place
	// Key are the columns that identify a row under the root whatever partition
	// it is in: the primary key without the partition keys' columns. Nil: none
	// is left, or there is no primary key.
	Key []string
}

// Place is a digest of partition keys and bounds.
type Place [16]byte

// Equal compares what two descriptions say; either may be nil.
func (p *Partition) Equal(q *Partition) bool {
	if p == nil || q == nil {
		return p == q
	}
	return p.Root == q.Root && p.Place == q.Place && slices.Equal(p.Key, q.Key)
}

// SamePlace reports whether both are under roots of one name and take the same
// rows of them.
func (p *Partition) SamePlace(q *Partition) bool {
	return p != nil && q != nil && p.Root == q.Root && p.Place == q.Place && p.Place != Place{}
}

// Kinds of the old image that precedes an update or delete.
const (
	OldNone = 0   // none sent: the key did not change
	OldKey  = 'K' // only the replica identity's columns; the others are Null in it
	OldFull = 'O' // the whole row (REPLICA IDENTITY FULL)
)

// Change is one row's insert, update or delete, or one TRUNCATE.
type Change struct {
	Op    Op
	Table *Table // nil for Truncate

	OldKind byte
	Old     Tuple
	New     Tuple

	Truncated []*Table // Truncate only: in the origin's order
	// Wholly are the partitioned tables of the origin that a Truncate leaves
	// without a row: all of their partitions are in Truncated.
	Wholly          []Name
	Cascade         bool
	RestartIdentity bool // the origin's sequences alone: appliers leave theirs

	// Ordinal is the change's place in its source transaction, from 0. With
	// origin and position it is a change's identity.
	Ordinal uint64
}

// Begin opens a source transaction.
type Begin struct {
	XID   uint32
	Final LSN       // where the commit record begins; below the commit's end LSN
	Time  time.Time // commit time at the origin, microseconds
}

// Part is a source transaction, or one piece of a large one.
type Part struct {
	Begin
	// Commit is the transaction's position: the end of its commit record.
	// Known in the last piece only; 0 before.
	Commit LSN
	// Vector is what the transaction had seen of other origins. It is the
	// same in every piece.
	Vector Vector
	// Attempt tells one publication of a large transaction from another:
	// pieces of a newer attempt replace those of an older one.
	Attempt ID
	Index   uint32 // the piece's number, from 0
	First   bool
	Last    bool
	Changes []Change
}

// Whole reports whether the part is a complete transaction.
func (p *Part) Whole() bool { return p.First && p.Last }

// Batch is what one message carries, received and checked.
type Batch struct {
	Origin     string
	History    History
	Generation ID
	Rules      uint64 // version of the rules it was written under
	Sequence   uint64 // place in the stream, a hint
	// LowWater is the sequence of the first message that a reader which has
	// applied everything complete up to this batch still needs.
	LowWater uint64
	// The batch carries the transactions in (Previous, Last]. A batch of
	// unfinished pieces completes nothing: Previous == Last.
	Previous LSN
	Last     LSN
	Parts    []Part
}
