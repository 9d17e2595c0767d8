package applier

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
)

func TestMissingTableHaltsUntilItIsThere(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE more (id int PRIMARY KEY, v int)", "CREATE TABLE t (id int PRIMARY KEY)")
	list := b.exec("INSERT INTO t VALUES (1)", "BEGIN; INSERT INTO t VALUES (2); INSERT INTO more VALUES (1, 1); COMMIT").capture()
	for range 2 {
		halt := b.halts(b.run(list), CodeMissingTable)
		require.Equal(t, "public.more", halt.Table)
		require.Equal(t, list[1].Last, halt.Position.LSN)
		require.NotEmpty(t, halt.Remedy)
	}
	require.Equal(t, []string{"1"}, b.rows(b.target, "SELECT * FROM t"))
	b.on(b.target, "CREATE TABLE more (id int PRIMARY KEY)")
	halt := b.halts(b.run(list), CodeMissingColumn)
	require.Contains(t, halt.Reason, "v")
	b.on(b.target, "ALTER TABLE more ADD v int")
	require.NoError(t, b.run(list), "the same applier resumes")
	b.equal("t", "more")
}

func TestTableKinds(t *testing.T) {
	b := newBench(t, "CREATE TABLE v (id int PRIMARY KEY)", "CREATE VIEW v AS SELECT 1 AS id")
	b.halts(b.run(b.exec("INSERT INTO v VALUES (1)").capture()), CodeTableKind)
}

func TestNoKeyHere(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v int)", "CREATE TABLE t (id int, v int)")
	b.replicate("INSERT INTO t VALUES (1, 1)")
	list := b.exec("UPDATE t SET v = 2").capture()
	b.halts(b.run(list), CodeNoKey)
	b.on(b.target, "ALTER TABLE t ADD PRIMARY KEY (id)")
	b.open()
	require.NoError(t, b.run(list))
	b.equal("t")
}

func TestNotIncluded(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE local_t (id int PRIMARY KEY)")
	b.cfg.Included = func(schema, table string) bool { return table != "local_t" }
	b.replicate("INSERT INTO t VALUES (1)")
	b.halts(b.run(b.exec("INSERT INTO local_t VALUES (1)").capture()), CodeNotIncluded)
}

// What is prepared follows the tables: the first statement that no longer fits
// makes the applier look again.
func TestTablesChangeUnderPreparedStatements(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, a int, b text)")
	b.replicate("INSERT INTO t VALUES (1, 1, 'x')", "UPDATE t SET a = 2")
	b.on(b.target, "ALTER TABLE t ALTER a TYPE text; ALTER TABLE t ALTER b TYPE varchar(3); ALTER TABLE t ADD extra int DEFAULT 1")
	b.replicate("INSERT INTO t VALUES (2, 2, 'y')", "UPDATE t SET a = 3")
	b.on(b.target, "ALTER TABLE t RENAME TO old; CREATE TABLE t (b text, id bigint PRIMARY KEY, a int); INSERT INTO t SELECT b, id, a::int FROM old; DROP TABLE old")
	b.replicate("INSERT INTO t VALUES (3, 3, 'longer')", "UPDATE t SET a = 4", "DELETE FROM t WHERE id = 1")
	b.on(b.target, "ALTER TABLE t DROP a, ADD a int GENERATED ALWAYS AS (7) STORED")
	b.replicate("INSERT INTO t VALUES (4, 4, 'z')", "UPDATE t SET a = 5, b = 'q' WHERE id = 4")
	require.Equal(t, []string{"y|2|7", "longer|3|7", "q|4|7"}, b.rows(b.target, "SELECT * FROM t ORDER BY id"))
	b.on(b.source, "ALTER TABLE t ADD c int, DROP b")
	b.on(b.target, "ALTER TABLE t ADD c int")
	b.replicate("UPDATE t SET c = id")
	require.Equal(t, []string{"2|2", "3|3", "4|4"}, b.rows(b.target, "SELECT id, c FROM t ORDER BY id"))
	b.on(b.target, "ALTER TABLE t DROP c")
	list := b.exec("UPDATE t SET c = 0").capture()
	b.halts(b.run(list), CodeMissingColumn)
	b.on(b.target, "DROP TABLE t")
	b.halts(b.run(list), CodeMissingTable)
}

