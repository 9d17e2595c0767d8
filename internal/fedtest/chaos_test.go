package fedtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// campaign is a series of faults drawn from one seed.
type campaign struct {
	*testing.T
	f       *Federation
	random  *rand.Rand
	kills   map[string]int // processes that lived and were killed with SIGKILL, by kind
	counts  map[string]int // faults by name
	sampler *Sampler
}

// fault is one thing that goes wrong and is put right again. Where the broker
// is decides whether it is possible.
type fault struct {
	name               string
	embedded, external int // weights
	do                 func(*campaign)
}

var faults = []fault{
	{"kill a replicator", 6, 6, func(c *campaign) {
		node := c.node()
		c.killReplicator(node)
		c.pause()
		node.TryStartAgain(c)
	}},
	{"kill a database server", 3, 3, func(c *campaign) {
		node := c.node()
		c.killServer(node)
		c.pause()
		require.NoError(c, node.DB.TryStart())
	}},
	{"kill both of a node", 2, 2, func(c *campaign) {
		node := c.node()
		c.killReplicator(node)
		c.killServer(node)
		c.pause()
		require.NoError(c, node.DB.TryStart())
		node.TryStartAgain(c)
	}},
	{"kill all replicators", 1, 1, func(c *campaign) {
		for _, node := range c.f.Nodes() {
			c.killReplicator(node)
		}
		c.pause()
		for _, node := range c.f.Nodes() {
			node.TryStartAgain(c)
		}
	}},
	{"kill the broker", 0, 4, func(c *campaign) {
		c.killBroker()
		c.pause()
		c.f.Broker.Restart()
	}},
	{"kill the broker and a replicator", 0, 1, func(c *campaign) {
		node := c.node()
		c.killBroker()
		c.killReplicator(node)
		c.pause()
		node.TryStartAgain(c)
		c.f.Broker.Restart()
	}},
	{"lose the broker's store", 0, 1, func(c *campaign) {
		c.killBroker()
		require.NoError(c, os.RemoveAll(c.f.Broker.StoreDir()))
		c.f.Broker.Restart()
	}},
	{"lose a broker's store", 1, 0, func(c *campaign) {
		node := c.node()
		c.killReplicator(node)
		if node.HasStore() { // it may have been killed before it made one
			node.LoseStore()
		}
		node.TryStartAgain(c)
	}},
	{"save a broker's store, or roll it back", 2, 0, func(c *campaign) {
		node := c.node()
		c.killReplicator(node)
		switch {
		case node.HasSavedStore():
			node.RestoreStore()
			require.NoError(c, os.RemoveAll(node.store()+".saved"))
		case node.HasStore():
			node.SaveStore()
		}
		node.TryStartAgain(c)
	}},
	{"stop and start a replicator", 1, 1, func(c *campaign) {
		node := c.node()
		node.Stop()
		node.TryStartAgain(c)
	}},
	{"partition a node", 2, 2, func(c *campaign) {
		c.f.Partition(c.node().Name, "")
		c.pause()
		c.pause()
		c.f.Heal()
	}},
	{"partition a link", 2, 2, func(c *campaign) {
		a := c.random.IntN(len(c.f.Config.Nodes))
		b := (a + 1) % len(c.f.Config.Nodes)
		c.f.Partition(c.f.Config.Nodes[a], c.f.Config.Nodes[b])
		c.pause()
		c.pause()
		c.f.Heal()
	}},
	{"cut a node's connections", 2, 2, func(c *campaign) { c.f.Cut(c.node().Name, "") }},
	{"a long transaction", 2, 2, func(c *campaign) {
		node := c.node()
		// Its own rows, moved in one transaction of several pieces; the lock
		// keeps it and the transfers from waiting for each other.
		require.NoError(c, node.DB.TryExec(context.Background(), fmt.Sprintf(
			`BEGIN; LOCK TABLE public.accounts_%[1]s IN SHARE ROW EXCLUSIVE MODE;
			UPDATE public.accounts_%[1]s SET filler = repeat(md5(random()::text), 300); COMMIT`, node.Name)))
	}},
}

func (c *campaign) killReplicator(n *Node) { c.kill("replicator", n.PID(), n.Kill) }
func (c *campaign) killServer(n *Node)     { c.kill("postgres", n.DB.PID(), n.DB.Kill9) }
func (c *campaign) killBroker()            { c.kill("broker", c.f.Broker.PID(), c.f.Broker.Kill9) }

