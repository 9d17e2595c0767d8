// Package demo plays pgfed's main job on this machine: three Postgres servers
// that cannot reach each other, three replicator processes with a broker each,
// and the schema of the well-known federation guide.
package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/internal/admin"
	"github.com/pgfed/pgfed/internal/config"
	"github.com/pgfed/pgfed/internal/pglocal"
	"github.com/pgfed/pgfed/internal/wait"
)

//go:embed schema.sql
var schema string

var names = []string{"east", "central", "west"}

// Options says how the demo is run.
type Options struct {
	Folder     string // "" for a temporary one
	Keep       bool   // leave everything running
	Replicator string // the replicator's program
	Replctl    string // replctl's program, for status and lag
	Out        io.Writer
}

// ErrUnequal means that the nodes do not hold the same rows at the end.
var ErrUnequal = errors.New("the nodes differ")

type demo struct {
	Options
	began      time.Time
	federation *config.Federation
	file       string
	nodes      []*node
}

// Run plays the demo and returns an error unless all nodes are equal at the end.
func Run(ctx context.Context, options Options) (err error) {
	d := &demo{Options: options, began: time.Now()}
	defer func() {
		if !d.Keep || err != nil {
			d.tearDown()
		}
	}()
	for _, act := range []func(context.Context) error{
		d.raise, d.install, d.start, d.spread, d.refuse, d.killUnderLoad, d.compare,
	} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	if d.Keep {
		d.farewell()
	}
	return nil
}

func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.Out, "%5.1fs  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

func (d *demo) print(text string) {
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintln(d.Out, "        "+line)
	}
}

// raise starts the three servers. Each listens on a socket of its own and on
// no network address: no database can reach another.
func (d *demo) raise(ctx context.Context) error {
	postgres, err := pglocal.Find(0)
	if err != nil {
		return err
	}
	if d.Folder == "" {
		if d.Folder, err = os.MkdirTemp(pglocal.ShortTempFolder(), "pgfed-demo-"); err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
	}
	if err := os.MkdirAll(d.Folder, 0o755); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	if err := os.Chmod(d.Folder, 0o755); err != nil {
		return fmt.Errorf("open the folder to the servers' user: %w", err)
	}
	for _, name := range names {
		n, err := newNode(name, filepath.Join(d.Folder, name), postgres)
		if err != nil {
			return err
		}
		d.nodes = append(d.nodes, n)
	}
	if err := d.each(func(n *node) error { return n.startPostgres(ctx) }); err != nil {
		return err
	}
	d.say("three Postgres servers (%s), each reachable through its own local socket only", postgres.Version)
	return nil
}

// install writes the federation file, the guide's schema and pgfed's own.
func (d *demo) install(ctx context.Context) error {
	d.file = filepath.Join(d.Folder, "pgfed.yaml")
	var text strings.Builder
	text.WriteString("federation: hippo\nnodes:\n")
	for _, n := range d.nodes {
		fmt.Fprintf(&text, "  %s: {url: \"nats://127.0.0.1:%d\"}\n", n.name, n.brokerPort)
	}
	text.WriteString("tables:\n  include: [\"public.*\"]\nownership:\n  - tables: [\"public.hippo_*\"]\n" +
		"    owner: {tables: {hippo_east: east, hippo_central: central, hippo_west: west}}\nconflict: error\n")
	if err := os.WriteFile(d.file, []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("write the federation file: %w", err)
	}
	var err error
	if d.federation, err = config.Load(d.file); err != nil {
		return err
	}
	err = d.each(func(n *node) error {
		if err := n.exec(ctx, strings.ReplaceAll(schema, "@node@", n.name)); err != nil {
			return err
		}
		return n.with(ctx, func(conn *pgx.Conn) error {
			plan, err := admin.NewPlan(ctx, conn, admin.Options{Federation: d.federation, Node: n.name})
			if err != nil {
				return err
			}
			return admin.Install(ctx, conn, plan, func(string) {})
		})
	})
	if err != nil {
		return err
	}
	d.say("the guide's schema on each: hippos, partitioned by node_name, a partition per node; `replctl init` done")
	return nil
}

func (d *demo) start(ctx context.Context) error {
	if err := d.each(func(n *node) error { return n.startReplicator(d.Replicator, d.file) }); err != nil {
		return err
	}
	if err := d.each(func(n *node) error { return n.untilHealthy(ctx) }); err != nil {
		return err
	}
	d.say("three replicators with a broker each are up and see each other")
	return nil
}

// spread is the main job: 25 rows on each node, 75 everywhere.
func (d *demo) spread(ctx context.Context) error {
	if err := d.each(func(n *node) error { return n.exec(ctx, hippos(25)) }); err != nil {
		return err
	}
	d.say("25 random rows inserted on each node through the parent; a trigger moves each to its node's partition")
	if err := d.untilCount(ctx, 75); err != nil {
		return err
	}
	d.say("75 rows on every node:")
	d.print(d.table(ctx, `SELECT node_name, count(*) FROM hippos GROUP BY 1 ORDER BY 1`))
	return nil
}

