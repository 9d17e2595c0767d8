package applier

import (
	"github.com/pgfed/pgfed/checkpoint"
	"github.com/pgfed/pgfed/internal/change"
)

// control are the statements around the rows.
type control struct {
	begin, commit             *statement
	pieceSave, pieceRelease   *statement // around one piece of a large transaction
	pieceRollback             *statement
	changeSave, changeRelease *statement // around one change on the exact path
	changeRollback            *statement
	mark, advance, record     *statement
	supersede, correct        *statement // the records of a large transaction get its position
	park, parkChange, parkKey *statement
}

func newControl() control {
	plain := func(sql string, parameters int) *statement {
		st := &statement{sql: sql}
		for range parameters {
			st.oids = append(st.oids, textOID)
		}
		return st
	}
	return control{
		begin:          plain("BEGIN", 0),
		commit:         plain("COMMIT", 0),
		pieceSave:      plain("SAVEPOINT pgfed_piece", 0),
		pieceRelease:   plain("RELEASE SAVEPOINT pgfed_piece", 0),
		pieceRollback:  plain("ROLLBACK TO SAVEPOINT pgfed_piece", 0),
		changeSave:     plain("SAVEPOINT pgfed_change", 0),
		changeRelease:  plain("RELEASE SAVEPOINT pgfed_change", 0),
		changeRollback: plain("ROLLBACK TO SAVEPOINT pgfed_change", 0),
		mark:           plain("SELECT pg_catalog.pg_replication_origin_xact_setup($1::pg_lsn, $2::timestamptz)", 2),
		advance:        plain(checkpoint.AdvanceSQL, 8),
		record:         plain(recordSQL, 16),
		supersede: plain(`DELETE FROM pgfed.conflict_history f USING pgfed.conflict_history p
			WHERE f.origin = $1 AND f.history = $2::uuid AND f.position = $4::pg_lsn
				AND p.origin = $1 AND p.history = $2::uuid AND p.position = $3::pg_lsn AND p.ordinal = f.ordinal`, 4),
		correct: plain(`UPDATE pgfed.conflict_history SET position = $4::pg_lsn
			WHERE origin = $1 AND history = $2::uuid AND position = $3::pg_lsn`, 4),
		park:       plain(parkSQL, 7),
		parkChange: plain(parkChangeSQL, 11),
		parkKey:    plain(parkKeySQL, 6),
	}
}

// markValues are the parameters of mark: the position and the commit time at
// the origin.
func (a *Applier) markValues(x *transaction) [][]byte {
	return [][]byte{[]byte(x.to.Position.LSN.String()), timestamp(x.begin)}
}

// timestamp writes a commit time for timestamptz, nil when unknown.
func timestamp(b change.Begin) []byte {
	if b.Time.IsZero() {
		return nil
	}
	return b.Time.UTC().AppendFormat(nil, "2006-01-02T15:04:05.999999Z")
}

func (a *Applier) advanceValues(x *transaction) ([][]byte, error) {
	arguments, err := checkpoint.AdvanceArgs(a.Origin, x.from, x.to)
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(arguments))
	for i, argument := range arguments {
		if s, ok := argument.(string); ok {
			values[i] = []byte(s)
		}
	}
	return values, nil
}
