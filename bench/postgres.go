package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// settings of both servers, the same for everybody who is measured.
var settings = []string{
	"wal_level=logical", "fsync=on", "autovacuum=off", "shared_buffers=512MB", "max_wal_size=8GB",
	"wal_retrieve_retry_interval=100ms", "max_connections=100", "log_checkpoints=off",
}

// installation is the programs of one Postgres version.
type installation struct {
	bin     string
	version string
	as      *syscall.Credential // who runs servers; nil for ourselves
}

// findPostgres looks in PGFED_PG_BIN, in the distribution's folders, and where
// hack/postgres.sh puts other versions.
func findPostgres(major int) (installation, error) {
	var found installation
	if folder := os.Getenv("PGFED_PG_BIN"); folder != "" && major == 0 {
		found.bin = folder
	}
	patterns := []string{"/usr/lib/postgresql/*/bin"}
	if major != 0 {
		patterns = append(patterns, "/var/tmp/pgfed-postgres/*/bin")
	}
	best := 13
	for _, pattern := range patterns {
		folders, _ := filepath.Glob(pattern)
		for _, folder := range folders {
			number, _ := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
			if os.Getenv("PGFED_PG_BIN") == "" && number > best && (major == 0 || number == major) {
				best, found.bin = number, folder
			}
		}
	}
	if found.bin == "" {
		return found, errors.New("no fitting Postgres found: run hack/setup.sh, or set PGFED_PG_BIN to the folder of its programs")
	}
	out, err := exec.Command(filepath.Join(found.bin, "postgres"), "--version").Output()
	if err != nil {
		return found, fmt.Errorf("ask Postgres for its version: %w", err)
	}
	found.version = strings.TrimPrefix(strings.TrimSpace(string(out)), "postgres (PostgreSQL) ")
	if os.Getuid() == 0 {
		account, err := user.Lookup("postgres")
		if err != nil {
			return found, fmt.Errorf("servers refuse to run as root and there is no user postgres to run them: %w", err)
		}
		uid, _ := strconv.ParseUint(account.Uid, 10, 32) // decimal by definition
		gid, _ := strconv.ParseUint(account.Gid, 10, 32)
		found.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return found, nil
}

func (i installation) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(i.bin, program), args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: i.as}
	return cmd
}

// server is a running Postgres.
type server struct {
	name    string
	folder  string
	install installation
	port    int
	cmd     *exec.Cmd
}

func (s *server) start(ctx context.Context) error {
	data := filepath.Join(s.folder, "data")
	for _, folder := range []string{s.folder, data} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
		if as := s.install.as; as != nil {
			if err := os.Chown(folder, int(as.Uid), int(as.Gid)); err != nil {
				return fmt.Errorf("give a folder to the servers' user: %w", err)
			}
		}
	}
	made := s.install.command(ctx, "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-locale", "-E", "UTF8", "--no-sync")
	if out, err := made.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb for %s: %w\n%s", s.name, err, out)
	}
	var err error
	if s.port, err = freePort(); err != nil {
		return err
	}
	args := []string{"-D", data, "-k", s.folder, "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1"}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	s.cmd = s.install.command(context.WithoutCancel(ctx), "postgres", args...)
	log := s.folder + ".log"
	if err := launch(s.cmd, log, syscall.SIGQUIT); err != nil {
		return err
	}
	err = until(ctx, 30*time.Second, func() (bool, error) {
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
