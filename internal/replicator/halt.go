package replicator

import (
	"errors"

	"github.com/pgfed/pgfed/applier"
	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/report"
	"github.com/pgfed/pgfed/transport"
)

// haltOf says whether an inbound pipeline stopped for a lasting reason, and
// which: nil means that trying again is all there is to do. Either way the
// pipeline does try again, from its checkpoint; a lasting reason is reported
// until that succeeds.
func haltOf(origin string, at change.Position, err error) *report.Reason {
	var halt *applier.Halt
	if errors.As(err, &halt) {
		return &report.Reason{Code: halt.Code, Origin: halt.Origin, Position: halt.Position.String(),
			Table: halt.Table, Message: halt.Reason, Remedy: halt.Remedy}
	}
	for _, lasting := range []struct {
		err    error
		code   string
		remedy string
	}{
		{transport.ErrGap, "gap", "changes between the two positions are no longer in the origin's stream; this node needs a fresh copy of the origin's data"},
		{transport.ErrForeignHistory, "foreign_history", "the origin's database was restored or replaced; compare the data and give this node a fresh copy"},
		{transport.ErrForeignGeneration, "foreign_generation", "the origin's stream was replaced by one of another federation or node; check nodes." + origin + ".url"},
		{transport.ErrFormat, "format", "the origin runs a newer pgfed; upgrade this node's replicator"},
		{transport.ErrCorrupt, "corrupt", "a message in the origin's stream is damaged; check the origin broker's storage"},
		{transport.ErrNotMember, "not_member", "the stream belongs to another federation or node; check nodes." + origin + ".url"},
	} {
		if errors.Is(err, lasting.err) {
			return &report.Reason{Code: lasting.code, Origin: origin, Position: at.String(),
				Message: err.Error(), Remedy: lasting.remedy}
		}
	}
	return nil
}