// refuse writes to somebody else's partition.
func (d *demo) refuse(ctx context.Context) error {
	east, central, west := d.nodes[0], d.nodes[1], d.nodes[2]
	const first = `(SELECT min(id::text)::uuid FROM hippo_west)`
	if err := east.exec(ctx, `UPDATE hippo_west SET value = '{}' WHERE id = `+first); err != nil {
		return err
	}
	d.say("east writes to a row in west's partition; the others refuse it and keep a record (replctl conflicts, on central):")
	err := wait.Until(ctx, 20*time.Second, func() (bool, error) {
		n, err := central.one(ctx, `SELECT count(*) FROM pgfed.conflict_history`)
		return n != "0", err
	})
	if err != nil {
		return fmt.Errorf("wait for the refusal to be recorded: %w", err)
	}
	d.print(d.replctl(ctx, central, "conflicts"))
	if err := west.exec(ctx, `UPDATE hippo_west SET value = datemultirange(daterange(CURRENT_DATE, CURRENT_DATE + 7)) WHERE id = `+first); err != nil {
		return err
	}
	d.say("west, the owner, writes the row again: the owner's row counts, also on east")
	return nil
}

// killUnderLoad kills central's replicator while everybody writes.
func (d *demo) killUnderLoad(ctx context.Context) error {
	central := d.nodes[1]
	load, stop := context.WithCancel(ctx)
	defer stop()
	written := make([]int, len(d.nodes))
	done := make(chan error, len(d.nodes))
	for i, n := range d.nodes {
		go func() {
			count, err := n.load(load)
			written[i] = count
			done <- err
		}()
	}
	if err := wait.Pause(ctx, time.Second); err != nil {
		return err
	}
	central.killReplicator()
	d.say("every node writes as fast as it can; central's replicator is killed with -9 in the middle of it")
	if err := wait.Pause(ctx, 2*time.Second); err != nil {
		return err
	}
	d.say("replctl lag, on east:")
	d.print(d.replctl(ctx, d.nodes[0], "lag"))
	stop()
	total := 75
	for range d.nodes {
		if err := <-done; err != nil {
			return err
		}
	}
	for _, n := range written {
		total += n
	}
	if err := central.startReplicator(d.Replicator, d.file); err != nil {
		return err
	}
	d.say("central's replicator is started again; %d rows were written meanwhile", total-75)
	if err := d.untilCount(ctx, total); err != nil {
		return err
	}
	if err := d.each(func(n *node) error { return n.untilHealthy(ctx) }); err != nil {
		return err
	}
	d.say("central has caught up; replctl status:")
	d.print(d.replctl(ctx, central, "status"))
	return nil
}

// compare holds all rows of all nodes against each other.
func (d *demo) compare(ctx context.Context) error {
	const digest = `SELECT count(*) || ' rows, md5 ' || md5(string_agg(h::text, E'\n' ORDER BY h::text)) FROM (SELECT tableoid::regclass, * FROM hippos) h`
	var digests []string
	err := wait.Until(ctx, 30*time.Second, func() (bool, error) {
		digests = digests[:0]
		for _, n := range d.nodes {
			text, err := n.one(ctx, digest)
			if err != nil {
				return false, err
			}
			digests = append(digests, text)
		}
		return digests[0] == digests[1] && digests[1] == digests[2], nil
	})
	d.say("every row of every node, compared:")
	for i, n := range d.nodes {
		if i < len(digests) {
			d.print(fmt.Sprintf("%-8s %s", n.name, digests[i]))
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnequal, err)
	}
	d.say("all three nodes are equal")
	return nil
}

func (d *demo) untilCount(ctx context.Context, want int) error {
	return d.each(func(n *node) error {
		var last string
		err := wait.Until(ctx, 60*time.Second, func() (bool, error) {
			var err error
			last, err = n.one(ctx, `SELECT count(*) FROM hippos`)
			return last == fmt.Sprint(want), err
		})
		if err != nil {
			return fmt.Errorf("wait for %d rows on %s, which has %s: %w", want, n.name, last, err)
		}
		return nil
	})
}

// hippos is the guide's insert.
func hippos(n int) string {
	return fmt.Sprintf(`INSERT INTO hippos (value, created_at)
SELECT datemultirange(daterange(CURRENT_DATE + n, CURRENT_DATE + n + (100 * random())::int),
                      daterange(CURRENT_DATE + n + 100, CURRENT_DATE + n + 100 + (200 * random())::int)),
       clock_timestamp()
FROM generate_series(1, %d) n`, n)
}

func (d *demo) farewell() {
	d.say("everything keeps running. Try:")
	east := d.nodes[0]
	d.print(fmt.Sprintf(`export PGFED_CONFIG=%s PGFED_SERVER=http://127.0.0.1:%d
%s status
%s lag --watch
psql -h %s -U postgres -c "INSERT INTO hippos (created_at) VALUES (now())"
psql -h %s -U postgres -c "SELECT node_name, count(*) FROM hippos GROUP BY 1"
stop it all: %s`,
		d.file, east.httpPort, d.Replctl, d.Replctl,
		east.socket(), d.nodes[2].socket(), d.stopCommand()))
}
