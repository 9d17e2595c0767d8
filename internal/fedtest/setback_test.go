package fedtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// oneTable is a table of which every row is east's.
func oneTable(extra string) Config {
	return Config{Nodes: []string{"east", "west"}, Extra: extra, Schema: "CREATE TABLE p (id int PRIMARY KEY, c text)",
		Ownership: "- {tables: [public.p], owner: east}"}
}

func (n *Node) awaitReason(t *testing.T, code, text string) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, reason := range n.Status().Node.Health.Reasons {
			if reason.Code == code && strings.Contains(reason.Message, text) {
				return true
			}
		}
		return false
	}, time.Minute, pollEvery, "%s does not say %s: %s", n.Name, code, text)
}

func (n *Node) awaitOne(t *testing.T, sql, want string) {
	t.Helper()
	require.Eventually(t, func() bool {
		rows, err := n.DB.TryQuery(t.Context(), sql)
		return err == nil && len(rows) == 1 && rows[0][0] == want
	}, time.Minute, pollEvery, "%s: %s", n.Name, sql)
}

// An older copy of a database, such as a volume's snapshot, would use again
// the positions that it has published: that is told, also when its log has
// grown past them, and nothing is passed over in silence.
func TestDatabaseSetBackIsRefused(t *testing.T) {
	f := New(t, oneTable(""))
	east, west := f.Node("east"), f.Node("west")
	east.Exec("INSERT INTO p VALUES (1, 'a')")
	west.awaitOne(t, "SELECT count(*) FROM p", "1")
	east.Stop()
	east.DB.Stop()
	older := filepath.Join(filepath.Dir(east.DB.DataDir), "older")
	output, err := exec.Command("cp", "-a", east.DB.DataDir, older).CombinedOutput()
	require.NoError(t, err, string(output))
	east.DB.Start()
	east.Start()
	east.Exec("INSERT INTO p SELECT i, repeat('b', 1000) FROM generate_series(2, 200) i")
	west.awaitOne(t, "SELECT count(*) FROM p", "200")
	east.Stop()
	east.DB.Stop()
	require.NoError(t, os.RemoveAll(east.DB.DataDir))
	require.NoError(t, os.Rename(older, east.DB.DataDir))
	east.DB.Start()
	require.NoError(t, east.TryStart())
	east.awaitReason(t, "set_back", "set back to an older copy")
	east.Exec("CREATE TABLE local_filler AS SELECT repeat('z', 1000) FROM generate_series(1, 2000)")
	east.Exec("INSERT INTO p VALUES (1001, 'after')")
	east.awaitReason(t, "orphaned_tail", "behind the fork")
	east.Restart()
	east.awaitReason(t, "orphaned_tail", "behind the fork")
	require.Equal(t, "200", west.One("SELECT count(*) FROM p"))
}

// promote makes the stopped server a standby of itself and promotes it: a new
// timeline, and the slot survives on every version.
func (n *Node) promote(t *testing.T) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(n.DB.DataDir, "standby.signal"), nil, 0o600))
	n.DB.Start()
	n.DB.Exec("SELECT pg_promote()")
	n.awaitOne(t, "SELECT pg_is_in_recovery()::text", "false")
}

// A promotion with the slot kept loses nothing, also two of them while a peer
// is away.
func TestPromotionsAreFollowed(t *testing.T) {
	f := New(t, oneTable(""))
	east, west := f.Node("east"), f.Node("west")
	east.Exec("INSERT INTO p VALUES (1, 'a')")
	west.awaitOne(t, "SELECT count(*) FROM p", "1")
	west.Stop()
	for id, timeline := range []string{"2", "3"} {
		east.Stop()
		east.DB.Stop()
		east.promote(t)
		require.NoError(t, east.TryStart())
		east.awaitOne(t, "SELECT max(timeline)::text FROM pgfed.history", timeline)
		if id == 1 { // the history between the two promotions stays empty
			east.Exec("INSERT INTO p VALUES (2, 'b')")
		}
	}
	require.NoError(t, west.TryStart())
	west.awaitOne(t, "SELECT count(*) FROM p", "2")
	east.Exec("UPDATE p SET c = 'c'")
	west.awaitOne(t, "SELECT string_agg(c, '') FROM p", "cc")
}

// What the stream held is remembered across a promotion: a store that is lost
// then is missed by the peer that was behind.
func TestStoreLostAfterPromotionIsMissed(t *testing.T) {
	f := New(t, oneTable("slot: {retain: 0, retain_for: 0s}"))
	east, west := f.Node("east"), f.Node("west")
	east.Exec("INSERT INTO p VALUES (1, 'a')")
	west.awaitOne(t, "SELECT count(*) FROM p", "1")
	west.Stop()
	before := east.One("SELECT max(published)::text FROM pgfed.history")
	east.Exec("INSERT INTO p VALUES (2, 'lost')")
	// On disk a slot moves with its restart position only.
	require.Eventually(t, func() bool {
		east.DB.Exec("CHECKPOINT")
		return east.One("SELECT (h.published > '"+before+"' AND s.restart_lsn >= h.published)::text FROM pgfed.history h, pg_replication_slots s") == "true"
	}, time.Minute, 10*pollEvery)
	east.Stop()
	east.DB.Stop()
	east.promote(t)
	require.NoError(t, east.TryStart())
	east.awaitOne(t, "SELECT count(*) FROM pgfed.history", "2")
	east.Stop()
	east.LoseStore()
	east.Start()
	east.Exec("INSERT INTO p VALUES (3, 'c')")
	require.NoError(t, west.TryStart())
	west.awaitReason(t, "gap", "changes are missing")
	require.Equal(t, "1", west.One("SELECT count(*) FROM p"))
}
