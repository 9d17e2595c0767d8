package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pgfed/pgfed/internal/report"
)

// answerLimit bounds what a replicator may answer.
const answerLimit = 64 << 20

// ask gets a JSON document from the replicator.
func (s *session) ask(ctx context.Context, path string, document any) error {
	base, err := url.Parse(s.server)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return usageError{fmt.Errorf("--server %q is not an address such as http://127.0.0.1:9187", s.server)}
	}
	ctx, cancel := s.asking(ctx)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.server, "/")+path, nil)
	if err != nil {
		return failure{fmt.Errorf("ask the replicator: %w", err)}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		var wrapped *url.Error // repeats the address
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return failure{fmt.Errorf("ask the replicator: %w", err)}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return failure{fmt.Errorf("read the replicator's answer: %w", err)}
	}
	if response.StatusCode != http.StatusOK {
		text, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
		return failure{fmt.Errorf("the replicator at %s answers %s: %.200s", s.server, response.Status, text)}
	}
	if err := json.Unmarshal(body, document); err != nil {
		return failure{fmt.Errorf("read the replicator's answer: %w", err)}
	}
	return nil
}

// nodeStatus is one member as far as the asked replicator knows it. What was
// never heard is absent.
type nodeStatus struct {
	Name      string           `json:"name"`
	Health    report.Health    `json:"health"`
	Reachable bool             `json:"reachable"`
	Heard     *time.Time       `json:"heard,omitempty"`
	URL       string           `json:"url,omitempty"`
	Role      string           `json:"role,omitempty"`
	Version   string           `json:"version,omitempty"`
	Started   *time.Time       `json:"started,omitempty"`
	Rules     uint64           `json:"rules,omitempty"`
	Digest    string           `json:"digest,omitempty"`
	Postgres  *report.Postgres `json:"postgres,omitempty"`
	Slot      *report.Slot     `json:"slot,omitempty"`
	Stream    *report.Stream   `json:"stream,omitempty"`
	Inbound   []report.Inbound `json:"inbound,omitempty"`
	Counts    *report.Counts   `json:"counts,omitempty"`
}

// federationStatus is what "replctl status" prints.
type federationStatus struct {
	Federation string       `json:"federation"`
	OK         bool         `json:"ok"`
	Asked      string       `json:"asked"` // the node that answered
	Time       time.Time    `json:"time"`  // there
	Error      string       `json:"error,omitempty"`
	Nodes      []nodeStatus `json:"nodes"`
}

// status asks for the federation's status. When the replicator does not answer
// that is part of the result: every member is there and says that nothing is
// known of it. Only wrong usage is an error.
func (s *session) status(ctx context.Context) (federationStatus, error) {
	var answer report.Status
	err := s.ask(ctx, "/v1/status", &answer)
	if usage, wrong := errors.AsType[usageError](err); wrong {
		return federationStatus{}, usage
	}
	if err != nil {
		return s.silence(err), nil
	}
	f := federationStatus{Federation: answer.Node.Federation, Asked: answer.Node.Name, Time: answer.Node.Time, OK: true}
	f.Nodes = append(f.Nodes, memberStatus(answer.Node))
	for _, peer := range answer.Peers {
		f.Nodes = append(f.Nodes, peerStatus(peer))
	}
	for _, node := range f.Nodes {
		f.OK = f.OK && node.Health.OK
	}
	return f, nil
}

func memberStatus(n report.Node) nodeStatus {
	if n.Health.Reasons == nil {
		n.Health.Reasons = []report.Reason{}
	}
	return nodeStatus{
		Name: n.Name, Health: n.Health, Reachable: true, Heard: present(n.Time), Role: n.Role, Version: n.Version, Started: present(n.Started),
		Rules: n.Rules, Digest: n.Digest, Postgres: &n.Postgres, Slot: &n.Slot, Stream: &n.Stream, Inbound: n.Inbound, Counts: &n.Counts,
	}
}

func peerStatus(p report.Peer) nodeStatus {
	node := nodeStatus{Name: p.Name, Health: report.Health{OK: true, Reasons: []report.Reason{}}}
	if p.Last != nil {
		node = memberStatus(*p.Last)
		node.Name = p.Name
	}
	node.URL, node.Reachable, node.Heard = p.URL, p.Reachable && p.Last != nil, present(p.Heard)
	if node.Reachable {
		return node
	}
	message := "nothing was ever heard of it"
	if !p.Heard.IsZero() {
		message = "nothing was heard of it since " + moment(p.Heard)
	}
	if p.Error != "" {
		message += ": " + p.Error
	}
	node.Health.OK = false
	node.Health.Reasons = append([]report.Reason{{Code: "unreachable", Message: message, Remedy: "check its replicator and the route to " + p.URL}}, node.Health.Reasons...)
	return node
}

// silence is the status when the asked replicator does not answer.
func (s *session) silence(err error) federationStatus {
	f := federationStatus{Error: err.Error(), Time: time.Now().UTC(), Asked: s.node}
	reason := report.Reason{
		Code: "replicator_silent", Message: "the replicator at " + s.server + " does not answer: " + err.Error(),
		Remedy: "start the replicator, or check --server",
	}
	names := []string{s.node}
	if s.node == "" {
		names[0] = "?"
	}
	if file, err := s.federation(); err == nil {
		f.Federation = file.Federation
		names = file.NodeNames()
	}
	for _, name := range names {
		node := nodeStatus{Name: name, Health: report.Health{Reasons: []report.Reason{reason}}}
		if name != s.node && s.node != "" {
			node.Health.Reasons = []report.Reason{{Code: "unknown", Message: "the replicator that would know does not answer", Remedy: reason.Remedy}}
		}
		f.Nodes = append(f.Nodes, node)
	}
	return f
}

func present(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
