package partition_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/partition"
	"github.com/pgfed/pgfed/internal/pgtest"
)

// site is a database where tables are asked for by name.
type site struct {
	t    *testing.T
	conn *pgx.Conn
}

func newSite(t *testing.T, server *pgtest.Server, ddl string) site {
	s := site{t: t, conn: pgtest.Connect(t, server.Database(t))}
	s.exec(ddl)
	require.NoError(t, partition.Pin(context.Background(), s.conn))
	return s
}

func (s site) exec(sql string) {
	_, err := s.conn.Exec(context.Background(), sql, pgx.QueryExecModeSimpleProtocol)
	require.NoError(s.t, err, sql)
}

func (s site) oids(tables ...string) []uint32 {
	var oids []uint32
	for _, table := range tables {
		var oid uint32
		require.NoError(s.t, s.conn.QueryRow(context.Background(), "SELECT ('public.' || $1)::regclass::oid", table).Scan(&oid))
		oids = append(oids, oid)
	}
	return oids
}

func (s site) read(table string) *change.Partition {
	oids := s.oids(table)
	found, err := partition.Read(context.Background(), s.conn, oids)
	require.NoError(s.t, err)
	require.Contains(s.t, found, oids[0])
	return found[oids[0]]
}

func (s site) wholly(tables ...string) string {
	names, err := partition.Wholly(context.Background(), s.conn, s.oids(tables...))
	require.NoError(s.t, err)
	return fmt.Sprint(names)
}

const layout = `
CREATE TABLE l (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE l_eu PARTITION OF l FOR VALUES IN ('eu', 'uk');
CREATE TABLE l_rest PARTITION OF l DEFAULT;
CREATE TABLE r (id int, at timestamptz, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE r_old PARTITION OF r FOR VALUES FROM (MINVALUE) TO ('2024-01-01 00:00+00') PARTITION BY HASH (id);
CREATE TABLE r_old_1 PARTITION OF r_old FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE n (v text) PARTITION BY LIST ((lower(v)));
CREATE TABLE n_a PARTITION OF n FOR VALUES IN ('a');
CREATE TABLE ordinary (id int PRIMARY KEY);
CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent);`

func TestRead(t *testing.T) {
	s := newSite(t, pgtest.Start(t), layout)
	root := change.Name{Schema: "public", Name: "l"}
	require.Equal(t, root, s.read("l_eu").Root)
	require.Equal(t, []string{"id"}, s.read("l_eu").Key)
	require.Equal(t, "public.r", s.read("r_old_1").Root.String(), "the topmost")
	require.Empty(t, s.read("r_old_1").Key, "id chooses the partition too")
	require.Empty(t, s.read("n_a").Key)
	for _, none := range []string{"l", "r", "ordinary", "child"} {
		require.Nil(t, s.read(none), none)
	}
	gone, err := partition.Read(context.Background(), s.conn, []uint32{1 << 30})
	require.NoError(t, err)
	require.Empty(t, gone)

	s.exec("ALTER TABLE public.l DETACH PARTITION public.l_eu")
	require.Nil(t, s.read("l_eu"))
}

// One layout has one digest everywhere, whatever the tables are called, how
// the session of its maker was set, and which version describes it.
func TestPlacesAreTheSameEverywhere(t *testing.T) {
	tables := []string{"l_eu", "l_rest", "r_old_1", "n_a"}
	var first map[string]change.Place
	for _, major := range pgtest.Majors() {
		server := pgtest.Start(t, pgtest.Major(major), pgtest.Setting("timezone", "Asia/Tokyo"), pgtest.Setting("datestyle", "SQL, DMY"))
		s := newSite(t, server, layout+"ALTER TABLE l_eu RENAME TO l_1; ALTER TABLE l_1 RENAME TO l_eu")
		places := map[string]change.Place{}
		for _, table := range tables {
			places[table] = s.read(table).Place
			require.NotZero(t, places[table], table)
		}
		if first == nil {
			first = places
		}
		require.Equal(t, first, places, "Postgres %d", major)
	}
}

func TestPlacesDiffer(t *testing.T) {
	server := pgtest.Start(t)
	before := newSite(t, server, layout)
	for table, ddl := range map[string]string{
		"l_eu":    "ALTER TABLE l DETACH PARTITION l_eu; ALTER TABLE l ATTACH PARTITION l_eu FOR VALUES IN ('eu')",
		"l_rest":  "CREATE TABLE l_us PARTITION OF l FOR VALUES IN ('us')", // what a default takes is what the others leave
		"r_old_1": "ALTER TABLE r DETACH PARTITION r_old; ALTER TABLE r ATTACH PARTITION r_old FOR VALUES FROM (MINVALUE) TO ('2023-01-01 00:00+00')",
	} {
		after := newSite(t, server, layout+ddl)
		require.NotEqual(t, before.read(table).Place, after.read(table).Place, table)
		require.False(t, before.read(table).SamePlace(after.read(table)), table)
		require.True(t, before.read(table).SamePlace(before.read(table)), table)
	}
}

