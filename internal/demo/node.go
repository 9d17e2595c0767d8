package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgfed/pgfed/internal/pglocal"
	"github.com/pgfed/pgfed/internal/report"
	"github.com/pgfed/pgfed/internal/wait"
)

// node is one member: a server, and a replicator process.
type node struct {
	name       string
	folder     string
	postgres   pglocal.Installation
	brokerPort int
	httpPort   int
	server     *exec.Cmd
	replicator *exec.Cmd
}

func newNode(name, folder string, p pglocal.Installation) (*node, error) {
	n := &node{name: name, folder: folder, postgres: p}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	var err error
	if n.brokerPort, err = pglocal.FreePort(); err != nil {
		return nil, err
	}
	n.httpPort, err = pglocal.FreePort()
	return n, err
}

func (n *node) socket() string { return filepath.Join(n.folder, "socket") }

func (n *node) url() string {
	return "host=" + n.socket() + " port=5432 user=postgres dbname=postgres"
}

// startPostgres makes the cluster and starts it, without a network address.
func (n *node) startPostgres(ctx context.Context) error {
	data := filepath.Join(n.folder, "data")
	if err := n.postgres.MakeFolder(n.socket(), 0o700); err != nil {
		return err
	}
	if err := n.postgres.MakeCluster(ctx, data); err != nil {
		return fmt.Errorf("make server %s: %w", n.name, err)
	}
	n.server = n.postgres.Command(context.WithoutCancel(ctx), "postgres", "-D", data, "-k", n.socket(), "-c", "listen_addresses=",
		"-c", "wal_level=logical", "-c", "shared_buffers=32MB", "-c", "max_connections=50", "-c", "logging_collector=off")
	if err := n.spawn(n.server, "postgres.log"); err != nil {
		return err
	}
	return wait.Until(ctx, 30*time.Second, func() (bool, error) {
		_, err := n.one(ctx, "SELECT 1")
		return err == nil, nil
	})
}

// spawn starts a process in a group of its own that logs to a file.
func (n *node) spawn(cmd *exec.Cmd, log string) error {
	file, err := os.OpenFile(filepath.Join(n.folder, log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open a log: %w", err)
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s of %s: %w", filepath.Base(cmd.Path), n.name, err)
	}
	return nil
}

func (n *node) startReplicator(program, file string) error {
	n.replicator = exec.Command(program, "--config", file, "--node", n.name, "--postgres", n.url(),
		"--data-dir", filepath.Join(n.folder, "broker"),
		"--http", fmt.Sprintf("127.0.0.1:%d", n.httpPort), "--broker-listen", fmt.Sprintf("127.0.0.1:%d", n.brokerPort))
	return n.spawn(n.replicator, "replicator.log")
}

func (n *node) killReplicator() {
	_ = n.replicator.Process.Kill() // SIGKILL
	_ = n.replicator.Wait()
	n.replicator = nil
}

func (n *node) stop() {
	if n.replicator != nil {
		_ = n.replicator.Process.Signal(syscall.SIGTERM)
		_ = n.replicator.Wait()
	}
	if n.server != nil {
		_ = n.server.Process.Signal(syscall.SIGQUIT) // immediate shutdown: the data is thrown away
		_ = n.server.Wait()
	}
}

// untilHealthy waits until the replicator has nothing to complain of.
func (n *node) untilHealthy(ctx context.Context) error {
	var last report.Status
	err := wait.Until(ctx, 60*time.Second, func() (bool, error) {
		if n.replicator.ProcessState != nil {
			return false, errors.New("its replicator has ended")
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/v1/status", n.httpPort), nil)
		if err != nil {
			return false, err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false, nil // not listening yet
		}
		defer response.Body.Close()
		last = report.Status{}
		if err := json.NewDecoder(response.Body).Decode(&last); err != nil {
			return false, nil
		}
		return last.Node.Health.OK && last.Node.Role == "active", nil
	})
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(n.folder, "replicator.log"))
		return fmt.Errorf("wait until %s is healthy: %w; it complains of %v; its log ends:\n%s", n.name, err, last.Node.Health.Reasons, tail(log))
	}
	return nil
}

func tail(log []byte) []byte {
	lines := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-15):], []byte("\n"))
}

func (n *node) with(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, n.url())
	if err != nil {
		return fmt.Errorf("connect to the database of %s: %w", n.name, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := do(conn); err != nil {
		return fmt.Errorf("on %s: %w", n.name, err)
	}
	return nil
}

func (n *node) exec(ctx context.Context, sql string) error {
	return n.with(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql)
		return err
	})
}

func (n *node) one(ctx context.Context, sql string) (value string, err error) {
	err = n.with(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT (`+sql+`)::text`).Scan(&value)
	})
	return value, err
}

// load inserts rows until the context ends and says how many.
func (n *node) load(ctx context.Context) (rows int, err error) {
	within := context.WithoutCancel(ctx) // a begun insert is finished, or the count is wrong
	err = n.with(within, func(conn *pgx.Conn) error {
		for ctx.Err() == nil {
			if _, err := conn.Exec(within, hippos(5)); err != nil {
				return err
			}
			rows += 5
		}
		return nil
	})
	return rows, err
}

func (d *demo) each(do func(*node) error) error {
	var group errgroup.Group
	for _, n := range d.nodes {
		group.Go(func() error { return do(n) })
	}
	return group.Wait()
}

// table shows one query's rows, a column per node.
func (d *demo) table(ctx context.Context, query string) string {
	var text strings.Builder
	for _, n := range d.nodes {
		fmt.Fprintf(&text, "%-8s", n.name)
		err := n.with(ctx, func(conn *pgx.Conn) error {
			rows, err := conn.Query(ctx, query)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				values, err := rows.Values()
				if err != nil {
					return err
				}
				fmt.Fprintf(&text, "  %v: %v", values[0], values[1])
			}
			return rows.Err()
		})
		if err != nil {
			fmt.Fprintf(&text, "  %v", err)
		}
		text.WriteByte('\n')
	}
	return text.String()
}

// replctl shows what the tool says; its exit code is for scripts.
func (d *demo) replctl(ctx context.Context, n *node, args ...string) string {
	cmd := exec.CommandContext(ctx, d.Replctl, append(args, "--config", d.file, "--server", fmt.Sprintf("http://127.0.0.1:%d", n.httpPort))...)
	out, err := cmd.CombinedOutput()
	if len(out) == 0 && err != nil {
		return err.Error()
	}
	return string(out)
}

func (d *demo) tearDown() {
	for _, n := range d.nodes {
		n.stop()
	}
	if d.Folder != "" && !d.Keep {
		_ = os.RemoveAll(d.Folder)
	}
}

func (d *demo) stopCommand() string {
	var pids []string
	for _, n := range d.nodes {
		pids = append(pids, fmt.Sprint(n.replicator.Process.Pid), fmt.Sprint(n.server.Process.Pid))
	}
	return "kill " + strings.Join(pids, " ") + "; rm -r " + d.Folder
}
