package applier

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgfed/pgfed/internal/change"
)

// ErrStalled says that a large transaction's next piece did not come within Stall. The
// open target transaction was rolled back; reading goes on from the checkpoint.
var ErrStalled = errors.New("the next piece of a large transaction did not come in time; rolled back")

// ErrReopen says that what is left of the source cannot be applied by itself; open
// another one at the checkpoint and call Run again, on this Applier or on one
// that shares its Memory.
var ErrReopen = errors.New("read again from the checkpoint")

// The codes of a Halt, for alerts.
const (
	CodeConflict           = "conflict"            // a clash that no rule decides
	CodeMissingTable       = "missing_table"       // the table does not exist here
	CodeMissingColumn      = "missing_column"      // the table lacks a column here
	CodeColumnType         = "column_type"         // a column's type here would round or cut values silently
	CodeTableKind          = "table_kind"          // no table here (a view, ...)
	CodeNoKey              = "no_key"              // nothing here identifies the rows the origin names
	CodeNotIncluded        = "not_included"        // this node's federation file does not include the table
	CodeOwnerUnknown       = "owner_unknown"       // the change does not say who owns its row
	CodeTruncatePartition  = "truncate_partition"  // the TRUNCATE of a partition whose rows are not told apart here
	CodeTruncateReferenced = "truncate_referenced" // a local foreign key forbids the TRUNCATE
	CodePrivilege          = "privilege"           // the role may not do it
	CodeApplyError         = "apply_error"         // the database refuses the change for another lasting reason
	CodeJoins              = "joins"               // a key of a parked transaction is touched
	CodeBookkeeping        = "bookkeeping"         // pgfed's own tables or functions refuse
	CodeMalformed          = "malformed_change"    // the batch contradicts itself
	CodeGap                = "gap"                 // the batch begins behind what was applied
	CodeForeignHistory     = "foreign_history"     // the batch belongs to another life of the origin's log
)

// Halt stops one origin for a lasting reason. Everything of the transaction
// was rolled back. Trying again is harmless and succeeds once the reason is
// gone.
//
//nolint:errname // it is a halt first, and an error so that Run can return it
type Halt struct {
	Origin   string
	Position change.Position // of the transaction; LSN is the checkpoint's while the transaction's own is not known yet
	Table    string          // schema.name, "" if no table is concerned
	Code     string          // one of the codes
	Reason   string          // for people; no values
	Remedy   string          // the command or action that resolves it
	SQLState string          // of the database's error, or ""
	Err      error
}

// Error describes the halt without row values.
func (h *Halt) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "apply %s/%s: ", h.Origin, h.Position)
	if h.Table != "" {
		b.WriteString(h.Table + ": ")
	}
	b.WriteString(h.Reason)
	if h.SQLState != "" {
		b.WriteString(" (SQLSTATE " + h.SQLState + ")")
	}
	return b.String()
}

// Unwrap gives the cause.
func (h *Halt) Unwrap() error { return h.Err }

// lasting is a halt in the making: the position is filled in where it is known.
func lasting(code, table, remedy, format string, args ...any) *Halt {
	return &Halt{Code: code, Table: table, Reason: fmt.Sprintf(format, args...), Remedy: remedy}
}

// Lasting reports whether trying again cannot help until somebody changes
// something. It is the one place that decides between retrying on one side
// and halting or parking on the other.
//
// The policy, by SQLSTATE:
//   - no SQLSTATE: the connection broke, or a context ended: transient;
//   - 08 connection, 40 rollback (serialization, deadlock), 53 resources,
//     57 operator intervention (canceled, shutdown, crash), 58 system error
//     (I/O), 55P03 lock not available, 55006 object in use, 25006 read-only
//     (the server is a standby just now), 25P03/25P04/57P05 timeouts of
//     sessions, 72000 snapshot too old: transient;
//   - everything else (data, constraints, syntax, privileges, missing
//     objects, internal errors): lasting.
//
// A Halt is lasting. A fence, a busy origin, a stall and a reopen are not.
func Lasting(err error) bool {
	var halt *Halt
	if errors.As(err, &halt) {
		return true
	}
	state := sqlState(err)
	if len(state) != 5 {
		return false
	}
	switch state[:2] {
	case "08", "40", "53", "57", "58", "72":
		return false
	}
	switch state {
	case "55P03", "55006", "25006", "25P03", "25P04":
		return false
	}
	return true
}

// sqlState is the SQLSTATE of the database's error in err's chain, or "".
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// constraintInTheWay: unique_violation and exclusion_violation mean that some
// other row stands where the change wants to go.
func constraintInTheWay(err error) bool {
	state := sqlState(err)
	return state == "23505" || state == "23P01"
}

