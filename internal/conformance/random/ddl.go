package random

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgfed/pgfed/internal/conformance"
)

// ddl changes a table at every node, and writes before and behind it.
func (m *maker) ddl() {
	t := m.tables[m.IntN(len(m.tables))]
	if m.held[t] {
		return
	}
	node := m.writerOf(t)
	w := writer{node: node, tables: []*table{t}}
	m.on(w, "")
	m.transaction(w)
	m.text.WriteString("--- on all\n" + m.alteration(t))
	m.on(w, "")
	m.transaction(w)
	m.transaction(w)
}

func (m *maker) writerOf(t *table) string {
	if t.owner == "east" || t.owner == "west" {
		return t.owner
	}
	return conformance.Nodes[m.IntN(2)]
}

// wider types that a column can become, whose values stay.
var wider = map[string]string{"smallint": "int", "int": "bigint", "varchar(6)": "text", "numeric(8,3)": "numeric", "float4": "float8", "timestamp(0)": "timestamp"}

func (m *maker) alteration(t *table) string {
	switch pick := m.IntN(100); {
	case pick < 30:
		return m.addColumn(t)
	case pick < 40 && len(t.columns) > 1:
		c := t.columns[0]
		t.columns = t.columns[1:]
		return fmt.Sprintf("ALTER TABLE %s DROP %s;\n", t.name, c.name)
	case pick < 50 && len(t.columns) > 0:
		i := m.IntN(len(t.columns))
		t.added++
		old := t.columns[i].name
		t.columns = slices.Clone(t.columns)
		t.columns[i].name = fmt.Sprintf(`"renamed %d"`, t.added)
		return fmt.Sprintf("ALTER TABLE %s RENAME %s TO %s;\n", t.name, old, t.columns[i].name)
	case pick < 54:
		for i, c := range t.columns {
			if to := wider[c.kind.name]; to != "" {
				t.columns = slices.Clone(t.columns)
				t.columns[i].kind.name = to
				return fmt.Sprintf("ALTER TABLE %s ALTER %s TYPE %s;\n", t.name, c.name, to)
			}
		}
		return m.addColumn(t)
	case pick < 60 && !t.differ && !strings.Contains(strings.Join(t.generated, " "), "VIRTUAL"):
		t.full, t.insertOnly = true, false
		var text string
		for _, holder := range t.holders() {
			text += fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL;\n", holder)
		}
		return text
	case pick < 66 && !t.partitioned():
		return fmt.Sprintf("VACUUM FULL %s;\n", t.name)
	case pick < 80 && t.ranged && !t.spare && !t.differ:
		t.spare = true
		l := leaf{t.plain + "_spare", "FOR VALUES FROM (20) TO (30)"}
		return m.attach(t, l)
	case pick < 90 && !t.differ && (t.list != nil || t.ranged && t.spare):
		l := t.leaves[len(t.leaves)-1]
		if t.list != nil {
			l = t.leaves[0]
		}
		if m.chance(50) { // its rows are gone everywhere
			t.leaves = slices.DeleteFunc(t.leaves, func(one leaf) bool { return one == l })
			return fmt.Sprintf("DROP TABLE %s;\n", l.name) + m.attach(t, l)
		}
		return fmt.Sprintf("ALTER TABLE %[1]s DETACH PARTITION %[2]s;\nALTER TABLE %[1]s ATTACH PARTITION %[2]s %[3]s;\n", t.name, l.name, l.bounds)
	}
	return fmt.Sprintf("CREATE INDEX ON %s (n);\nANALYZE %s;\n", t.name, t.name)
}

func (m *maker) addColumn(t *table) string {
	t.added++
	c := m.column(0)
	c.name = fmt.Sprintf("added%d", t.added)
	t.columns = append(slices.Clip(t.columns), c)
	return fmt.Sprintf("ALTER TABLE %s ADD %s;\n", t.name, c.definition())
}

// attach makes a partition while everything runs.
func (m *maker) attach(t *table, l leaf) string {
	t.leaves = append(slices.Clip(t.leaves), l)
	text := fmt.Sprintf("CREATE TABLE %s PARTITION OF %s %s;\n", l.name, t.name, l.bounds)
	if t.full {
		text += fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL;\n", l.name)
	}
	return text
}