// PITFALLS D12.
func TestTriggersAndForeignKeys(t *testing.T) {
	b := newBench(t, "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, p int, v text)",
		`CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES parent ON DELETE CASCADE, v text);
		CREATE TABLE fired (name text);
		CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.fired VALUES (TG_NAME || ' ' || TG_OP); RETURN NEW; END $$;
		CREATE TRIGGER ordinary AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note();
		CREATE TRIGGER statement AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION note();
		CREATE TRIGGER always AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION note();
		CREATE TRIGGER replica AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note();
		ALTER TABLE t ENABLE ALWAYS TRIGGER always, ENABLE REPLICA TRIGGER replica`)
	b.replicate("INSERT INTO t VALUES (1, 99, 'orphan at the origin too')", "UPDATE t SET v = 'x'", "INSERT INTO parent VALUES (99)", "DELETE FROM parent")
	require.Equal(t, []string{"always INSERT", "replica UPDATE"}, b.rows(b.target, "SELECT * FROM fired"))
	b.equal("t", "parent")
}

func TestTriggerMaySuppressAChange(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v text)")
	b.on(b.target, `CREATE FUNCTION suppress() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
		CREATE TRIGGER suppress BEFORE INSERT OR UPDATE ON t FOR EACH ROW WHEN (NEW.id = 2 OR NEW.v = 'no') EXECUTE FUNCTION suppress();
		ALTER TABLE t ENABLE ALWAYS TRIGGER suppress`)
	b.replicate("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')", "UPDATE t SET v = 'no' WHERE id = 1")
	require.Equal(t, []string{"1|a", "3|c"}, b.rows(b.target, "SELECT * FROM t ORDER BY id"))
}

// An error at COMMIT is the change's, not of pgfed's own tables, and what the
// trigger says is not repeated.
func TestConstraintTriggerRaisesAtCommit(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v text)")
	b.on(b.target, `CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'bad value %', NEW.v; END $$;
		CREATE CONSTRAINT TRIGGER no AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION no();
		ALTER TABLE t ENABLE ALWAYS TRIGGER no`)
	list := b.exec("INSERT INTO t VALUES (1, 'hidden')").capture()
	halt := b.halts(b.run(list), CodeApplyError)
	require.Equal(t, "P0001", halt.SQLState)
	require.NotContains(t, halt.Error(), "hidden")
	b.cfg.OnError = Park
	b.open()
	require.NoError(t, b.run(list))
	require.Equal(t, []string{"P0001"}, b.rows(b.target, "SELECT sqlstate FROM pgfed.parked"))
}

// PITFALLS D8.
func TestTruncate(t *testing.T) {
	b := newBench(t, `CREATE TABLE a (id serial PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a); CREATE TABLE c (id serial PRIMARY KEY);
		CREATE TABLE p (id int PRIMARY KEY) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2)`)
	b.on(b.target, "SELECT nextval('a_id_seq'), nextval('c_id_seq') FROM generate_series(1, 10); CREATE TABLE p3 PARTITION OF p FOR VALUES IN (3); INSERT INTO p VALUES (3)")
	b.replicate("INSERT INTO a VALUES (1), (2)", "INSERT INTO b VALUES (1, 1)", "INSERT INTO c VALUES (1)", "INSERT INTO p VALUES (1), (2)")
	b.replicate("TRUNCATE a, b RESTART IDENTITY", "BEGIN; TRUNCATE c; INSERT INTO c VALUES (5); COMMIT", "INSERT INTO a VALUES (7)", "TRUNCATE p1", "TRUNCATE p")
	b.equal("a", "b", "c")
	require.Equal(t, []string{"11|11"}, b.rows(b.target, "SELECT nextval('a_id_seq'), nextval('c_id_seq')"))
	require.Equal(t, []string{"3"}, b.rows(b.target, "SELECT * FROM p"), "only what the origin lists")
	b.replicate("INSERT INTO b VALUES (1, 7)", "TRUNCATE a CASCADE")
	b.equal("a", "b")

	b.on(b.target, "CREATE TABLE mine (a int REFERENCES a); INSERT INTO a VALUES (1); INSERT INTO mine VALUES (1)")
	list := b.exec("TRUNCATE a CASCADE").capture()
	b.halts(b.run(list), CodeTruncateReferenced)
	require.Equal(t, []string{"1"}, b.rows(b.target, "SELECT * FROM mine"))
	b.on(b.target, "DROP TABLE mine")
	require.NoError(t, b.run(list))
	b.equal("a")
}

