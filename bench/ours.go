package main

import (
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

	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/pglocal"
	"github.com/pgfed/pgfed/internal/report"
	"github.com/pgfed/pgfed/internal/wait"
)

// ours is pgfed: a replicator with an embedded broker beside each server.
type ours struct {
	stage *stage
	// everything: the origin's replicator is off too while the work is
	// written, as nothing of native replication runs then. Otherwise the work
	// waits at the origin's broker.
	everything bool

	file       string // the federation file
	east, west *replicator
}

func (o *ours) name() string {
	if o.everything {
		return "pgfed, from the log"
	}
	return "pgfed"
}

// replicator is a process of ours.
type replicator struct {
	node     string
	postgres string
	http     string
	broker   string
	stage    *stage
	file     string
	folder   string
	cmd      *exec.Cmd
	exited   chan struct{}
}

func (o *ours) install(ctx context.Context, p pair) error {
	folder := filepath.Join(o.stage.folder, p.name)
	if err := os.Mkdir(folder, 0o755); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	o.file = filepath.Join(folder, "pgfed.yaml")
	document := "federation: " + p.name + "\ntables: {include: [\"public.*\"], insert_only: [pgbench_history]}\nnodes:\n"
	for _, at := range []struct {
		name, url string
		to        **replicator
	}{{"east", p.origin, &o.east}, {"west", p.target, &o.west}} {
		r := &replicator{node: at.name, postgres: at.url, stage: o.stage, file: o.file, folder: filepath.Join(folder, at.name)}
		for _, address := range []*string{&r.http, &r.broker} {
			port, err := pglocal.FreePort()
			if err != nil {
				return err
			}
			*address = fmt.Sprintf("127.0.0.1:%d", port)
		}
		document += fmt.Sprintf("  %s: {url: \"nats://%s\"}\n", r.node, r.broker)
		*at.to = r
	}
	if err := os.WriteFile(o.file, []byte(document), 0o644); err != nil {
		return fmt.Errorf("write the federation file: %w", err)
	}
	for _, r := range o.both() {
		init := exec.CommandContext(ctx, o.stage.replctl, "init", "--yes", "--config", o.file, "--node", r.node, "--postgres", r.postgres)
		if out, err := init.CombinedOutput(); err != nil {
			return fmt.Errorf("replctl init at %s: %w\n%s", r.node, err, out)
		}
	}
	for _, r := range o.both() {
		if err := r.start(); err != nil {
			return err
		}
	}
	for _, r := range o.both() {
		if err := r.healthy(ctx); err != nil {
			return err
		}
	}
	return crossed(ctx, p)
}

func (o *ours) both() []*replicator { return []*replicator{o.east, o.west} }

// affected are the replicators that off stops.
func (o *ours) affected() []*replicator {
	if o.everything {
		return o.both()
	}
	return []*replicator{o.west}
}

func (o *ours) off(context.Context) error {
	var errs []error
	for _, r := range o.affected() {
		errs = append(errs, r.stop())
	}
	return errors.Join(errs...)
}

func (o *ours) settle(ctx context.Context) error {
	if o.everything {
		return nil
	}
	text, err := ask(ctx, o.east.postgres, "SELECT pg_current_wal_flush_lsn()")
	if err != nil {
		return err
	}
	flushed, err := change.ParseLSN(text)
	if err != nil {
		return err
	}
	err = wait.Until(ctx, 5*time.Minute, func() (bool, error) {
		status, err := o.east.status(ctx)
		return err == nil && status.Node.Stream.Captured >= flushed, nil
	})
	if err != nil {
		return fmt.Errorf("wait until east has shipped all: %w\n%s", err, tail(o.east.log(), 15))
	}
	return nil
}

func (o *ours) on(context.Context) error {
	var errs []error
	for _, r := range o.affected() {
		errs = append(errs, r.start())
	}
	return errors.Join(errs...)
}

func (o *ours) remove(context.Context) error {
	var errs []error
	for _, r := range o.both() {
		if r != nil {
			errs = append(errs, r.stop())
		}
	}
	return errors.Join(errs...)
}

func (o *ours) processes() map[string]int {
	found := map[string]int{}
	for _, r := range o.both() {
		if r != nil && r.cmd != nil {
			found["replicator "+r.node] = r.cmd.Process.Pid
		}
	}
	return found
}

func (o *ours) ailing(ctx context.Context) string {
	for _, r := range o.both() {
		select {
		case <-r.exited:
			return fmt.Sprintf("the replicator of %s has ended: %s", r.node, tail(r.log(), 5))
		default:
		}
		status, err := r.status(ctx)
		if err != nil {
			continue
		}
		for _, inbound := range status.Node.Inbound {
			if inbound.Halt != nil {
				return fmt.Sprintf("%s has halted: %s: %s", r.node, inbound.Halt.Code, inbound.Halt.Message)
			}
		}
	}
	return ""
}

func (r *replicator) log() string { return r.folder + ".log" }

func (r *replicator) start() error {
	r.cmd = exec.Command(r.stage.replicator, "--config", r.file, "--node", r.node, "--postgres", r.postgres,
		"--data-dir", r.folder, "--http", r.http, "--broker-listen", r.broker)
	if err := launch(r.cmd, r.log(), syscall.SIGKILL); err != nil {
		r.cmd = nil
		return err
	}
	cmd, exited := r.cmd, make(chan struct{})
	r.exited = exited
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	return nil
}

// stop is a clean stop; one that takes too long is reported and killed.
func (r *replicator) stop() error {
	if r.cmd == nil {
		return nil
	}
	defer func() { r.cmd = nil }()
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.exited:
		return nil
	case <-time.After(40 * time.Second):
		_ = r.cmd.Process.Kill()
		<-r.exited
		return fmt.Errorf("stop the replicator of %s: it still ran after 40 s", r.node)
	}
}

func (r *replicator) status(ctx context.Context) (status report.Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.http+"/v1/status", nil)
	if err != nil {
		return status, fmt.Errorf("make a request: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return status, fmt.Errorf("ask %s: %w", r.node, err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		return status, fmt.Errorf("read the status of %s: %w", r.node, err)
	}
	return status, nil
}

func (r *replicator) healthy(ctx context.Context) error {
	var complaints []string
	err := wait.Until(ctx, 60*time.Second, func() (bool, error) {
		select {
		case <-r.exited:
			return false, errors.New("it has ended")
		default:
		}
		status, err := r.status(ctx)
		complaints = nil
		if err != nil { // not listening yet
			complaints = []string{err.Error()}
		}
		for _, reason := range status.Node.Health.Reasons {
			complaints = append(complaints, reason.Code+": "+reason.Message)
		}
		return err == nil && status.Node.Health.OK && status.Node.Role == "active", nil
	})
	if err != nil {
		return fmt.Errorf("wait until the replicator of %s is healthy: %w; it complains of [%s]; its log ends:\n%s",
			r.node, err, strings.Join(complaints, "; "), tail(r.log(), 15))
	}
	return nil
}
