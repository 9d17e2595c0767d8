package replicator

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/applier"
	"github.com/pgfed/pgfed/decoder"
	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/report"
	"github.com/pgfed/pgfed/transport"
)

// A lasting reason has its code, says what happened and what to do; what passes
// by itself is no halt.
func TestHaltOf(t *testing.T) {
	at := change.Position{LSN: 0x42}
	for want, err := range map[string]error{
		"gap":                &transport.GapError{Have: 1, Need: 2},
		"foreign_history":    transport.ErrForeignHistory,
		"foreign_generation": transport.ErrForeignGeneration,
		"format":             &transport.FormatError{Have: 2, Want: 1},
		"corrupt":            transport.ErrCorrupt,
		"not_member":         transport.ErrNotMember,
	} {
		err = fmt.Errorf("apply east: %w", err)
		halt := haltOf("east", at, err)
		require.NotNil(t, halt, want)
		require.NotEmpty(t, halt.Remedy, want)
		halt.Remedy = ""
		require.Equal(t, &report.Reason{Code: want, Origin: "east", Position: at.String(), Message: err.Error()}, halt)
	}
	for _, err := range []error{transport.ErrSessionLost, transport.ErrStreamMissing, applier.ErrOriginBusy, errors.New("connection refused")} {
		require.Nil(t, haltOf("east", at, err), err)
	}

	own := &applier.Halt{Origin: "east", Position: at, Table: "public.t", Code: "missing_table", Reason: "it is not here", Remedy: "create it"}
	require.Equal(t, &report.Reason{Code: own.Code, Origin: "east", Position: at.String(), Table: own.Table, Message: own.Reason, Remedy: own.Remedy},
		haltOf("east", change.Position{}, fmt.Errorf("run: %w", own)))
}

func TestCaptureReason(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{decoder.ErrSlotMissing, "slot_missing"},
		{decoder.ErrSlotInvalidated, "slot_invalidated"},
		{decoder.ErrSlotForeign, "slot_foreign"},
		{decoder.ErrPublicationMissing, "publication_missing"},
		{decoder.ErrUndecodable, "undecodable"},
		{errSetBack, "set_back"},
		{&transport.OrphanError{Tail: 2, Fork: 1}, "orphaned_tail"},
		{transport.ErrForeignHistory, "foreign_stream"},
		{transport.ErrForeignStream, "foreign_stream"},
		{transport.ErrCorrupt, "own_stream_corrupt"},
		{&transport.FormatError{Have: 2, Want: 1}, "own_stream_format"},
		{transport.ErrStreamRegressed, "not_capturing"},
		{decoder.ErrSlotBusy, "not_capturing"},
		{errors.New("connection refused"), "not_capturing"},
	} {
		err := fmt.Errorf("capture: %w", test.err)
		reason := captureReason(err)
		require.NotEmpty(t, reason.Remedy, test.want)
		reason.Remedy = ""
		require.Equal(t, report.Reason{Code: test.want, Message: err.Error()}, reason)
	}
}
