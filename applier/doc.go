// Package applier turns one origin's batches into rows: one target transaction
// for each source transaction, in the origin's order, with the checkpoint in
// the same transaction and marked with a replication origin so that nobody
// captures it again.
//
// The way of a transaction is Applier.Run in apply.go. It is tried
// optimistically first (pipeline.go: prepared statements in one go, every
// count checked) and change by change when anything differs (exact.go: each
// change behind a savepoint, judged by package conflict).
//
// An Applier belongs to the goroutine that calls Run; only the Frontier and
// Observe lead out of it.
package applier
