package main

import (
	"context"
	"fmt"
	"strconv"
)

// workload is something that happens at the origin.
type workload struct {
	schema       string                                                // SQL on both sides, before anything is replicated
	prepare      func(ctx context.Context, s *server, db string) error // more of that, by program
	load         func(ctx context.Context, s *server, db string) error
	transactions int
	rows         int
	live         bool // measured from the commit with everything running
}

func allWork() []string {
	return []string{"tpcb", "bulk", "bulk-live", "upd1", "upd1000", "del1000", "latency", "memory"}
}

const bulkTable = "CREATE TABLE bulk (id bigint PRIMARY KEY, n int NOT NULL, v text NOT NULL)"

func (b *bench) workload(name string) workload {
	half := b.rows / 2
	filled := fmt.Sprintf("%s; INSERT INTO bulk SELECT g, g %% 1000, 'row number ' || g FROM generate_series(1, %d) g", bulkTable, half)
	switch name {
	case "tpcb":
		return workload{prepare: b.pgbenchTables, load: b.pgbench, transactions: b.transactions, rows: 4 * b.transactions}
	case "bulk", "bulk-live":
		return workload{schema: bulkTable, load: statement(bulk(b.rows)), transactions: 1, rows: b.rows, live: name == "bulk-live"}
	case "upd1":
		// A procedural loop commits each; asynchronously, for the load is not what is measured.
		return workload{schema: filled, transactions: half, rows: half, load: statement("SET synchronous_commit = off", fmt.Sprintf(
			"DO $$ BEGIN FOR i IN 1..%d LOOP UPDATE bulk SET n = n + 1 WHERE id = 1 + i::bigint * 7919 %% %d; COMMIT; END LOOP; END $$", half, half))}
	case "upd1000":
		return workload{schema: filled, transactions: half / 1000, rows: half / 1000 * 1000, load: statement(thousands(half,
			"UPDATE bulk SET n = n + 1 WHERE id = ANY (SELECT 1 + g::bigint * 7919 % "+strconv.Itoa(half)+" FROM generate_series(i, i + 999) g)"))}
	case "del1000":
		return workload{schema: filled, transactions: half / 1000, rows: half / 1000 * 1000, load: statement(thousands(half,
			"DELETE FROM bulk WHERE id BETWEEN i AND i + 999"))}
	}
	panic("workload " + name + " is listed and not described here") // unknown ones are refused with the flags
}

func bulk(rows int) string {
	return fmt.Sprintf("INSERT INTO bulk SELECT g, g %% 1000, 'row number ' || g FROM generate_series(1, %d) g", rows)
}

func thousands(rows int, sql string) string {
	return fmt.Sprintf("DO $$ BEGIN FOR i IN 1..%d BY 1000 LOOP %s; COMMIT; END LOOP; END $$", rows-999, sql)
}

// statement makes a load of SQL, each statement by itself: a procedural COMMIT
// wants no transaction around it.
func statement(statements ...string) func(context.Context, *server, string) error {
	return func(ctx context.Context, s *server, db string) error {
		conn, err := connect(ctx, s.url(db))
		if err != nil {
			return err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		for _, sql := range statements {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return fmt.Errorf("load: %w", err)
			}
		}
		return nil
	}
}

func (b *bench) pgbenchTables(ctx context.Context, s *server, db string) error {
	out, err := s.install.Command(ctx, "pgbench", "-i", "-q", "-s", strconv.Itoa(b.scale), s.libpq(db)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make the tables of pgbench: %w\n%s", err, out)
	}
	return nil
}

const clients = 8

func (b *bench) pgbench(ctx context.Context, s *server, db string) error {
	out, err := s.install.Command(ctx, "pgbench", "-n", "-M", "prepared", "-c", strconv.Itoa(clients), "-j", "2",
		"-t", strconv.Itoa(b.transactions/clients), s.libpq(db)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("run pgbench: %w\n%s", err, out)
	}
	return nil
}
