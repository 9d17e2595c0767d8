package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgfed/pgfed/internal/pglocal"
	"github.com/pgfed/pgfed/internal/wait"
)

// stage is what all measurements share: two servers and the built programs.
type stage struct {
	folder     string
	keep       bool
	origin     *server
	target     *server
	install    pglocal.Installation
	replicator string
	replctl    string
	bases      int
}

func newStage(ctx context.Context, o options) (*stage, error) {
	install, err := pglocal.Find(o.major)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(pglocal.ShortTempFolder(), "pgfed-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	s := &stage{folder: folder, keep: o.keep, install: install}
	if err := s.fill(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stage) fill(ctx context.Context) error {
	if err := os.Chmod(s.folder, 0o755); err != nil {
		return fmt.Errorf("open the folder to the servers' user: %w", err)
	}
	fmt.Println("building replicator and replctl")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", s.folder+"/", "./cmd/replicator", "./cmd/replctl")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	s.replicator, s.replctl = filepath.Join(s.folder, "replicator"), filepath.Join(s.folder, "replctl")
	s.origin = &server{name: "east", folder: filepath.Join(s.folder, "east"), install: s.install}
	s.target = &server{name: "west", folder: filepath.Join(s.folder, "west"), install: s.install}
	for _, server := range []*server{s.origin, s.target} {
		if err := server.start(ctx); err != nil {
			return err
		}
	}
	fmt.Printf("two servers (%s) are up\n", s.install.Version)
	return nil
}

func (s *stage) close() {
	for _, server := range []*server{s.origin, s.target} {
		if server != nil {
			server.stop()
		}
	}
	if s.keep {
		fmt.Println("kept", s.folder)
		return
	}
	_ = os.RemoveAll(s.folder)
}

// pair is a fresh database on each server, and where they are.
type pair struct {
	name           string
	origin, target string // connection strings
}

// databases makes a pair and runs the schema in both.
func (s *stage) databases(ctx context.Context, schema string) (pair, error) {
	s.bases++
	p := pair{name: fmt.Sprintf("bench%d", s.bases)}
	p.origin, p.target = s.origin.url(p.name), s.target.url(p.name)
	var group errgroup.Group
	for _, server := range []*server{s.origin, s.target} {
		group.Go(func() error {
			if err := execute(ctx, server.url("postgres"), "CREATE DATABASE "+p.name); err != nil {
				return err
			}
			return execute(ctx, server.url(p.name), schema+"; CREATE TABLE mark (id int PRIMARY KEY)")
		})
	}
	return p, group.Wait()
}

// drop removes a pair and what makes room: nothing of one measurement is left
// when the next begins.
func (s *stage) drop(ctx context.Context, p pair) error {
	var group errgroup.Group
	for _, server := range []*server{s.origin, s.target} {
		group.Go(func() error {
			url := server.url("postgres")
			slots := fmt.Sprintf("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '%s'", p.name)
			err := wait.Until(ctx, 30*time.Second, func() (bool, error) { return execute(ctx, url, slots) == nil, nil })
			if err != nil {
				return fmt.Errorf("drop the slots of %s: %w", p.name, err)
			}
			err = execute(ctx, url, "DROP DATABASE "+p.name+" WITH (FORCE)")
			return errors.Join(err, execute(ctx, url, "SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin"),
				execute(ctx, url, "CHECKPOINT"))
		})
	}
	return group.Wait()
}

func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return conn, nil
}

// execute runs SQL, several statements if need be, in a session of its own.
func execute(ctx context.Context, url, sql string) error {
	conn, err := connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("run %.60q: %w", sql, err)
	}
	return nil
}

// ask returns the one value, as text.
func ask(ctx context.Context, url, query string) (value string, err error) {
	conn, err := connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := conn.QueryRow(ctx, "SELECT ("+query+")::text").Scan(&value); err != nil {
		return "", fmt.Errorf("ask %.60q: %w", query, err)
	}
	return value, nil
}

// launch starts a process that logs to a file and is told when we end.
func launch(cmd *exec.Cmd, log string, onDeath syscall.Signal) error {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open a log: %w", err)
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Pdeathsig = true, onDeath
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", filepath.Base(cmd.Path), err)
	}
	return nil
}

func tail(file string, lines int) string {
	content, _ := os.ReadFile(file)
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
