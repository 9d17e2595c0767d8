// Package fedtest runs whole federations for tests: for every node a real
// Postgres server and a real replicator process with its own broker, and
// between any two of them a proxy that can delay, cut or swallow what crosses.
//
// Scenarios under testdata/scenarios are prose that a reviewer can follow; each
// is a subtest of TestScenarios. TestChaos kills at random from a printed seed.
//
// The programs are built once per test process with the race detector and with
// crash points. A replicator that panics or races fails its test, whatever the
// test was about. PGFED_KEEP=1 keeps databases, stores and logs.
package fedtest
