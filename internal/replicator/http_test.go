package replicator

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/config"
	"github.com/pgfed/pgfed/internal/report"
)

// TestProbesAndStatusInEachRole: a standby is ready and alive, a start that
// takes long is alive, and only an active instance that does not move is dead.
func TestProbesAndStatusInEachRole(t *testing.T) {
	federation, err := config.Load("../../deploy/examples/federation.yaml")
	require.NoError(t, err)
	for _, c := range []struct {
		role        string
		still       time.Duration
		peers       bool // heard of just now
		live, ready int
		healthy     bool
		reason      string
	}{
		{role: "starting", live: 200, ready: 503, reason: "not_running"},
		{role: "starting", still: time.Hour, live: 200, ready: 503, reason: "not_running"},
		{role: "standby", still: time.Hour, live: 200, ready: 200, healthy: true},
		{role: "active", peers: true, live: 200, ready: 200, healthy: true},
		{role: "active", live: 200, ready: 200, reason: "peer_unreachable"},
		{role: "active", still: 2 * stuck, peers: true, live: 503, ready: 200, healthy: true},
		{role: "stopping", live: 200, ready: 503, reason: "not_running"},
	} {
		r, err := newReplicator(Options{Federation: federation, Node: "east", Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
		require.NoError(t, err)
		r.board.update(func(b *board) {
			b.role, b.alive = c.role, time.Now().Add(-c.still)
			for _, peer := range b.peers {
				if c.peers {
					peer.Heard = time.Now()
				}
			}
		})
		get := func(path string) *httptest.ResponseRecorder {
			recorder := httptest.NewRecorder()
			r.routes().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
			return recorder
		}
		require.Equal(t, c.live, get("/livez").Code, "%+v", c)
		require.Equal(t, c.ready, get("/readyz").Code, "%+v", c)
		require.Contains(t, get("/readyz").Body.String(), c.role)

		answer := get("/v1/status")
		require.Equal(t, http.StatusOK, answer.Code)
		require.Equal(t, "application/json", answer.Header().Get("Content-Type"))
		var status report.Status
		require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &status))
		require.Equal(t, []string{"east", c.role}, []string{status.Node.Name, status.Node.Role})
		require.Equal(t, c.healthy, status.Node.Health.OK, "%+v: %+v", c, status.Node.Health)
		require.Len(t, status.Peers, len(federation.Nodes)-1)
		require.Equal(t, c.peers, status.Peers[0].Reachable)
		if c.reason != "" {
			require.Equal(t, c.reason, status.Node.Health.Reasons[0].Code)
		}
		require.Equal(t, http.StatusOK, get("/metrics").Code)
		require.Equal(t, http.StatusBadRequest, get("/v1/conflicts?limit=0").Code)
		require.Equal(t, http.StatusNotFound, get("/v2").Code)
	}
}
