// Package random makes conformance cases from a seed: tables of random types,
// keys, identities, partitions, constraints and triggers, laid out otherwise at
// each node, and random transactions at both.
//
// What a case does must not depend on the order in which rows lie in a table,
// because the oracle's may lie otherwise: a key is made of a number that is used
// once, and of several equal rows any may be meant. No statement may fail, and
// nothing may be on record when all is done.
package random

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/pgfed/pgfed/internal/conformance"
)

// Common are the settings of the federation in which the cases run: tables
// with a prefix are their owner's.
const Common = `-- The federation of random cases.
-- alone: it has owners
-- ownership: - {tables: ["*.east_*"], owner: east}
-- ownership: - {tables: ["*.west_*"], owner: west}
-- ownership: - {tables: ["*.shared_*"], owner: {column: region, values: {a: east, b: west}}}
`

type maker struct {
	*rand.Rand
	seed           uint64
	oldest, newest int // majors
	tables         []*table
	next           int // the next number that nothing has used
	step           int // the last step of keys
	prepared       int
	section        int
	text           strings.Builder
	where          string          // of the last setup
	insertOnly     []string        // tables
	differ         bool            // some table has other partitions elsewhere
	held           map[*table]bool // by a prepared transaction
	pending        string          // its end
}

// Text is the case of a seed, for nodes of some majors, as a file.
func Text(seed uint64, oldest, newest int) string {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 8)), seed: seed, oldest: oldest, newest: newest, next: 1, where: "?"}
	m.setup("", types+functions("random_"+name(seed)))
	for i := range 1 + m.IntN(5) {
		m.table(i)
	}
	m.joined()
	for range 2 + m.IntN(4) {
		m.part()
		m.text.WriteString("--- settle\n")
	}
	m.text.WriteString(m.pending)
	head := fmt.Sprintf("-- Random tables and transactions of seed %d for Postgres %d to %d.\n-- contrib: hstore, citext, ltree, btree_gist\n-- record: nothing\n", seed, oldest, newest)
	if len(m.insertOnly) > 0 {
		head += "-- insert_only: " + strings.Join(m.insertOnly, " ") + "\n"
	}
	if m.differ {
		head += "-- layouts: some tables have other partitions, or none, at a node\n"
	}
	return head + m.text.String()
}

func name(seed uint64) string { return fmt.Sprintf("s%d", seed) }

// Case is the same, read.
func Case(seed uint64, oldest, newest int) (*conformance.Case, error) {
	return conformance.Parse("random/"+name(seed)+".sql", Text(seed, oldest, newest))
}

func (m *maker) chance(percent int) bool { return m.IntN(100) < percent }

// setup writes SQL for some nodes, all if none is named.
func (m *maker) setup(where, sql string) {
	if where != m.where {
		m.joined()
		fmt.Fprintf(&m.text, "--- setup %s\nBEGIN;\n", where)
		m.where = where
	}
	m.text.WriteString(sql)
}

// joined ends the setup.
func (m *maker) joined() {
	if m.where != "?" {
		m.text.WriteString("COMMIT;\n")
	}
}

// part is what happens before everything is compared.
func (m *maker) part() {
	switch pick := m.IntN(100); {
	case pick < 6 && m.pending == "":
		m.hold()
	case pick < 45:
		m.alone()
	case pick < 70:
		m.meanwhile()
	case pick < 85:
		m.interleaved()
	default:
		m.ddl()
	}
}

// on begins a node's section: its own sequences go on where the oracle's do.
func (m *maker) on(w writer, words string) {
	fmt.Fprintf(&m.text, "--- on %s%s\n", w.node, words)
	for _, t := range w.tables {
		if t.serial != "" {
			m.section++
			fmt.Fprintf(&m.text, "SELECT setval(pg_get_serial_sequence(%s, 's'), %d);\n", literal(t.name), 10_000*m.section)
		}
	}
}

// writes reports whether a node may change a table at all.
func writes(node string, t *table) bool {
	return t.owner == "" || t.owner == "column" || t.owner == node
}

// clusters of tables that refer to each other, which the same session writes.
func (m *maker) clusters(node string, columnOwned bool) [][]*table {
	var list [][]*table
	for _, t := range m.tables {
		if !writes(node, t) || m.held[t] || t.owner == "column" && !columnOwned {
			continue
		}
		at := slices.IndexFunc(list, func(c []*table) bool { return t.parent != nil && slices.Contains(c, t.parent) })
		if at < 0 {
			list = append(list, []*table{t})
		} else {
			list[at] = append(list[at], t)
		}
	}
	return list
}

// alone: one node writes, one transaction after the other.
func (m *maker) alone() {
	w := writer{node: conformance.Nodes[m.IntN(2)]}
	w.tables = slices.Concat(m.clusters(w.node, true)...)
	if len(w.tables) == 0 {
		return
	}
	m.on(w, "")
	for range 1 + m.IntN(6) {
		m.transaction(w)
	}
}