// Where a hash puts a row may differ from server to server, or with the type.
func TestPlacesOfHashes(t *testing.T) {
	server := pgtest.Start(t)
	hashed := func(kind string) *change.Partition {
		return newSite(t, server, "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE h (k "+kind+`) PARTITION BY HASH (k);
			CREATE TABLE h_0 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 0)`).read("h_0")
	}
	require.Zero(t, hashed("mood").Place)
	require.Zero(t, hashed("mood[]").Place)
	require.NotZero(t, hashed("int").Place)
	require.NotEqual(t, hashed("int").Place, hashed("numeric").Place)
	none := &change.Partition{}
	require.False(t, none.SamePlace(none), "nothing is known")
}

func TestWholly(t *testing.T) {
	s := newSite(t, pgtest.Start(t), layout+`
CREATE UNLOGGED TABLE n_b PARTITION OF n FOR VALUES IN ('b');
CREATE TABLE n_c PARTITION OF n FOR VALUES IN ('c') PARTITION BY LIST (v);
CREATE TABLE empty (id int) PARTITION BY LIST (id)`)
	require.Equal(t, "[]", s.wholly("l_eu", "ordinary"))
	require.Equal(t, "[public.l]", s.wholly("l_eu", "l_rest", "ordinary"))
	require.Equal(t, "[public.l public.r]", s.wholly("l_eu", "l_rest", "r_old_1"))
	require.Equal(t, "[public.n]", s.wholly("n_a"), "what is unlogged is not carried")
}

// By other collations a range takes other texts, and a list other spellings.
func TestPlacesOfTexts(t *testing.T) {
	server := pgtest.Start(t)
	place := func(by, collation, bound string) *change.Partition {
		return newSite(t, server, `CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
			CREATE TABLE p (k text COLLATE `+collation+") PARTITION BY "+by+" (k); CREATE TABLE p_1 PARTITION OF p FOR VALUES "+bound).read("p_1")
	}
	const span, list, hash = "FROM ('a') TO ('c')", "IN ('a')", "WITH (MODULUS 2, REMAINDER 0)"
	require.False(t, place("RANGE", `"C"`, span).SamePlace(place("RANGE", `"und-x-icu"`, span)))
	require.True(t, place("RANGE", `"und-x-icu"`, span).SamePlace(place("RANGE", `"und-x-icu"`, span)))
	require.True(t, place("LIST", `"C"`, list).SamePlace(place("LIST", `"und-x-icu"`, list)), "equal is equal")
	require.False(t, place("LIST", `"C"`, list).SamePlace(place("LIST", "public.loose", list)))
	require.NotZero(t, place("HASH", `"und-x-icu"`, hash).Place)
	require.Zero(t, place("HASH", "public.loose", hash).Place)
}

// Capture waits for what is said here: it must not wait for users who change a
// table in a long transaction.
func TestReadWaitsForNobody(t *testing.T) {
	ctx := context.Background()
	for _, major := range pgtest.Majors() {
		server := pgtest.Start(t, pgtest.Major(major))
		s := newSite(t, server, layout)
		tables := s.oids("l_eu", "l_rest", "r_old_1", "ordinary")
		other, err := pgx.ConnectConfig(ctx, s.conn.Config())
		require.NoError(t, err)
		_, err = other.Exec(ctx, "BEGIN; LOCK l, r, r_old, l_eu, l_rest, r_old_1, ordinary IN ACCESS EXCLUSIVE MODE")
		require.NoError(t, err)
		s.exec("SET lock_timeout = '1s'")
		found, err := partition.Read(ctx, s.conn, tables)
		require.NoError(t, err, "Postgres %d", major)
		require.Len(t, found, len(tables))
		roots, err := partition.Roots(ctx, s.conn, tables)
		require.NoError(t, err, "Postgres %d", major)
		require.Len(t, roots, 3)
		wholly, err := partition.Wholly(ctx, s.conn, tables)
		require.NoError(t, err, "Postgres %d", major)
		require.Len(t, wholly, 2)
		require.NoError(t, other.Close(ctx))
	}
}
