// Package conformance proves fidelity: that what commits at one node arrives
// exactly as it was, or is refused loudly.
//
// A case is a file under testdata/<group>: a promise in a sentence and the SQL
// that would break it. The judge does not use our code: the oracle is an
// ordinary Postgres database without pgfed, which runs the same SQL in the same
// order, and every node must hold the same rows as the oracle, byte for byte.
//
// # The format
//
// A file begins with comments. Their first paragraph is the promise; lines
// "-- key: value" are settings of the case:
//
//	min_version   15: the oldest Postgres that can run it; east=15: that node's
//	max_version   17: the newest that behaves so; west=17: that node's
//	alone         why the case needs a federation of its own
//	slow          why it is left out of the CI-sized run
//	expect        equal (the default), halt CODE, refused-at-init TEXT or
//	              refused-by-server SQLSTATE. Several lines refused-at-init: init
//	              says all of it; it changes nothing
//	limit         the known limit that this case documents, in a sentence
//	insert_only   tables of the case that have no replica identity on purpose
//	layouts       how partitions differ from node to node: tables are compared
//	              with all of theirs, not each by itself
//	encoding      NODE=NAME: that node's database has another encoding
//	server        name=value: a setting of every server
//	role          name = value: a setting of the replicators' role; 17+ name = value:
//	              from Postgres 17 on (alone)
//	database      the same of the nodes' databases, before init (alone)
//	role_in_database
//	              the same of the role in the database (alone)
//	tables, ownership, config
//	              YAML of the federation file (alone)
//	contrib       extensions that the case needs
//	record        nothing: no conflict may be on record at the end
//
// Then come sections, each begun by a line with three dashes. SQL before the
// first of them is "setup":
//
//	--- setup [WHERE]          before the tables join; WHERE is nodes, or
//	                           "oracle"; all of them if nothing is named
//	--- on NODE [session NAME] SQL of a user there; the oracle runs it too
//	--- on all                 the same at every node and at the oracle
//	--- on NODE meanwhile      without waiting for what others wrote before
//	--- on NODE only           the oracle does not run it
//	--- on oracle              the oracle alone runs it
//	--- fails NODE SQLSTATE    each statement is refused by that server
//	--- check WHERE `SQL` = VALUE
//	--- compare                one query a line: compare these, not the tables
//	--- init                   replctl init at every node
//	--- settle                 wait until everything has arrived
//	--- restart|kill|stop|start replicator|postgres NODE
//	--- halted                 wait for the expected halt
//	--- repair                 the same, and what follows ends it; another halt
//	                           and its repair may follow
//
// A case has a schema of its own, named after it, in which all of its SQL
// runs. Tables and columns named local_* are each node's own: not federated and
// not compared, but for tables named local_same_*, which must be equal all the
// same. Where the writing node changes, what was written before arrives first.
package conformance
