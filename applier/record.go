package applier

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
)

// recordSQL writes down a change that was not applied as its origin made it.
// The identity is unique: judged again after a retry it is recorded once. What
// halted at first and was decided later says how.
const recordSQL = `INSERT INTO pgfed.conflict_history (origin, history, position, ordinal, schema_name, table_name,
	operation, kind, resolution, owner, key, key_hash, remote_old, remote_new, local_row, commit_time)
	VALUES ($1, $2::uuid, $3::pg_lsn, $4::bigint, $5, $6, $7, $8, $9, $10, $11::jsonb, $12, $13::jsonb, $14::jsonb,
	$15::jsonb, $16::timestamptz)
	ON CONFLICT (origin, history, position, ordinal) DO UPDATE SET kind = excluded.kind, resolution = excluded.resolution,
		owner = excluded.owner, local_row = excluded.local_row, recorded_at = excluded.recorded_at
		WHERE conflict_history.resolution = 'halt' AND excluded.resolution <> 'halt'`

// record is a row of pgfed.conflict_history. Row images are JSON objects of
// column names and texts, as the output functions write them; null is NULL, a
// column that was not sent is missing.
type record struct {
	ordinal         uint64
	table           *change.Table
	operation       change.Op
	kind            conflict.Kind
	resolution      conflict.Action
	owner           string
	key             []byte
	keyHash         string
	old, new, local []byte
	localRows       int
}

// newRecord describes a change that was judged; locals are the rows of ours
// that stood in its way.
func newRecord(x *transaction, it *item, action conflict.Action, locals []localRow) (*record, error) {
	return describeChange(it.Change, it.Change.Table, it.Verdict, it.Verdict.Kind, action, locals)
}

func describeChange(c *change.Change, table *change.Table, v conflict.Verdict, kind conflict.Kind, action conflict.Action, locals []localRow) (*record, error) {
	r := &record{
		ordinal: c.Ordinal, table: table, operation: c.Op,
		kind: kind, resolution: action, owner: v.Owner,
	}
	if c.Op == change.Truncate {
		r.keyHash = conflict.KeyHash(table.Schema, table.Name, nil)
		return r, nil
	}
	names, values, err := conflict.Key(c)
	if err != nil {
		return nil, malformed(table, err)
	}
	r.key = appendRow(nil, names, values)
	r.keyHash = conflict.KeyHash(table.Schema, table.Name, values)
	var img image
	if err := img.read(c); err != nil {
		return nil, err
	}
	if c.OldKind != change.OldNone {
		r.old = bounded(appendTuple(nil, c, img.old, c.OldKind == change.OldKey))
	}
	if c.Op != change.Delete {
		r.new = bounded(appendTuple(nil, c, img.new, false))
	}
	r.key = bounded(r.key)
	r.addLocals(locals)
	r.local = bounded(r.local)
	return r, nil
}

// recordedBytes bounds an image on record. jsonb has a limit of its own, and a
// row beyond it must not stop its origin.
const recordedBytes = 64 << 20

// bounded replaces an image that is too large by a word about it.
func bounded(image []byte) []byte {
	if len(image) <= recordedBytes {
		return image
	}
	return fmt.Appendf(nil, `{"pgfed": "a row of %d bytes, not kept"}`, len(image))
}

// recordedRows bounds how many local rows a record shows.
const recordedRows = 10

// addLocals shows one row as an object, several as a list.
func (r *record) addLocals(locals []localRow) {
	for i := range locals {
		if r.localRows == recordedRows {
			return
		}
		switch r.localRows {
		case 0:
			r.local = locals[i].json
		case 1:
			r.local = append(append(append([]byte("["), r.local...), ", "...), append(locals[i].json, ']')...)
		default:
			r.local = append(append(r.local[:len(r.local)-1], ", "...), append(locals[i].json, ']')...)
		}
		r.localRows++
	}
}

// values are the parameters of recordSQL.
func (r *record) values(origin string, x *transaction) [][]byte {
	return [][]byte{
		[]byte(origin), []byte(x.to.Position.History.String()), []byte(x.recordPosition().String()),
		strconv.AppendUint(nil, r.ordinal, 10), []byte(r.table.Schema), []byte(r.table.Name), []byte(r.operation.String()),
		[]byte(r.kind), []byte(r.resolution), orNull(r.owner), r.key, []byte(r.keyHash), r.old, r.new, r.local, timestamp(x.begin),
	}
}

func orNull(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// appendTuple writes a tuple as a JSON object; of an old key the key alone.
func appendTuple(b []byte, c *change.Change, values []change.Value, keyOnly bool) []byte {
	b = append(b, '{')
	first := true
	for i, v := range values {
		column := &c.Table.Columns[i]
		if v.Kind == change.Unchanged || keyOnly && !column.Key {
			continue
		}
		if !first {
			b = append(b, ", "...)
		}
		first = false
		b = appendField(b, column.Name, v.Bytes, v.Kind == change.Null)
	}
	return append(b, '}')
}

func appendRow(b []byte, names []string, values []change.Value) []byte {
	b = append(b, '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendField(b, name, values[i].Bytes, values[i].Kind != change.Text)
	}
	return append(b, '}')
}

func appendField(b []byte, name string, value []byte, null bool) []byte {
	b = appendJSON(b, []byte(name))
	b = append(b, ": "...)
	if null {
		return append(b, "null"...)
	}
	return appendJSON(b, value)
}

// appendJSON writes a JSON string. Postgres sends valid UTF-8 without zero
// bytes; anything else becomes the replacement character.
func appendJSON(b, s []byte) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for len(s) > 0 {
		r, size := utf8.DecodeRune(s)
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == 0 || r == utf8.RuneError && size == 1:
			b = append(b, "\uFFFD"...)
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', digits[r>>4], digits[r&15])
		default:
			b = append(b, s[:size]...)
		}
		s = s[size:]
	}
	return append(b, '"')
}
