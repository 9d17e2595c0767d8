package fedtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/report"
)

// Span is what a comparison looks at; the zero value is everything: all nodes,
// and all ordinary tables of schema public but local_*.
type Span struct {
	Nodes  []string
	Tables []string // as "schema.name" or "name"
}

// Converge waits until all nodes hold equal rows and none is behind another.
func (f *Federation) Converge(within time.Duration, tables ...string) {
	f.t.Helper()
	f.ConvergeSpan(within, Span{Tables: tables})
}

// ConvergeSpan is Converge for some of the nodes or tables.
func (f *Federation) ConvergeSpan(within time.Duration, span Span) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := f.TryConverge(ctx, span); err != nil {
		f.t.Fatalf("the federation has not converged within %s: %v", within, err)
	}
}

// TryConverge waits until the context ends.
func (f *Federation) TryConverge(ctx context.Context, span Span) error {
	tick := time.NewTicker(2 * pollEvery)
	defer tick.Stop()
	for {
		attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
		err := f.behind(attempt, span)
		if err == nil {
			err = f.differences(attempt, span)
		}
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// ExpectEqual fails unless all nodes hold equal rows right now.
func (f *Federation) ExpectEqual(span Span) {
	f.t.Helper()
	if err := f.differences(context.Background(), span); err != nil {
		f.t.Fatal(err)
	}
}

// behind says who has not caught up with what every node had committed when it
// was called.
func (f *Federation) behind(ctx context.Context, span Span) error {
	nodes := f.Nodes(span.Nodes...)
	flushed := map[string]change.LSN{}
	statuses := map[string]report.Status{}
	for _, node := range nodes {
		rows, err := node.DB.TryQuery(ctx, "SELECT pg_current_wal_flush_lsn()")
		if err != nil {
			return err
		}
		if flushed[node.Name], err = change.ParseLSN(rows[0][0]); err != nil {
			return err
		}
	}
	for _, node := range nodes {
		status, err := node.TryStatus(ctx)
		if err != nil {
			return err
		}
		statuses[node.Name] = status
	}
	var problems []error
	for _, origin := range nodes {
		stream := statuses[origin.Name].Node.Stream
		if stream.Captured < flushed[origin.Name] {
			problems = append(problems, fmt.Errorf("%s has captured its log up to %s of %s", origin.Name, stream.Captured, flushed[origin.Name]))
		}
		for _, peer := range nodes {
			if peer == origin {
				continue
			}
			applied, err := peer.applied(ctx, origin.Name)
			if err != nil {
				return err
			}
			if inbound, _ := inboundOf(statuses[peer.Name], origin.Name); applied.History != stream.History.ID || applied.LSN < stream.Published {
				problems = append(problems, fmt.Errorf("%s has applied %s up to %s of %s:%s, it is %s%s", peer.Name, origin.Name,
					applied, stream.History.ID.Short(), stream.Published, inbound.State, haltText(inbound)))
			}
		}
	}
	return errors.Join(problems...)
}

// applied reads the node's checkpoint in its database.
func (n *Node) applied(ctx context.Context, origin string) (change.Position, error) {
	var position change.Position
	rows, err := n.DB.TryQuery(ctx, "SELECT history, lsn FROM pgfed.checkpoint WHERE origin = $1", origin)
	if err != nil || len(rows) == 0 {
		return position, err
	}
	if position.History, err = change.ParseID(rows[0][0]); err != nil {
		return position, err
	}
	position.LSN, err = change.ParseLSN(rows[0][1])
	return position, err
}

func haltText(inbound report.Inbound) string {
	if inbound.Halt == nil {
		return ""
	}
	return fmt.Sprintf(" (%s: %s)", inbound.Halt.Code, inbound.Halt.Message)
}

// differences compares the nodes' rows, table by table.
func (f *Federation) differences(ctx context.Context, span Span) error {
	nodes := f.Nodes(span.Nodes...)
	var reference map[string]string
	for i, node := range nodes {
		tables := span.Tables
		if len(tables) == 0 {
			var err error
			if tables, err = node.tables(ctx); err != nil {
				return err
			}
		}
		prints, err := node.fingerprints(ctx, tables)
		if err != nil {
			return err
		}
		if i == 0 {
			reference = prints
			continue
		}
		if err := f.compare(ctx, nodes[0], node, reference, prints); err != nil {
			return err
		}
	}
	return nil
}

func (f *Federation) compare(ctx context.Context, a, b *Node, of, with map[string]string) error {
	tables := map[string]bool{}
	for table := range of {
		tables[table] = true
	}
	for table := range with {
		tables[table] = true
	}
	var problems []error
	for _, table := range sorted(tables) {
		if of[table] == with[table] {
			continue
		}
		problems = append(problems, fmt.Errorf("table %s differs: %s at %s, %s at %s%s", table,
			describe(of[table]), a.Name, describe(with[table]), b.Name, rowDifferences(ctx, a, b, table)))
	}
	return errors.Join(problems...)
}

func describe(fingerprint string) string {
	if fingerprint == "" {
		return "absent"
	}
	count, _, _ := strings.Cut(fingerprint, " ")
	return count + " rows"
}

func sorted(set map[string]bool) []string {
	var names []string
	for name := range set {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// tables lists what is compared if nothing else is said.
func (n *Node) tables(ctx context.Context) ([]string, error) {
	rows, err := n.DB.TryQuery(ctx, `SELECT relname FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname NOT LIKE 'local\_%' ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	var tables []string
	for _, row := range rows {
		tables = append(tables, row[0])
	}
	return tables, nil
}

func identifier(table string) string { return pgx.Identifier(strings.Split(table, ".")).Sanitize() }

// fingerprints gives for every table the number of rows and two sums over
// hashes of their text: equal multisets of rows have equal ones, so tables
// without a key are compared too. All of one node are of one snapshot.
func (n *Node) fingerprints(ctx context.Context, tables []string) (map[string]string, error) {
	prints := map[string]string{}
	if len(tables) == 0 {
		return prints, nil
	}
	var parts []string
	for _, table := range tables {
		parts = append(parts, fmt.Sprintf(`SELECT '%s', count(*) || ' ' || coalesce(sum(hashtextextended(r::text, 0)::numeric), 0)
			|| ' ' || coalesce(sum(hashtextextended(r::text, 1)::numeric), 0) FROM ONLY %s r`,
			strings.ReplaceAll(table, "'", "''"), identifier(table)))
	}
	rows, err := n.DB.TryQuery(ctx, strings.Join(parts, "\nUNION ALL\n"))
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		prints[row[0]] = row[1]
	}
	return prints, nil
}

// rowDifferences shows a few rows that one of two nodes has more often.
func rowDifferences(ctx context.Context, a, b *Node, table string) string {
	read := func(n *Node) (map[string]int, bool) {
		rows, err := n.DB.TryQuery(ctx, fmt.Sprintf("SELECT left(r::text, 120), count(*) FROM ONLY %s r GROUP BY r::text ORDER BY r::text LIMIT 20000", identifier(table)))
		counts := map[string]int{}
		for _, row := range rows {
			count, _ := strconv.Atoi(row[1])
			counts[row[0]] += count
		}
		return counts, err == nil
	}
	of, okA := read(a)
	with, okB := read(b)
	if !okA || !okB {
		return ""
	}
	all := map[string]bool{}
	for row := range of {
		all[row] = true
	}
	for row := range with {
		all[row] = true
	}
	var shown []string
	for _, row := range sorted(all) {
		if of[row] != with[row] {
			shown = append(shown, fmt.Sprintf("\n    %d times at %s, %d times at %s: %s", of[row], a.Name, with[row], b.Name, row))
		}
	}
	const most = 8
	if len(shown) > most {
		shown = append(slices.Clip(shown[:most]), fmt.Sprintf("\n    and %d more", len(shown)-most))
	}
	return strings.Join(shown, "")
}