// hold prepares a transaction that ends with the case, whatever is killed before.
func (m *maker) hold() {
	w := writer{node: conformance.Nodes[m.IntN(2)], reading: true}
	clusters := m.clusters(w.node, true)
	if len(clusters) < 2 {
		m.alone()
		return
	}
	w.tables = clusters[m.IntN(len(clusters))]
	m.on(w, "")
	m.text.WriteString("BEGIN;\n")
	m.statements(w, 2+m.IntN(5))
	fmt.Fprintf(&m.text, "PREPARE TRANSACTION 'random %d held';\n", m.seed)
	m.pending = fmt.Sprintf("--- on %s\n%s PREPARED 'random %d held';\n", w.node, []string{"COMMIT", "COMMIT", "ROLLBACK"}[m.IntN(3)], m.seed)
	m.held = map[*table]bool{}
	for _, t := range w.tables {
		m.held[t] = true
	}
}

// meanwhile: both nodes write, each what the other does not.
func (m *maker) meanwhile() {
	taken := map[*table]bool{}
	words := ""
	for i, node := range conformance.Nodes {
		w := writer{node: node, apart: true}
		for _, cluster := range m.clusters(node, false) {
			if !taken[cluster[0]] && (cluster[0].owner != "" || i == 1 || m.chance(50)) {
				w.tables = append(w.tables, cluster...)
			}
		}
		for _, t := range w.tables {
			taken[t] = true
		}
		for _, t := range m.tables {
			if t.owner == "column" && !m.held[t] {
				w.tables = append(w.tables, t)
			}
		}
		if len(w.tables) == 0 {
			continue
		}
		m.on(w, words)
		words = " meanwhile"
		for range 1 + m.IntN(5) {
			m.transaction(w)
		}
	}
}

// interleaved: two sessions of one node, whose transactions begin and end in
// any order.
func (m *maker) interleaved() {
	node := conformance.Nodes[m.IntN(2)]
	clusters := m.clusters(node, true)
	if len(clusters) < 2 {
		m.alone()
		return
	}
	m.Shuffle(len(clusters), func(a, b int) { clusters[a], clusters[b] = clusters[b], clusters[a] })
	half := 1 + m.IntN(len(clusters)-1)
	sessions := []writer{{node: node, tables: slices.Concat(clusters[:half]...)}, {node: node, tables: slices.Concat(clusters[half:]...)}}
	open := make([]bool, 2)
	for range 4 + m.IntN(5) {
		i := m.IntN(2)
		m.on(sessions[i], fmt.Sprintf(" session %c", 'a'+i))
		if !open[i] {
			m.text.WriteString("BEGIN;\n")
		}
		m.statements(sessions[i], 1+m.IntN(3))
		if open[i] = m.chance(50); !open[i] {
			m.end()
		}
	}
	for i := range open {
		if open[i] {
			fmt.Fprintf(&m.text, "--- on %s session %c\n", node, 'a'+i)
			m.end()
		}
	}
}

func (m *maker) end() {
	m.text.WriteString([]string{"COMMIT;\n", "COMMIT;\n", "COMMIT;\n", "ROLLBACK;\n"}[m.IntN(4)])
}

// transaction is one statement, or several with savepoints, or a prepared one.
func (m *maker) transaction(w writer) {
	switch {
	case m.chance(10):
		m.text.WriteString(m.copy(w, w.tables[m.IntN(len(w.tables))]))
		return
	case m.chance(25):
		m.text.WriteString(m.statement(w))
		return
	}
	m.text.WriteString("BEGIN;\n")
	m.statements(w, 1+m.IntN(8))
	if m.chance(88) {
		m.end()
		return
	}
	m.prepared++
	name := fmt.Sprintf("'random %d %d'", m.seed, m.prepared)
	fmt.Fprintf(&m.text, "PREPARE TRANSACTION %s;\n%s PREPARED %s;\n", name, []string{"COMMIT", "COMMIT", "ROLLBACK"}[m.IntN(3)], name)
}

// statements within a transaction, some behind savepoints, in blocks that end
// with an exception, or waiting for what the transaction writes later.
func (m *maker) statements(w writer, count int) {
	for range count {
		switch pick := m.IntN(100); {
		case pick < 70:
			m.text.WriteString(m.statement(w))
		case pick < 75:
			m.text.WriteString(m.copy(w, w.tables[m.IntN(len(w.tables))]))
		case pick < 82:
			m.text.WriteString(m.exception(w))
		case pick < 95 || count < 2:
			m.text.WriteString("SAVEPOINT s;\n")
			m.statements(w, 1)
			m.text.WriteString(m.statement(w))
			m.text.WriteString([]string{"ROLLBACK TO s;\n", "RELEASE s;\n"}[m.IntN(2)])
		default:
			m.text.WriteString("SAVEPOINT outer_one;\n")
			m.statements(w, count-1)
			m.text.WriteString([]string{"ROLLBACK TO outer_one;\n", "RELEASE outer_one;\n", ""}[m.IntN(3)])
		}
	}
}

// exception is a block whose inner statements are undone.
func (m *maker) exception(w writer) string {
	before, inside, behind := m.statement(w), m.statement(w), m.statement(w)
	return "DO $exception$ BEGIN\n" + before + "BEGIN\n" + inside + "RAISE EXCEPTION 'undone';\nEXCEPTION WHEN raise_exception THEN NULL;\nEND;\n" + behind + "END $exception$;\n"
}
