package crash

// Point names a place.
type Point string

// The places, in the order in which a change passes them.
const (
	AfterReceive      Point = "after-receive"      // decoded, not yet handed to the broker
	AfterPublish      Point = "after-publish"      // handed to the broker, not yet acknowledged
	AfterDurable      Point = "after-durable"      // acknowledged by the broker, slot not yet confirmed
	MidApply          Point = "mid-apply"          // some rows of the target transaction written
	LargeHalfApplied  Point = "large-half-applied" // a piece of a large transaction applied, its last not yet here
	AfterCommit       Point = "after-commit"       // COMMIT done at the server, its reply not yet acted upon
	BeforeAcknowledge Point = "before-acknowledge" // flushed at the target, the origin not yet told
)
