package fedtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/pgfed/pgfed/internal/proctest"
)

// wire is the way from one node's replicator to another node's broker.
type wire struct {
	proxy *toxiproxy.Proxy
}

// wires are all ways of a federation, by dialing node and dialed node.
type wires map[[2]string]*wire

func newWires(t testing.TB, nodes map[string]*Node) wires {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	all := wires{}
	for from := range nodes {
		for to, node := range nodes {
			if from == to {
				continue
			}
			address := net.JoinHostPort("127.0.0.1", strconv.Itoa(proctest.Port(t))) // free again after Cut
			proxy := toxiproxy.NewProxy(server, from+"-"+to, address, node.BrokerAddr)
			if err := proxy.Start(); err != nil {
				t.Fatal(fmt.Errorf("start proxy %s to %s: %w", from, to, err))
			}
			all[[2]string{from, to}] = &wire{proxy: proxy}
		}
	}
	return all
}

func (w wires) stop() {
	for _, wire := range w {
		wire.proxy.Stop()
	}
}

// address is where from reaches to.
func (w wires) address(from, to string) string { return w[[2]string{from, to}].proxy.Listen }

const (
	silence = "silence" // nothing crosses, nobody is told
	delay   = "delay"
)

// add lays a toxic on both directions of a way; again is no mistake.
func (w *wire) add(name, kind, attributes string) error {
	for _, direction := range []string{"upstream", "downstream"} {
		_, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(
			`{"name": "%s-%s", "type": %q, "stream": %q, "attributes": %s}`, name, direction, kind, direction, attributes)))
		if err != nil && !errors.Is(err, toxiproxy.ErrToxicAlreadyExists) {
			return fmt.Errorf("disturb %s: %w", w.proxy.Name, err)
		}
	}
	return nil
}

func (w *wire) remove(ctx context.Context, name string) error {
	for _, direction := range []string{"upstream", "downstream"} {
		err := w.proxy.Toxics.RemoveToxic(ctx, name+"-"+direction)
		if err != nil && !errors.Is(err, toxiproxy.ErrToxicNotFound) {
			return fmt.Errorf("heal %s: %w", w.proxy.Name, err)
		}
	}
	return nil
}

// between gives both ways between two nodes; with b empty all ways of a.
func (f *Federation) between(a, b string) []*wire {
	f.t.Helper()
	var found []*wire
	for pair, wire := range f.wires {
		if (pair[0] == a && (b == "" || pair[1] == b)) || (pair[1] == a && (b == "" || pair[0] == b)) {
			found = append(found, wire)
		}
	}
	if len(found) == 0 {
		f.t.Fatalf("no way between %q and %q", a, b)
	}
	return found
}

// Partition lets nothing cross between two nodes any more and tells neither,
// as a router that drops packets would. An empty b means every other node.
func (f *Federation) Partition(a, b string) {
	f.t.Helper()
	for _, wire := range f.between(a, b) {
		if err := wire.add(silence, "timeout", `{"timeout": 0}`); err != nil {
			f.t.Fatal(err)
		}
	}
}

// Slow delays everything between two nodes, in each direction.
func (f *Federation) Slow(a, b string, by time.Duration) {
	f.t.Helper()
	for _, wire := range f.between(a, b) {
		if err := wire.add(delay, "latency", fmt.Sprintf(`{"latency": %d}`, by.Milliseconds())); err != nil {
			f.t.Fatal(err)
		}
	}
}

// Cut breaks the connections between two nodes; new ones are possible at once.
func (f *Federation) Cut(a, b string) {
	f.t.Helper()
	for _, wire := range f.between(a, b) {
		wire.proxy.Stop()
		if err := wire.proxy.Start(); err != nil {
			f.t.Fatal(fmt.Errorf("start proxy again: %w", err))
		}
	}
}

// Heal ends every partition and delay.
func (f *Federation) Heal() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, wire := range f.wires {
		for _, toxic := range []string{silence, delay} {
			if err := wire.remove(ctx, toxic); err != nil {
				f.t.Fatal(err)
			}
		}
	}
}
