package conflict

import "fmt"

// Kind names what happened to a change, in Postgres's terms where it has one.
type Kind string

// The kinds, as they stand on record.
const (
	InsertExists            Kind = "insert_exists"             // a row with the new row's key is there
	UpdateExists            Kind = "update_exists"             // a row with the updated row's new key is there
	UpdateMissing           Kind = "update_missing"            // the row to update is not there
	UpdateOriginDiffers     Kind = "update_origin_differs"     // the row to update is not as the origin saw it: somebody else wrote it
	DeleteMissing           Kind = "delete_missing"            // the row to delete is not there
	DeleteOriginDiffers     Kind = "delete_origin_differs"     // the row to delete is not as the origin saw it: somebody else wrote it
	MultipleUniqueConflicts Kind = "multiple_unique_conflicts" // another unique or exclusion constraint is in the way
	NotOwner                Kind = "not_owner"                 // the change is not by the row's owner
	TruncateRefused         Kind = "truncate_refused"          // a TRUNCATE counts for its origin's rows alone
)

// Action is what becomes of a change. Its text is the resolution on record.
type Action string

// The actions, as they stand on record.
const (
	Apply         Action = "apply"          // as its origin made it
	Overwrite     Action = "overwrite"      // do it to the row that is there, whatever is in it: an insert writes its full row over it
	Displace      Action = "displace"       // delete the rows in the way, then apply
	InsertInstead Action = "insert_instead" // insert the full new row where an update found none
	Same          Action = "same"           // an equal row is there: leave it alone
	Skip          Action = "skip"           // do nothing, on record: the row is gone already, or another owner's keeps the value
	Refuse        Action = "refuse"         // do nothing, on record: the change does not count
	OwnRowsOnly   Action = "own_rows_only"  // delete the rows in Verdict.Own
	Halt          Action = "halt"           // roll back, stop this origin, tell people
)

// Clash is what applying an accepted change ran into at this database. The
// zero Clash is none.
type Clash struct {
	// Kind is one that a database can show: not NotOwner, not TruncateRefused.
	// The two origin_differs need a full old row to be seen.
	Kind Kind
	// Same (InsertExists): the row that is there equals the new one in every
	// column.
	Same bool
	// Complete (UpdateMissing): every column's new value is known, from the
	// new row or, unchanged, from a full old one. Complete reports it.
	Complete bool
	// Holders are the owners of the rows in the way, as Rule.OwnerOf reads
	// them (InsertExists, UpdateExists, MultipleUniqueConflicts). Needed for
	// rules by column only.
	Holders []string
	// Placed is the owner of the change's new row, as Rule.OwnerOf reads it,
	// "" where that is not known. It differs from the origin where the change
	// gives the row away. For rules by column only.
	Placed string
}

// Resolution is what to do. Record asks for a row in pgfed.conflict_history
// with this Kind and the Action as its resolution; a Halt's record must
// survive the rollback.
type Resolution struct {
	Action Action
	Kind   Kind
	Record bool
}

// Resolve says what to do about a clash. It is total: a kind that no database
// can show, or that is not known, is an error.
func (r Rule) Resolve(v Verdict, clash Clash) (Resolution, error) {
	if !clash.Kind.shown() {
		return Resolution{}, fmt.Errorf("resolve a clash of kind %q: not a kind that applying a change can show", clash.Kind)
	}
	switch {
	case !v.Accept:
		return Resolution{Refuse, v.Kind, true}, nil
	case clash.Kind == "" && v.Own != nil:
		return Resolution{OwnRowsOnly, v.Kind, true}, nil
	case clash.Kind == "":
		return Resolution{Action: Apply}, nil
	case clash.Kind == InsertExists && clash.Same:
		return Resolution{Action: Same, Kind: InsertExists}, nil
	case v.Free:
		return r.resolveFree(clash)
	}
	return r.resolveOwned(v, clash), nil
}

// shown reports whether a database can show a clash of this kind; "" is none.
func (k Kind) shown() bool {
	switch k {
	case "", InsertExists, UpdateExists, UpdateMissing, UpdateOriginDiffers, DeleteMissing, DeleteOriginDiffers, MultipleUniqueConflicts:
		return true
	}
	return false
}

// resolveFree decides a clash on a row that nobody owns, by the policy. This
// is where last_update_wins will have its say.
func (r Rule) resolveFree(clash Clash) (Resolution, error) {
	switch r.policyOrDefault() {
	case PolicyError:
		return Resolution{Halt, clash.Kind, true}, nil
	case PolicyLastUpdateWins:
	}
	return Resolution{}, fmt.Errorf("resolve %s: policy %q is not available yet", clash.Kind, r.policy)
}

// resolveOwned decides a clash of an owner's change: it is applied over
// whatever is there.
func (r Rule) resolveOwned(v Verdict, clash Clash) Resolution {
	action := Halt
	switch clash.Kind {
	case InsertExists:
		action = r.unlessYielding(v, clash, Overwrite)
	case UpdateExists, MultipleUniqueConflicts:
		action = r.unlessYielding(v, clash, Displace)
	case UpdateMissing:
		if clash.Complete {
			action = InsertInstead
		}
	case DeleteMissing:
		action = Skip
	case UpdateOriginDiffers, DeleteOriginDiffers:
		action = Overwrite
	}
	return Resolution{action, clash.Kind, true}
}

// unlessYielding breaks the tie between two owners.
//
// In a table owned by column the row in the way may count as much as the
// change: two nodes gave one unique value to rows of their own. The node whose
// name is less, byte by byte, keeps it, at every node alike; the other's change
// is skipped. What counts is whose the two rows are, not who wrote them: the
// change that comes second elsewhere finds rows, not writers. A row that was
// given away yields to one that its new owner wrote.
//
// In a table with one owner a row that somebody handed over yields to the
// owner's row for the same reason: where the owner's change comes second, it
// counts.
func (r Rule) unlessYielding(v Verdict, clash Clash, action Action) Action {
	if r.Kind == Static && v.Origin != r.Node {
		return Skip
	}
	if r.Kind != ByColumn {
		return action
	}
	owner := clash.Placed
	if owner == "" {
		owner = v.Origin
	}
	for _, holder := range clash.Holders {
		if holder != "" && (holder < owner || holder == owner && owner != v.Origin) {
			return Skip
		}
	}
	return action
}
