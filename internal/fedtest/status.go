package fedtest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pgfed/pgfed/internal/report"
)

var client = &http.Client{Timeout: 10 * time.Second}

func (n *Node) get(ctx context.Context, path string) ([]byte, error) {
	body, err := get(ctx, "http://"+n.HTTPAddr+path)
	if err != nil {
		return body, fmt.Errorf("ask %s: %w", n.Name, err)
	}
	return body, nil
}

func get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("send request: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return body, fmt.Errorf("get %s: %s: %s", url, response.Status, strings.TrimSpace(string(body)))
	}
	return body, nil
}

// TryStatus asks the replicator for its account of itself and its peers.
func (n *Node) TryStatus(ctx context.Context) (report.Status, error) {
	var status report.Status
	body, err := n.get(ctx, "/v1/status")
	if err != nil {
		return status, err
	}
	if err := json.Unmarshal(body, &status); err != nil {
		return status, fmt.Errorf("read status of %s: %w", n.Name, err)
	}
	return status, nil
}

// Status is TryStatus that fails the test.
func (n *Node) Status() report.Status {
	n.t.Helper()
	status, err := n.TryStatus(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	return status
}

// Inbound is what the node says about what it applies of an origin.
func (n *Node) Inbound(origin string) report.Inbound {
	n.t.Helper()
	inbound, found := inboundOf(n.Status(), origin)
	if !found {
		n.t.Fatalf("%s says nothing about what it applies of %s", n.Name, origin)
	}
	return inbound
}

func inboundOf(status report.Status, origin string) (report.Inbound, bool) {
	for _, inbound := range status.Node.Inbound {
		if inbound.Origin == origin {
			return inbound, true
		}
	}
	return report.Inbound{}, false
}

// Ready is the body of /readyz, an error when the node is not ready.
func (n *Node) Ready(ctx context.Context) error {
	_, err := n.get(ctx, "/readyz")
	return err
}

// Metric adds up the samples of one metric whose labels hold all of the given
// ones, each as name="value".
func (n *Node) Metric(name string, labels ...string) float64 {
	n.t.Helper()
	body, err := n.get(context.Background(), "/metrics")
	if err != nil {
		n.t.Fatal(err)
	}
	var sum float64
	lines := bufio.NewScanner(strings.NewReader(string(body)))
	lines.Buffer(nil, 1<<20)
next:
	for lines.Scan() {
		line := lines.Text()
		rest, found := strings.CutPrefix(line, name)
		if !found || (!strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, " ")) {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(rest, label) {
				continue next
			}
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			n.t.Fatalf("read metric %s of %s: %v", name, n.Name, err)
		}
		sum += value
	}
	return sum
}

// Conflict is a record of a change that was not applied as its origin made it.
type Conflict struct {
	Origin, Position, Ordinal, Schema, Table, Operation, Kind, Resolution, KeyHash, Old, New, Local string
}

// Conflicts reads what the node's database has on record, in the order of the
// changes.
func (n *Node) Conflicts() []Conflict {
	n.t.Helper()
	var conflicts []Conflict
	for _, row := range n.Query(`SELECT origin, position, ordinal, schema_name, table_name, operation, kind, resolution,
		key_hash, remote_old, remote_new, local_row FROM pgfed.conflict_history ORDER BY origin, position, ordinal`) {
		conflicts = append(conflicts, Conflict{row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9], row[10], row[11]})
	}
	return conflicts
}
