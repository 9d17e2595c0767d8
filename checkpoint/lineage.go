package checkpoint

import "github.com/pgfed/pgfed/internal/change"

// lineage holds the histories met so far by their id, and so which history
// goes on after which. Ids are random: one map serves all origins.
type lineage map[change.ID]change.History

// covers reports whether a node at have needs to wait no longer for need.
//
// A position in a child covers everything of its ancestors, also what the
// parent committed beyond the fork: that was lost with the parent and nobody
// can ever get it from the origin again.
func (l lineage) covers(have, need change.Position) bool {
	return need.IsZero() || l.empty(need) || l.reaches(have, need)
}

// reaches reports whether have is need, or lies behind it in the same history
// or in one that goes on after it.
func (l lineage) reaches(have, need change.Position) bool {
	have, need = l.shared(have), l.shared(need)
	if have.History == need.History {
		return have.LSN >= need.LSN
	}
	// Bounded: what peers say of their histories might run in a circle.
	for range l {
		h, known := l[have.History]
		if !known || h.Parent.IsZero() {
			return false
		}
		if have.History = h.Parent; have.History == need.History {
			return true
		}
	}
	return false
}

// shared names a position by the oldest history that it belongs to: up to the
// fork parent and child are the same.
func (l lineage) shared(p change.Position) change.Position {
	for range l {
		h, known := l[p.History]
		if !known || h.Parent.IsZero() || p.LSN > h.Fork {
			break
		}
		p.History = h.Parent
	}
	return p
}

// empty reports whether no transaction of the history lies at or below p.
func (l lineage) empty(p change.Position) bool {
	h, known := l[p.History]
	return known && h.Parent.IsZero() && p.LSN <= h.Start
}
