package report

import (
	"time"

	"github.com/pgfed/pgfed/internal/change"
)

// Conflict is one row of "replctl conflicts" and of /v1/conflicts. For one
// change it is the same wherever it was judged, Recorded apart.
type Conflict struct {
	Schema     string     `json:"schema"`
	Table      string     `json:"table"`
	Origin     string     `json:"origin"`
	Position   change.LSN `json:"position"` // of the transaction in its origin's history
	Ordinal    uint64     `json:"ordinal"`  // of the change in its transaction, from 0
	Kind       string     `json:"kind"`
	KeyHash    string     `json:"key_hash"`
	Resolution string     `json:"resolution"`
	Time       time.Time  `json:"time"` // of the commit at the origin
	Operation  string     `json:"operation"`
	Owner      string     `json:"owner"`
	History    change.ID  `json:"history"`
	Recorded   time.Time  `json:"recorded"` // here
}

// Parked is one row of "replctl parked" and of /v1/parked: a table that a
// parked transaction touched.
type Parked struct {
	Schema   string     `json:"schema"`
	Table    string     `json:"table"`
	Origin   string     `json:"origin"`
	Position change.LSN `json:"position"`
	Reason   string     `json:"reason"`
	SQLState string     `json:"sqlstate"`
	Time     time.Time  `json:"time"` // when it was parked
	History  change.ID  `json:"history"`
}
