package replicator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pgfed/pgfed/internal/admin"
)

// stuck is how long the main loop may show no progress before the process is
// reported dead. Waiting for a database or a broker is progress.
const stuck = time.Minute

// serveHTTP answers /metrics, /livez, /readyz and /v1 until the context ends.
func (r *Replicator) serveHTTP(ctx context.Context) error {
	listener, err := net.Listen("tcp", r.HTTP)
	if err != nil {
		return fmt.Errorf("listen for HTTP (--http): %w", err)
	}
	server := &http.Server{Handler: r.routes(), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	r.log.Info("listening", "http", listener.Addr().String())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return context.Cause(ctx)
}

func (r *Replicator) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r.Registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", r.livez)
	mux.HandleFunc("GET /readyz", r.readyz)
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, r.status()) })
	mux.HandleFunc("GET /v1/conflicts", listing(r, admin.Conflicts))
	mux.HandleFunc("GET /v1/parked", listing(r, admin.Parked))
	return mux
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away
}

// livez says whether the process makes progress at all; it does not look at
// the database, the broker or lag, which a restart would not mend.
func (r *Replicator) livez(w http.ResponseWriter, _ *http.Request) {
	var still time.Duration
	var role string
	r.board.update(func(b *board) { still, role = time.Since(b.alive), b.role })
	if role == "active" && still > stuck {
		http.Error(w, fmt.Sprintf("no progress for %s", still.Round(time.Second)), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// readyz says whether the instance is connected: active, or waiting to be.
func (r *Replicator) readyz(w http.ResponseWriter, _ *http.Request) {
	var role string
	r.board.update(func(b *board) { role = b.role })
	if role != "active" && role != "standby" {
		http.Error(w, role, http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte(role + "\n"))
}

// listing serves rows of the local database, newest first.
func listing[T any](r *Replicator, read func(context.Context, admin.Querier, int) ([]T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, request *http.Request) {
		limit := 100
		if text := request.URL.Query().Get("limit"); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > 10000 {
				http.Error(w, "limit: want a number from 1 to 10000", http.StatusBadRequest)
				return
			}
			limit = n
		}
		ctx, cancel := context.WithTimeout(request.Context(), 8*time.Second)
		defer cancel()
		conn, err := r.session(ctx, "http")
		if err != nil {
			http.Error(w, "the local database does not answer", http.StatusServiceUnavailable)
			return
		}
		defer conn.Close(context.WithoutCancel(ctx))
		rows, err := read(ctx, conn, limit)
		if err != nil {
			r.log.Warn("a listing could not be read", "error", err)
			http.Error(w, "the listing could not be read; the replicator's log says why", http.StatusServiceUnavailable)
			return
		}
		answer(w, http.StatusOK, rows)
	}
}
