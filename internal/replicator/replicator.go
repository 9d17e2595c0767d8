package replicator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgfed/pgfed/applier"
	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/report"
	"github.com/pgfed/pgfed/internal/wait"
	"github.com/pgfed/pgfed/transport"
)

// How long to pause before trying again.
const (
	shortestPause = 200 * time.Millisecond
	longestPause  = 5 * time.Second
)

// Replicator is one member's service.
type Replicator struct {
	Options
	log     *slog.Logger
	rules   *conflict.Rules
	peers   []string // the other members, in order
	board   *board
	metrics *metrics
	started time.Time
	// memories outlive the appliers of an origin.
	memories map[string]*applier.Memory
}

// Run serves until the context ends, then stops cleanly. It returns early only
// for reasons that trying again cannot mend: a wrong configuration, a database
// that belongs to somebody else, a data directory in use.
func Run(ctx context.Context, options Options) error {
	r, err := newReplicator(options)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.serveHTTP(ctx) })
	group.Go(func() error { return r.serve(ctx) })
	err = group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func newReplicator(options Options) (*Replicator, error) {
	f := options.Federation
	if _, member := f.Nodes[options.Node]; !member {
		return nil, fmt.Errorf("node %q is not a member of federation %q: add it to nodes in the federation file or correct --node", options.Node, f.Federation)
	}
	var names []string
	for name := range f.Nodes {
		names = append(names, name)
	}
	slices.Sort(names)
	rules, err := conflict.Compile(f.RuleSpec(), names, conflict.Policy(f.Conflict))
	if err != nil {
		return nil, fmt.Errorf("read the ownership rules: %w", err)
	}
	r := &Replicator{Options: options, log: options.Logger, rules: rules, peers: f.PeersOf(options.Node), started: time.Now()}
	r.memories = map[string]*applier.Memory{}
	for _, peer := range r.peers {
		r.memories[peer] = new(applier.Memory)
	}
	r.board = newBoard(r.peers, r.urlOf)
	r.metrics = newMetrics(r)
	return r, nil
}

// urlOf is the address where a peer's broker is dialed.
func (r *Replicator) urlOf(peer string) string {
	if url, found := r.PeerURL[peer]; found {
		return url
	}
	return r.Federation.Nodes[peer].URL
}

// serve keeps the broker up for the peers whatever the database does, and
// lives one life with the database after another.
func (r *Replicator) serve(ctx context.Context) error {
	// The broker outlives the lives and is closed after the last has drained.
	var broker *transport.Broker
	if r.Federation.Broker.Mode == "embedded" {
		var err error
		if broker, err = r.startBroker(ctx); err != nil {
			return err
		}
		defer broker.Close()
	}
	failures := 0
	for {
		began := time.Now()
		err := r.live(ctx, broker)
		if ctx.Err() != nil {
			r.board.setRole("stopping")
			r.log.Info("stopped")
			return context.Cause(ctx)
		}
		if errors.Is(err, errUnusable) {
			return err
		}
		r.board.setRole("starting")
		r.board.complain("life", report.Reason{Code: "not_running", Message: err.Error(),
			Remedy: "nothing to do if this passes; otherwise mend what the message names"})
		r.log.Warn("starting again", "error", err)
		if time.Since(began) > time.Minute {
			failures = 0
		}
		failures++
		if err := wait.Pause(ctx, backoff(failures)); err != nil {
			return err
		}
	}
}

// backoff doubles from the shortest to the longest pause.
func backoff(failures int) time.Duration {
	d := shortestPause
	for ; failures > 1 && d < longestPause; failures-- {
		d *= 2
	}
	return min(d, longestPause)
}

func (r *Replicator) startBroker(ctx context.Context) (*transport.Broker, error) {
	keys := map[string]string{}
	for name, node := range r.Federation.Nodes {
		if node.Key != "" {
			keys[name] = node.Key
		}
	}
	broker, err := transport.StartBroker(ctx, transport.BrokerConfig{
		Federation: r.Federation.Federation, Node: r.Node, DataDir: r.DataDir,
		Listen: r.BrokerListen, WebsocketListen: r.BrokerWebsocket, WebsocketTLS: r.BrokerWSTLS,
		CertFile: r.BrokerCert, KeyFile: r.BrokerKey,
		Peers: keys, MaxStore: 2 * int64(r.Federation.Stream.MaxBytes),
		Logger: r.log.With("part", "broker"),
	})
	if err != nil {
		return nil, fmt.Errorf("start the embedded broker: %w", err)
	}
	return broker, nil
}

// dialOwn connects to the node's own broker.
func (r *Replicator) dialOwn(ctx context.Context, broker *transport.Broker) (*transport.Link, error) {
	cfg := r.dialConfig("capture")
	if broker != nil {
		cfg.Broker = broker
		return transport.Dial(ctx, cfg)
	}
	var problems []error
	for _, url := range r.Federation.BrokerURLs(r.Node) {
		cfg.URL = url
		link, err := transport.Dial(ctx, cfg)
		if err == nil {
			return link, nil
		}
		problems = append(problems, err)
	}
	return nil, fmt.Errorf("connect to the node's own broker: %w", errors.Join(problems...))
}

func (r *Replicator) dialConfig(purpose string) transport.DialConfig {
	return transport.DialConfig{
		Name: purpose, Federation: r.Federation.Federation, Node: r.Node,
		CAFile: r.CAFile, NKeySeedFile: r.NKeyFile, CredentialsFile: r.Credentials,
		Logger: r.log,
	}
}
