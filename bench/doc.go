// Command bench measures pgfed side by side with native logical replication:
// the same work, on the same two Postgres servers, in one run.
//
//	make bench                                      # about five minutes
//	make bench BENCH="-transactions 200000 -runs 3" # the figures we quote
//	go run ./bench -work tpcb,latency -results ""   # a quick look
//
// It starts its own servers and replicators on loopback, builds the
// replicators as they are shipped (no race detector), checks after every drain
// that both databases hold equal rows, and writes what it found to
// bench/RESULTS.md, whatever that is. Figures move from machine to machine;
// the ratios in one run are what counts. It ends with an error when something
// did not arrive, arrived wrong, or took more memory than is promised.
//
// How a drain is measured: with the target's side stopped, one row goes to a
// table of marks, then the work, then a second mark. The target's side is
// started, and the target is asked for the marks every five milliseconds. "Start"
// is the time until the first mark is there, "drain" the time from the first
// to the second; rates are the work over the drain. "CPU s" adds up every process
// of the system and of the servers, from the start to the second mark; it tells
// more than the clock when the machine was not quiet.
package main
