package conflict

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sort"

	"github.com/pgfed/pgfed/internal/change"
)

// KeyHash names a row without saying its key: logs, metrics, listings and the
// record of a conflict carry it. The key is the one Key returns. Equal keys
// give equal hashes at every node and in every version of pgfed; a key of few
// possible values can be guessed from its hash.
//
// It is the first 16 bytes, in hexadecimal, of SHA-256 over: the 8 bytes
// "pgfedkh1"; schema and table, each as a 32-bit length and its bytes; the
// number of values in 32 bits; each value as its kind (one byte), and for
// text and binary a 32-bit length and the bytes. Numbers are big-endian.
func KeyHash(schema, table string, key []change.Value) string {
	h := sha256.New()
	var scratch [5]byte
	number := func(n int) {
		binary.BigEndian.PutUint32(scratch[1:], uint32(n))
		h.Write(scratch[1:])
	}
	h.Write([]byte("pgfedkh1"))
	for _, name := range [...]string{schema, table} {
		number(len(name))
		h.Write([]byte(name))
	}
	number(len(key))
	for _, v := range key {
		scratch[0] = v.Kind
		h.Write(scratch[:1])
		if v.Kind == change.Text || v.Kind == change.Binary {
			number(len(v.Bytes))
			h.Write(v.Bytes)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Key returns the names and values that identify the row a change is about,
// ordered by column name: the columns of the replica identity, or all columns
// where there is none. Of an update it is the key before the change. Columns
// of a TRUNCATE: none. Values share memory with the change.
func Key(c *change.Change) (columns []string, values []change.Value, err error) {
	if c.Op == change.Truncate {
		return nil, nil, nil
	}
	var names []string
	for _, column := range c.Table.Columns {
		if column.Key {
			names = append(names, column.Name)
		}
	}
	if names == nil {
		for _, column := range c.Table.Columns {
			names = append(names, column.Name)
		}
	}
	sort.Strings(names)
	image := c.Old
	if c.Op == change.Insert || c.OldKind == change.OldNone {
		image = c.New
	}
	values, err = pick(c.Table, image, names)
	return names, values, err
}

// Complete reports whether the new row of an insert or update is known in
// every column: from the new tuple or, where an out-of-line value did not
// change and was not sent, from a full old one.
func Complete(c *change.Change) (bool, error) {
	if c.Op != change.Insert && c.Op != change.Update {
		return false, nil
	}
	after, err := c.New.Values(nil)
	if err != nil {
		return false, fmt.Errorf("read the new row of %s: %w", c.Table, err)
	}
	var before []change.Value
	if c.OldKind == change.OldFull {
		if before, err = c.Old.Values(nil); err != nil {
			return false, fmt.Errorf("read the old row of %s: %w", c.Table, err)
		}
	}
	for i, v := range after {
		if v.Kind == change.Unchanged && (i >= len(before) || before[i].Kind == change.Unchanged) {
			return false, nil
		}
	}
	return true, nil
}

// pick returns the values of the named columns, in the names' order.
func pick(t *change.Table, image change.Tuple, names []string) ([]change.Value, error) {
	var buffer [32]change.Value
	all, err := image.Values(buffer[:0])
	if err != nil {
		return nil, fmt.Errorf("read the key of a row of %s: %w", t, err)
	}
	values := make([]change.Value, 0, len(names))
	for _, name := range names {
		at := columnIndex(t, name)
		if at < 0 || at >= len(all) {
			return nil, fmt.Errorf("read the key of a row of %s: %w: no column %s", t, change.ErrTuple, name)
		}
		values = append(values, all[at])
	}
	return values, nil
}