// kill counts the process if it was alive before and is not after; a server
// counts once, however many processes it has.
func (c *campaign) kill(kind string, pid int, how func()) {
	alive := func() bool { return pid != 0 && syscall.Kill(pid, 0) == nil }
	lived := alive()
	how()
	if !lived {
		c.Logf("    %s %d had ended before it was killed", kind, pid)
		return
	}
	require.False(c, alive(), "%s %d survives SIGKILL", kind, pid)
	c.kills[kind]++
	c.Logf("    killed %s %d", kind, pid)
}

func (c *campaign) killed() (total int) {
	for _, kills := range c.kills {
		total += kills
	}
	return total
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
	weight := func(f fault) int {
		if c.f.Broker != nil {
			return f.external
		}
		return f.embedded
	}
	total := 0
	for _, fault := range faults {
		total += weight(fault)
	}
	draw := c.random.IntN(total)
	for _, fault := range faults {
		if draw -= weight(fault); draw < 0 {
			c.Logf("%3d kills so far; %s", c.killed(), fault.name)
			fault.do(c)
			c.counts[fault.name]++
			return
		}
	}
}

// TestChaos kills, cuts and loses while pgbench and a load of our own transfer
// money at every node, and then wants every node equal, row for row, nothing
// doubled and nothing missing, and at no sampled instant a wrong sum. The seed
// decides where the broker is (even: one in every replicator, odd: one for all,
// in a process of its own) and the order of faults, not how they meet the load.
// make chaos SEED=n DURATION=10m KILLS=100
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
	broker := map[bool]string{false: "embedded", true: "external"}[seed%2 == 1]
	t.Logf("SEED=%d DURATION=%s KILLS=%d, broker %s", seed, duration, kills, broker)

	nodes := []string{"east", "central", "west"}
	f := New(t, Config{Nodes: nodes, Schema: BankSchema(nodes), Ownership: BankOwnership(nodes), Supervised: true,
		External: broker == "external", Extra: "delivery: {max_wait: 5s}\n"})
	c := &campaign{T: t, f: f, random: rand.New(rand.NewPCG(seed, 0)), kills: map[string]int{}, counts: map[string]int{},
		sampler: f.StartSampler(200 * time.Millisecond)}
	var loads []*Load
	var benches []*Pgbench
	for i, node := range f.Nodes() {
		loads = append(loads, node.StartLoad(seed+uint64(i), 2, 20*time.Millisecond))
		benches = append(benches, node.StartPgbench(4, 100))
	}
	began := time.Now()
	for time.Since(began) < duration || c.killed() < kills {
		c.strike()
		c.pause()
		require.NoError(t, c.sampler.Broken(), "SEED=%d", seed)
	}
	took := time.Since(began).Round(time.Second)
	f.Heal()
	for i := range loads {
		loads[i].Stop()
		require.NoError(t, benches[i].Stop(), "SEED=%d", seed)
	}
	f.Converge(3 * time.Minute)
	require.NoError(t, c.sampler.Stop(), "SEED=%d", seed)
	require.NoError(t, f.CheckHistory(context.Background(), loads...), "SEED=%d", seed)
	require.NoError(t, f.CheckPgbench(context.Background(), benches...), "SEED=%d", seed)
	require.NoError(t, f.CheckBooks(context.Background()), "SEED=%d", seed)
	require.Positive(t, c.sampler.Samples())
	var transfers []string
	for i, node := range f.Nodes() {
		require.Empty(t, node.Conflicts(), "SEED=%d", seed)
		require.Positive(t, benches[i].Committed(), "pgbench at %s made no transfer", node.Name)
		t.Logf("%s: the replicator ended by itself %d times; %d runs of pgbench lost their server",
			node.Name, node.Restarts(), benches[i].Broken())
		transfers = append(transfers, fmt.Sprintf("%s %d by pgbench and %d of ours", node.Name, benches[i].Committed(), loads[i].Committed()))
	}
	t.Logf("faults: %v", c.counts)
	t.Logf("SEED=%d, broker %s, Postgres %d, %s: killed %d processes (%d replicators, %d postgres, %d brokers); %d samples; transfers: %s",
		seed, broker, f.Nodes()[0].DB.Major, took, c.killed(), c.kills["replicator"], c.kills["postgres"], c.kills["broker"],
		c.sampler.Samples(), strings.Join(transfers, ", "))
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
