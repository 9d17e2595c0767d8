package fedtest

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A halted origin is still heard of: it is not called unreachable, and how far
// this node lags behind it is known and grows.
func TestHaltedOriginIsStillHeard(t *testing.T) {
	special := "CREATE TABLE special (id int PRIMARY KEY)"
	f := New(t, Config{Nodes: []string{"east", "west"}, Ownership: "- {tables: [public.special], owner: east}",
		Schema: "CREATE TABLE common (id int PRIMARY KEY);", SchemaAt: map[string]string{"east": special}})
	east, west := f.Node("east"), f.Node("west")
	require.Eventually(t, func() bool { return west.Status().Peers[0].Reachable }, time.Minute, pollEvery)
	east.Exec("INSERT INTO special VALUES (1)")
	west.awaitReason(t, "missing_table", "")
	// Longer than a peer may be silent, and than the longest pause.
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for id := 2; id < 26; id++ {
		<-tick.C
		east.Exec("INSERT INTO special VALUES ($1)", id)
		for _, reason := range west.Status().Node.Health.Reasons {
			require.Equal(t, "missing_table", reason.Code, reason.Message)
		}
	}
	in := west.Inbound("east")
	require.NotNil(t, in.LagBytes)
	require.Positive(t, *in.LagBytes)
	require.Greater(t, *in.LagSeconds, 9.0)

	west.Exec(special)
	west.awaitOne(t, "SELECT count(*) FROM special", east.One("SELECT count(*) FROM special"))
}

// Nodes that run different federation files say so, both of them.
func TestRulesThatDifferAreTold(t *testing.T) {
	f := New(t, oneTable(""))
	east, west := f.Node("east"), f.Node("west")
	east.Stop()
	text, err := os.ReadFile(f.File)
	require.NoError(t, err)
	other := strings.Replace(string(text), "owner: east", "owner: west", 1)
	require.NotEqual(t, string(text), other)
	require.NoError(t, os.WriteFile(f.File, []byte(other), 0o644))
	east.Start()
	west.awaitReason(t, "rules_differ", "different federation file")
	east.awaitReason(t, "rules_differ", "different federation file")
}