// parameterLine is how the server says, in whatever language, that a parameter
// could not be read: one line with its number, and the value where it is told
// to log values. Functions of a domain's check come on lines before it; what
// other functions say quotes names, or has parentheses, before any number.
var parameterLine = regexp.MustCompile(`(?:^|\n)[^"(\n$]*\$(\d+)(?:[^"(\n]*| = [^\n]*)$`)

const remedyUnreadable = "an older Postgres, or a type that was made otherwise, lacks what the origin has: upgrade it, or give the column another type; applying resumes by itself"

// unreadable is the number of the parameter whose text its type did not take,
// from 1; 0 where that is not what happened. What such an error says may hold
// the value, and its SQLSTATE may be that of a mistaken statement.
func unreadable(err error) int {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return 0
	}
	found := parameterLine.FindStringSubmatch(pg.Where)
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(found[1])
	return n
}

// nameColumn says which column's value could not be read.
func (st *statement) nameColumn(err error) error {
	n := unreadable(err)
	if n == 0 || n > len(st.params) || !Lasting(err) {
		return err
	}
	h := describe(err, st.plan.source.String())
	source := st.params[n-1].source
	h.Reason = fmt.Sprintf("the origin's value of column %s is none of type %s here%s", st.plan.source.Columns[source].Name,
		st.plan.target.columns[st.plan.places[source]].typeName, h.Reason[len(reasonUnreadable):])
	return h
}

const reasonUnreadable = "a value of the origin is none of its column's type here"

// describeUnreadable says what is wrong with a value and not which it is.
func (h *Halt) describeUnreadable(pg *pgconn.PgError) {
	h.Reason, h.Remedy = reasonUnreadable, remedyUnreadable
	switch pg.Code {
	case "42P01", "3F000", "42883", "42704": // a table, a schema, a function; a type, role or operator
		h.Reason += ": it names an object that does not exist here"
		h.Remedy = "create the object that the value names, or change the value at its origin; applying resumes by itself"
	case "22021", "22P05":
		h.Reason += ": it has a character that this database's encoding lacks"
		h.Remedy = "use one encoding at every node, best UTF8, or change the value at its origin"
	case "23502", "23514":
		h.Reason += ": its domain forbids it"
		h.Remedy = "make the domain allow it; applying resumes by itself"
	}
	if pg.ConstraintName != "" {
		h.Reason += " [constraint " + pg.ConstraintName + "]"
	}
}

// describe puts a lasting database error into words without its DETAIL, which
// may hold row values, and says what to do.
func describe(err error, table string) *Halt {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return lasting(CodeApplyError, table, "", "%s", err)
	}
	h := &Halt{Code: CodeApplyError, Table: table, SQLState: pg.Code, Err: err}
	switch class := pg.Code[:min(2, len(pg.Code))]; {
	case unreadable(err) > 0:
		h.describeUnreadable(pg)
		return h
	// RAISE may give any SQLSTATE; what a function says has a context. Nobody
	// knows what it says, so it is not repeated.
	case class == "P0" || pg.Where != "":
		h.Reason = "the database refuses the change: a trigger or function raised an exception, see the database's log"
		h.Remedy = "make what the trigger or function does possible for the replicator's role, with an empty search_path (ALTER FUNCTION ... SET search_path = ...); applying resumes by itself"
		if pg.Code == "42501" {
			h.Code = CodePrivilege
		}
	case pg.Code == "42501":
		h.Code, h.Reason = CodePrivilege, "the role may not write here: "+pg.Message
		h.Remedy = "run replctl init to grant what tables need; grant what their indexes, defaults and checks use besides, such as EXECUTE on functions, to the replicator's role"
	case pg.Code == "42P01" || pg.Code == "3F000":
		h.Code, h.Reason = CodeMissingTable, "the table does not exist here"
		h.Remedy = "create the table; applying resumes by itself"
	case pg.Code == "42703":
		h.Code, h.Reason = CodeMissingColumn, "a column does not exist here"
		h.Remedy = "add the column; applying resumes by itself"
	default:
		// Messages of data errors quote the value ("invalid input syntax ..."):
		// class 22 is described by its SQLSTATE alone.
		h.Reason = "the database refuses the change"
		if class != "22" {
			h.Reason += ": " + pg.Message
		}
		h.Remedy = "make the local table take the change; applying resumes by itself"
	}
	if pg.ConstraintName != "" {
		h.Reason += " [constraint " + pg.ConstraintName + "]"
	}
	return h
}
