// Package pgtest gives tests real Postgres servers of their own: a cluster
// copied from a template that is made once per machine, on a loopback port,
// with everything that logical replication needs and with fsync on, so that
// kill -9 means what it means in production.
//
// Package pglocal says where servers are found and who runs them. None found is
// a failure, never a skip.
//
// PGFED_KEEP=1 keeps data folders after the test.
package pgtest
