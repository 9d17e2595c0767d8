package decoder

import (
	"context"
	"encoding/binary"
	"time"
)

// partitionsEvery bounds how long a partition goes on under its root's old name.
// The server describes a table again when it is attached or detached, but not when
// its root is renamed. A variable for tests.
var partitionsEvery = 5 * time.Second

// describe takes a Relation message, and asks what the table is a partition
// of. A table that is gone by now stays what it was.
func (f *feeder) describe(ctx context.Context, body []byte) error {
	id, table, err := f.catalog.parseRelation(body)
	if err != nil {
		return err
	}
	hidden, err := f.catalog.hide(table)
	if err != nil {
		return err
	}
	if f.partitions != nil {
		found, err := f.partitions.Of(ctx, []uint32{id})
		if err != nil {
			return err
		}
		now, exists := found[id]
		if known := f.catalog.tables[id]; !exists && known != nil {
			now = known.Partition
		}
		table.Partition = now
	}
	f.catalog.keep(id, table, hidden)
	return nil
}

// refreshPartitions asks again for the roots of all partitions that are known: the
// one that is written next may have rested for long. One that is detached or gone
// by now was still attached at this place of the log, or the server would have
// described it.
func (f *feeder) refreshPartitions(ctx context.Context) error {
	if f.partitions == nil || time.Since(f.asked) < partitionsEvery {
		return nil
	}
	f.asked = time.Now()
	var ids []uint32
	for id, known := range f.catalog.tables {
		if known.Partition != nil {
			ids = append(ids, id)
		}
	}
	if ids == nil {
		return nil
	}
	roots, err := f.partitions.Roots(ctx, ids)
	if err != nil {
		return err
	}
	for id, root := range roots {
		if known := f.catalog.tables[id]; known.Partition.Root != root {
			table, place := *known, *known.Partition
			place.Root = root
			table.Partition = &place
			f.catalog.keep(id, &table, f.catalog.hidden[known])
		}
	}
	return nil
}

// wholly notes of a TRUNCATE which partitioned tables it empties: the server
// lists their partitions only. body is the message's.
func (f *feeder) wholly(ctx context.Context, body []byte) (err error) {
	var ids []uint32
	partitioned := false
	for i, table := range f.change.Truncated {
		ids = append(ids, binary.BigEndian.Uint32(body[5+4*i:])) // behind the count and the options
		partitioned = partitioned || table.Partition != nil
	}
	if partitioned && !f.dropped {
		f.change.Wholly, err = f.partitions.Wholly(ctx, ids)
	}
	return err
}
