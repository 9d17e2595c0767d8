package fedtest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pgfed/pgfed/internal/brokertest"
	"github.com/pgfed/pgfed/internal/pgtest"
	"github.com/pgfed/pgfed/internal/proctest"
)

// Config says what federation a test wants.
type Config struct {
	Nodes []string
	// Schema is SQL that runs on every node before it joins, SchemaAt more of
	// it for single nodes.
	Schema   string
	SchemaAt map[string]string
	// YAML fragments of the federation file. Tables defaults to public.*
	// except public.local_*, with public.history_* (the bank's entries) only
	// inserted into; Ownership is list items; Extra is top-level keys
	// (causal waits and stalls are short unless it says otherwise).
	Tables    string
	Ownership string
	Extra     string
	// Postgres are options for every server, PostgresAt more of them for
	// single nodes', such as another major version.
	Postgres   []pgtest.Option
	PostgresAt map[string][]pgtest.Option
	// Supervised replicators are started again when they end by themselves,
	// as every service manager would.
	Supervised bool
	// External puts all streams on one broker in a process of its own instead
	// of one in every replicator.
	External bool
	// Secure is the scheme between nodes that know each other by keys and
	// certificates: tls or wss. Empty: neither keys nor certificates.
	Secure string
	// Idle makes New return before init and before any replicator runs; Init
	// and Node.Start do the rest.
	Idle bool
}

// Federation is a running federation. Its methods fail the test and belong to
// the test's goroutine, unless they return an error.
type Federation struct {
	Config Config
	Folder string              // federation file, logs and stores
	File   string              // the federation file
	Broker *brokertest.Process // nil unless External

	t      testing.TB
	nodes  map[string]*Node
	wires  wires
	papers *papers // nil unless Secure
}

// New runs a federation until the end of the test: databases with their
// schema, replctl init at every node, replicators.
func New(t testing.TB, cfg Config) *Federation {
	t.Helper()
	program(t, "replicator")
	folder, release, err := proctest.Folder(os.TempDir(), "fed")
	if err != nil {
		t.Fatal(err)
	}
	keep := os.Getenv("PGFED_KEEP") != ""
	t.Cleanup(func() {
		if keep {
			t.Logf("kept the federation's files in %s", folder)
		}
		release(keep)
	})
	f := &Federation{Config: cfg, Folder: folder, File: filepath.Join(folder, "pgfed.yaml"), t: t, nodes: map[string]*Node{}}
	t.Cleanup(func() { f.wires.stop() }) // after the nodes, whose logs would tell of it
	if cfg.External {
		f.Broker = brokertest.Start(t, brokertest.Options{})
	}
	if cfg.Secure != "" {
		f.papers = newPapers(t, folder, cfg.Nodes)
	}
	for _, name := range cfg.Nodes {
		f.nodes[name] = f.newNode(name)
	}
	f.wires = newWires(t, f.nodes)
	if err := os.WriteFile(f.File, []byte(f.document()), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, node := range f.Nodes() {
		if sql := cfg.Schema + cfg.SchemaAt[node.Name]; sql != "" {
			node.Exec(sql)
		}
	}
	if cfg.Idle {
		return f
	}
	f.Init()
	for _, node := range f.Nodes() {
		node.Start()
	}
	return f
}

func (f *Federation) newNode(name string) *Node {
	f.t.Helper()
	address := func() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(proctest.Port(f.t))) }
	options := slices.Concat([]pgtest.Option{pgtest.Name(name)}, f.Config.Postgres, f.Config.PostgresAt[name])
	node := &Node{
		Name: name, DB: pgtest.Start(f.t, options...),
		HTTPAddr: address(), BrokerAddr: address(),
		DataDir: filepath.Join(f.Folder, name), LogFile: filepath.Join(f.Folder, name+".log"),
		f: f, t: f.t,
	}
	if f.Broker != nil {
		node.BrokerAddr = strings.TrimPrefix(f.Broker.URL(), "nats://")
	}
	f.t.Cleanup(node.finish)
	return node
}

// document is the federation file.
func (f *Federation) document() string {
	var b strings.Builder
	fmt.Fprintf(&b, "federation: test\nnodes:\n")
	for i, node := range f.Nodes() {
		url := f.scheme() + "://" + node.BrokerAddr
		if f.Broker != nil { // every node has an address of its own, here a way to the one broker
			url = f.url(f.Config.Nodes[(i+1)%len(f.Config.Nodes)], node.Name)
		}
		key := ""
		if f.papers != nil {
			key = ", key: " + f.papers.public[node.Name]
		}
		fmt.Fprintf(&b, "  %s: {url: %q%s}\n", node.Name, url, key)
	}
	if f.Broker != nil {
		fmt.Fprintf(&b, "broker: {mode: external, urls: [%q]}\n", f.Broker.URL())
	}
	tables := f.Config.Tables
	if tables == "" {
		tables = "include: [\"public.*\"]\nexclude: [\"public.local_*\"]\ninsert_only: [\"public.history_*\"]"
	}
	fmt.Fprintf(&b, "tables:\n%s\n", indent(tables))
	if f.Config.Ownership != "" {
		fmt.Fprintf(&b, "ownership:\n%s\n", indent(f.Config.Ownership))
	}
	for _, standard := range []string{"conflict: error", "on_error: stop", "delivery: {max_wait: 5s}", "apply: {stall: 2s}"} {
		key, _, _ := strings.Cut(standard, ":")
		if !strings.Contains("\n"+f.Config.Extra, "\n"+key+":") {
			b.WriteString(standard + "\n")
		}
	}
	b.WriteString(f.Config.Extra)
	return b.String()
}

func (f *Federation) scheme() string {
	if f.Config.Secure != "" {
		return f.Config.Secure
	}
	return "nats"
}

// url is where one node reaches another's broker.
func (f *Federation) url(from, to string) string {
	return f.scheme() + "://" + f.wires.address(from, to)
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}

// Role is what replicators are in the databases: an ordinary role with no more
// than init gives it.
const Role = "pgfed_replicator"

// Init prepares every node's database, as a person would.
func (f *Federation) Init() {
	f.t.Helper()
	for _, node := range f.Nodes() {
		node.Init()
	}
}

// Init prepares the node's database, or does what is left to do.
func (n *Node) Init() {
	n.t.Helper()
	n.Replctl("init", "--yes", "--role", Role)
}

// Node returns a node by name.
func (f *Federation) Node(name string) *Node {
	f.t.Helper()
	node, found := f.nodes[name]
	if !found {
		f.t.Fatalf("no node %q", name)
	}
	return node
}

// Nodes lists nodes in the order of the configuration, all if none is named.
func (f *Federation) Nodes(names ...string) []*Node {
	f.t.Helper()
	for _, name := range names {
		f.Node(name)
	}
	var nodes []*Node
	for _, name := range f.Config.Nodes {
		if node := f.nodes[name]; node != nil && (len(names) == 0 || slices.Contains(names, name)) {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// Stop stops every replicator cleanly.
func (f *Federation) Stop() {
	f.t.Helper()
	for _, node := range f.Nodes() {
		node.Stop()
	}
}

// Start starts every replicator that does not run.
func (f *Federation) Start() {
	f.t.Helper()
	for _, node := range f.Nodes() {
		if !node.Running() {
			node.Start()
		}
	}
}
