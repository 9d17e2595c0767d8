package conformance

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// row is what is compared: all bytes by their hash, the beginning for people.
type row struct {
	hash [sha256.Size]byte
	text string
}

// rows reads a query's result as text, in no order.
func rows(conn *pgx.Conn, query string) ([]row, error) {
	result, err := conn.Query(context.Background(), query)
	if err != nil {
		return nil, err
	}
	defer result.Close()
	var list []row
	for result.Next() {
		hash := sha256.New()
		var text strings.Builder
		for _, value := range result.RawValues() {
			var head [9]byte
			if value != nil {
				head[0] = 1
			}
			binary.BigEndian.PutUint64(head[1:], uint64(len(value)))
			hash.Write(head[:])
			hash.Write(value)
			if text.Len() < 200 {
				if value == nil {
					text.WriteString("|NULL")
				} else {
					text.WriteString("|" + shortened(string(value), 60))
				}
			}
		}
		r := row{text: strings.TrimPrefix(text.String(), "|")}
		hash.Sum(r.hash[:0])
		list = append(list, r)
	}
	sort.Slice(list, func(i, j int) bool { return string(list[i].hash[:]) < string(list[j].hash[:]) })
	return list, result.Err()
}

// queries are what is compared of a case: one a table unless it says itself.
func (r *running) queries(conn *pgx.Conn) ([]string, error) {
	if len(r.c.Compare) > 0 {
		return r.c.Compare, nil
	}
	// Where each node has partitions of its own, what they make together counts.
	each, of := "ONLY ", "c.relkind = 'r'"
	if r.c.Layouts != "" {
		each, of = "", "NOT c.relispartition AND c.relkind IN ('r', 'p')"
	}
	result, err := conn.Query(context.Background(), `SELECT format('SELECT %s FROM `+each+`%I.%I', coalesce((SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
			FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname NOT LIKE 'local\_%'), ''), n.nspname, c.relname)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND `+of+` AND c.relpersistence = 'p' AND (c.relname NOT LIKE 'local\_%' OR c.relname LIKE 'local\_same\_%') ORDER BY c.relname`, r.c.Schema())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(result, pgx.RowTo[string])
}

// compare holds every node to the oracle.
func (r *running) compare() error {
	places := append([]string{oracle}, Nodes...)
	conns := map[string]*pgx.Conn{}
	for _, where := range places {
		conn, err := r.a.connect(where, r.c.Schema())
		if err != nil {
			return err
		}
		defer conn.Close(context.Background())
		conns[where] = conn
	}
	queries, err := r.queries(conns[oracle])
	if err != nil {
		return fmt.Errorf("list what to compare: %w", err)
	}
	var problems []error
	for _, query := range queries {
		var mu sync.Mutex
		found := map[string][]row{}
		err := atOnce(places, func(where string) error {
			list, err := rows(conns[where], query)
			if err != nil {
				return fmt.Errorf("ask %s: %w\n%s", where, err, query)
			}
			mu.Lock()
			defer mu.Unlock()
			found[where] = list
			return nil
		})
		if err != nil {
			problems = append(problems, err)
			continue
		}
		want := found[oracle]
		for _, node := range Nodes {
			have := found[node]
			if different := differ(want, have); different != "" {
				problems = append(problems, fmt.Errorf("%s differs from the oracle (%d rows, it has %d): %s%s", node, len(have), len(want), shortened(query, 300), different))
			}
		}
	}
	if r.c.Record == "nothing" {
		for _, node := range Nodes {
			have, err := answer(conns[node], "SELECT table_name, operation, kind, resolution FROM pgfed.conflict_history WHERE schema_name = '"+r.c.Schema()+"' LIMIT 5")
			if err != nil || have != "" {
				problems = append(problems, errors.Join(fmt.Errorf("%s has conflicts on record: %s", node, have), err))
			}
		}
	}
	return errors.Join(problems...)
}

// differ shows a few rows that one side has and the other has not.
func differ(want, have []row) string {
	counts := map[[sha256.Size]byte]int{}
	texts := map[[sha256.Size]byte]string{}
	for _, r := range want {
		counts[r.hash]++
		texts[r.hash] = r.text
	}
	for _, r := range have {
		counts[r.hash]--
		texts[r.hash] = r.text
	}
	var shown []string
	for hash, n := range counts {
		switch {
		case n > 0:
			shown = append(shown, fmt.Sprintf("\n    missing %d times: %s", n, texts[hash]))
		case n < 0:
			shown = append(shown, fmt.Sprintf("\n    too many by %d: %s", -n, texts[hash]))
		}
	}
	sort.Strings(shown)
	const most = 10
	if len(shown) > most {
		shown = append(shown[:most], fmt.Sprintf("\n    and %d more", len(shown)-most))
	}
	return strings.Join(shown, "")
}

// answer is a query's result on one line: columns by |, rows by ;.
func answer(conn *pgx.Conn, query string) (string, error) {
	result, err := conn.Query(context.Background(), query)
	if err != nil {
		return "", err
	}
	defer result.Close()
	var lines []string
	for result.Next() {
		var words []string
		for _, value := range result.RawValues() {
			if value == nil {
				words = append(words, "NULL")
			} else {
				words = append(words, string(value))
			}
		}
		lines = append(lines, strings.Join(words, "|"))
	}
	return strings.Join(lines, ";"), result.Err()
}