func TestTruncateByOthers(t *testing.T) {
	b := newBench(t, "CREATE TABLE mine (id int PRIMARY KEY); CREATE TABLE theirs (id int PRIMARY KEY); CREATE TABLE shared (region text, id int, PRIMARY KEY (region, id))")
	b.on(b.target, "ALTER TABLE shared DROP CONSTRAINT shared_pkey; ALTER TABLE shared ALTER region DROP NOT NULL")
	b.cfg.Rules = b.rules(conflict.Spec{{Tables: []string{"mine"}, Node: "west"}, {Tables: []string{"theirs"}, Node: "east"},
		{Tables: []string{"shared"}, Column: "region", Values: map[string]string{"eu": "east", "eu2": "east", "us": "west"}}})
	b.on(b.target, "INSERT INTO mine VALUES (1); INSERT INTO theirs VALUES (1); INSERT INTO shared VALUES ('eu', 1), ('eu2', 1), ('us', 1), (NULL, 5)")
	b.replicate("TRUNCATE mine, theirs, shared")
	require.Equal(t, []string{"1"}, b.rows(b.target, "SELECT * FROM mine"))
	require.Empty(t, b.rows(b.target, "SELECT * FROM theirs"))
	require.Equal(t, []string{"us|1"}, b.rows(b.target, "SELECT * FROM shared"))
	require.Equal(t, []string{`mine|TRUNCATE|not_owner|refuse|{"tables": ["public.mine", "public.shared"]}`}, b.conflicts())
}

func TestPlaceInTheStream(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY)")
	b.replicate("INSERT INTO t VALUES (1)")
	list := b.exec("INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)").capture()
	b.halts(b.run(list[1:]), CodeGap)
	foreign := *list[0]
	foreign.History = change.History{ID: change.NewID()}
	b.halts(b.run([]*change.Batch{&foreign}), CodeForeignHistory)
	late := *list[0]
	late.History = change.History{ID: change.NewID(), Parent: b.history.ID, Fork: b.frontier.Applied("east").LSN - 1}
	b.halts(b.run([]*change.Batch{&late}), CodeForeignHistory)
	other := *list[0]
	other.Origin = "north"
	b.halts(b.run([]*change.Batch{&other}), CodeMalformed)
	require.Equal(t, []string{"1"}, b.rows(b.target, "SELECT * FROM t"))

	// A child history goes on where the parent was left, and overlapping
	// batches are passed over transaction by transaction.
	b.history = change.History{ID: change.NewID(), Parent: b.history.ID, Fork: b.frontier.Applied("east").LSN}
	both := *list[0]
	both.History, both.Last = b.history, list[1].Last
	both.Parts = append(append([]change.Part(nil), list[0].Parts...), list[1].Parts...)
	first := *list[0]
	first.History = b.history
	require.NoError(t, b.run([]*change.Batch{&first}))
	require.NoError(t, b.run([]*change.Batch{&both, &first, &both}))
	b.equal("t")
	require.Equal(t, change.Position{History: b.history.ID, LSN: b.last}, b.frontier.Applied("east"))
	b.open()
	row, _ := b.a.Checkpoint()
	require.Equal(t, both.LowWater, row.Sequence)
	require.Equal(t, b.generation, row.Generation)
	require.True(t, both.Parts[1].Time.Equal(row.CommitTime), fmt.Sprint(row.CommitTime))
}
