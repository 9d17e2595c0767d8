package main

import (
	"context"
	"fmt"
	"time"

	"github.com/pgfed/pgfed/internal/wait"
)

// system replicates from a pair's origin to its target.
type system interface {
	name() string
	// install sets everything up and returns when a row has crossed.
	install(ctx context.Context, p pair) error
	off(ctx context.Context) error
	// settle returns when all that can happen while the target's side is off
	// has happened.
	settle(ctx context.Context) error
	on(ctx context.Context) error
	remove(ctx context.Context) error
	// processes are its own, beside the servers', by name.
	processes() map[string]int
	// ailing says why nothing will arrive any more; "" when all is well.
	ailing(ctx context.Context) string
}

// native is Postgres's own logical replication.
type native struct {
	stage     *stage
	streaming bool
	pair      pair
}

func (n *native) name() string {
	if n.streaming {
		return "native, streaming"
	}
	return "native"
}

func (n *native) install(ctx context.Context, p pair) error {
	n.pair = p
	if err := execute(ctx, p.origin, "CREATE PUBLICATION bench FOR ALL TABLES"); err != nil {
		return err
	}
	err := execute(ctx, p.target, fmt.Sprintf("CREATE SUBSCRIPTION %s CONNECTION '%s' PUBLICATION bench WITH (copy_data = false, streaming = %t)",
		p.name, n.stage.origin.libpq(p.name), n.streaming))
	if err != nil {
		return err
	}
	return crossed(ctx, p)
}

func (n *native) alter(ctx context.Context, what string) error {
	return execute(ctx, n.pair.target, "ALTER SUBSCRIPTION "+n.pair.name+" "+what)
}

func (n *native) off(ctx context.Context) error {
	if err := n.alter(ctx, "DISABLE"); err != nil {
		return err
	}
	// The slot is free when nobody decodes any more.
	return wait.Until(ctx, 30*time.Second, func() (bool, error) {
		busy, err := ask(ctx, n.pair.origin, "SELECT count(*) FROM pg_replication_slots WHERE active")
		return busy == "0", err
	})
}

func (n *native) settle(context.Context) error { return nil }
func (n *native) on(ctx context.Context) error { return n.alter(ctx, "ENABLE") }
func (n *native) remove(ctx context.Context) error {
	return execute(ctx, n.pair.target, "DROP SUBSCRIPTION "+n.pair.name)
}
func (n *native) processes() map[string]int         { return nil }
func (n *native) ailing(ctx context.Context) string { return "" }

// crossed writes a row and waits until it is at the target.
func crossed(ctx context.Context, p pair) error {
	if err := execute(ctx, p.origin, "INSERT INTO mark VALUES (-1)"); err != nil {
		return err
	}
	err := wait.Until(ctx, 60*time.Second, func() (bool, error) {
		n, err := ask(ctx, p.target, "SELECT count(*) FROM mark WHERE id = -1")
		return n == "1", err
	})
	if err != nil {
		return fmt.Errorf("wait for the first row: %w", err)
	}
	return nil
}
