package fedtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// campaign is a series of faults drawn from one seed.
type campaign struct {
	*testing.T
	f       *Federation
	random  *rand.Rand
	kills   int
	counts  map[string]int
	sampler *Sampler
}

// fault is one thing that goes wrong and is put right again.
type fault struct {
	name   string
	weight int
	kills  int
	do     func(*campaign)
}

var faults = []fault{
	{"kill a replicator", 6, 1, func(c *campaign) {
		node := c.node()
		node.Kill()
		c.pause()
		node.TryStartAgain(c)
	}},
	{"kill a database server", 3, 1, func(c *campaign) {
		node := c.node()
		node.DB.Kill9()
		c.pause()
		require.NoError(c, node.DB.TryStart())
	}},
	{"kill both of a node", 2, 2, func(c *campaign) {
		node := c.node()
		node.Kill()
		node.DB.Kill9()
		c.pause()
		require.NoError(c, node.DB.TryStart())
		node.TryStartAgain(c)
	}},
	{"kill all replicators", 1, 3, func(c *campaign) {
		for _, node := range c.f.Nodes() {
			node.Kill()
		}
		c.pause()
		for _, node := range c.f.Nodes() {
			node.TryStartAgain(c)
		}
	}},
	{"lose a broker's store", 1, 1, func(c *campaign) {
		node := c.node()
		node.Kill()
		if node.HasStore() { // it may have been killed before it made one
			node.LoseStore()
		}
		node.TryStartAgain(c)
	}},
	{"save a broker's store, or roll it back", 2, 1, func(c *campaign) {
		node := c.node()
		node.Kill()
		switch {
		case node.HasSavedStore():
			node.RestoreStore()
			require.NoError(c, os.RemoveAll(node.store()+".saved"))
		case node.HasStore():
			node.SaveStore()
		}
		node.TryStartAgain(c)
	}},
	{"stop and start a replicator", 1, 0, func(c *campaign) {
		node := c.node()
		node.Stop()
		node.TryStartAgain(c)
	}},
	{"partition a node", 2, 0, func(c *campaign) {
		c.f.Partition(c.node().Name, "")
		c.pause()
		c.pause()
		c.f.Heal()
	}},
	{"partition a link", 2, 0, func(c *campaign) {
		a := c.random.IntN(len(c.f.Config.Nodes))
		b := (a + 1) % len(c.f.Config.Nodes)
		c.f.Partition(c.f.Config.Nodes[a], c.f.Config.Nodes[b])
		c.pause()
		c.pause()
		c.f.Heal()
	}},
	{"cut a node's connections", 2, 0, func(c *campaign) { c.f.Cut(c.node().Name, "") }},
	{"a long transaction", 2, 0, func(c *campaign) {
		node := c.node()
		// Its own rows, moved in one transaction of several pieces.
		require.NoError(c, node.DB.TryExec(context.Background(), fmt.Sprintf(
			`UPDATE public.accounts_%[1]s SET filler = repeat(md5(random()::text), 300)`, node.Name)))
	}},
}

// TryStartAgain starts the replicator without insisting that it answers: its
// database or its peers may be in trouble, and supervision goes on trying.
func (n *Node) TryStartAgain(t testing.TB) {
	t.Helper()
	if err := n.launch(); err != nil {
		t.Fatal(err)
	}
}

func (c *campaign) node() *Node {
	nodes := c.f.Nodes()
	return nodes[c.random.IntN(len(nodes))]
}

// pause is up to a second and a half of trouble.
func (c *campaign) pause() {
	rest(context.Background(), time.Duration(c.random.Int64N(int64(1500*time.Millisecond))))
}

func (c *campaign) strike() {
	total := 0
	for _, fault := range faults {
		total += fault.weight
	}
	draw := c.random.IntN(total)
	for _, fault := range faults {
		if draw -= fault.weight; draw < 0 {
			c.Logf("%3d kills so far; %s", c.kills, fault.name)
			fault.do(c)
			c.kills += fault.kills
			c.counts[fault.name]++
			return
		}
	}
}

// TestChaos kills, cuts and loses while every node transfers money, and then
// wants every node equal, row for row, nothing doubled and nothing missing, and
// at no sampled instant a wrong sum. The seed decides the order of faults, not
// how they meet the load. make chaos SEED=n DURATION=10m KILLS=100
func TestChaos(t *testing.T) {
	seed := setting(t, "PGFED_CHAOS_SEED", 0)
	if seed == 0 {
		seed = uint64(time.Now().UnixNano() % 1_000_000)
	}
	duration := 20 * time.Second
	if text := os.Getenv("PGFED_CHAOS_DURATION"); text != "" {
		var err error
		duration, err = time.ParseDuration(text)
		require.NoError(t, err)
	}
	kills := int(setting(t, "PGFED_CHAOS_KILLS", 8))
	t.Logf("SEED=%d DURATION=%s KILLS=%d", seed, duration, kills)

	nodes := []string{"east", "central", "west"}
	f := New(t, Config{Nodes: nodes, Schema: BankSchema(nodes), Ownership: BankOwnership(nodes), Supervised: true,
		Extra: "delivery: {max_wait: 5s}\n"})
	c := &campaign{T: t, f: f, random: rand.New(rand.NewPCG(seed, 0)), counts: map[string]int{}, sampler: f.StartSampler(200 * time.Millisecond)}
	var loads []*Load
	for i, node := range f.Nodes() {
		loads = append(loads, node.StartLoad(seed+uint64(i), 2, 10*time.Millisecond))
	}
	for end := time.Now().Add(duration); time.Now().Before(end) || c.kills < kills; {
		c.strike()
		c.pause()
		require.NoError(t, c.sampler.Broken(), "SEED=%d", seed)
	}
	f.Heal()
	var transfers []string
	for _, load := range loads {
		load.Stop()
		transfers = append(transfers, fmt.Sprintf("%s %d", load.node.Name, load.Committed()))
	}
	t.Logf("%d kills; %d samples; faults: %v; transfers: %s", c.kills, c.sampler.Samples(), c.counts, strings.Join(transfers, ", "))
	f.Converge(3 * time.Minute)
	require.NoError(t, c.sampler.Stop(), "SEED=%d", seed)
	require.NoError(t, f.CheckHistory(context.Background(), loads...), "SEED=%d", seed)
	require.Positive(t, c.sampler.Samples())
	for _, node := range f.Nodes() {
		require.Empty(t, node.Conflicts(), "SEED=%d", seed)
		t.Logf("%s: the replicator ended by itself %d times", node.Name, node.Restarts())
	}
}

func setting(t *testing.T, name string, standard uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return standard
	}
	value, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err)
	return value
}
