// Package pgtest gives tests real Postgres servers of their own: a cluster
// copied from a template that is made once per machine, on a loopback port,
// with everything that logical replication needs and with fsync on, so that
// kill -9 means what it means in production.
//
// Servers are found in PGFED_PG_BIN_<major>, in the distribution's folders and
// among those that hack/postgres.sh has unpacked; PGFED_PG_MAJOR chooses the
// default major version. Nothing found is a failure, never a skip. When tests
// run as root, servers run as the user postgres.
//
// PGFED_KEEP=1 keeps data folders after the test.
package pgtest
