package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/pgfed/pgfed/internal/pglocal"
	"github.com/pgfed/pgfed/internal/wait"
)

// settings of both servers, the same for everybody who is measured.
var settings = []string{
	"wal_level=logical", "fsync=on", "autovacuum=off", "shared_buffers=512MB", "max_wal_size=8GB",
	"wal_retrieve_retry_interval=100ms", "max_connections=100", "log_checkpoints=off",
}

// server is a running Postgres.
type server struct {
	name    string
	folder  string
	install pglocal.Installation
	port    int
	cmd     *exec.Cmd
}

func (s *server) start(ctx context.Context) error {
	data := filepath.Join(s.folder, "data")
	if err := s.install.MakeFolder(s.folder, 0o700); err != nil {
		return err
	}
	if err := s.install.MakeCluster(ctx, data); err != nil {
		return fmt.Errorf("make server %s: %w", s.name, err)
	}
	var err error
	if s.port, err = pglocal.FreePort(); err != nil {
		return err
	}
	args := []string{"-D", data, "-k", s.folder, "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1"}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	s.cmd = s.install.Command(context.WithoutCancel(ctx), "postgres", args...)
	log := s.folder + ".log"
	if err := launch(s.cmd, log, syscall.SIGQUIT); err != nil {
		return err
	}
	err = wait.Until(ctx, 30*time.Second, func() (bool, error) {
		return execute(ctx, s.url("postgres"), "SELECT 1") == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for server %s: %w\n%s", s.name, err, tail(log, 10))
	}
	return nil
}

func (s *server) url(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// libpq is the connection string for the server's own programs.
func (s *server) libpq(database string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=%s", s.port, database)
}

func (s *server) stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(syscall.SIGQUIT) // immediate: the data is thrown away
		_ = s.cmd.Wait()
	}
}
