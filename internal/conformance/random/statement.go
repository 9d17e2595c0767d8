package random

import (
	"fmt"
	"strings"
)

// writer is who writes what, and what it may do meanwhile.
type writer struct {
	node   string
	tables []*table
	// apart: others write at the same time, so what they hold must not matter.
	apart bool
	// reading: others must be able to read the tables before the transaction ends.
	reading bool
}

// own restricts a statement to rows that the writer may change.
func (w writer) own(t *table, where string) string {
	if t.owner == "column" {
		return fmt.Sprintf("region = '%s' AND %s", w.region(), where)
	}
	return where
}

// region of a table owned by column that is the writer's.
func (w writer) region() string { return map[string]string{"east": "a", "west": "b"}[w.node] }

// fresh takes numbers that nothing has used.
func (m *maker) fresh(count int) int {
	m.next += count
	return m.next - count
}

// statement is one or a few that belong together, without those that could not
// stand in a function.
func (m *maker) statement(w writer) string {
	t := w.tables[m.IntN(len(w.tables))]
	switch pick := m.IntN(100); {
	case pick < 30, t.insertOnly && pick < 95:
		return m.insert(w, t)
	case pick < 52:
		return m.update(w, t)
	case pick < 68 && t.key != nil:
		return m.rekey(w, t)
	case pick < 72 && t.key != nil && !w.apart:
		return m.replace(w, t)
	case pick < 76 && t.key != nil:
		return m.merge(w, t)
	case pick < 80 && (t.list != nil || t.ranged):
		return m.relocate(w, t)
	case pick < 86 && t.unique != "":
		return m.reuse(w, t)
	case pick < 96 && !t.insertOnly:
		return fmt.Sprintf("DELETE FROM %s WHERE %s;\n", t.name, m.some(w, t))
	case pick >= 95 && pick < 98 && t.owner != "column" && !w.reading:
		return m.truncate(t)
	}
	return m.insert(w, t)
}

// some picks rows by what they hold; of equal rows without a key one.
func (m *maker) some(w writer, t *table) string {
	if t.key == nil && m.chance(50) {
		var names []string
		for _, c := range t.columns {
			names = append(names, c.name)
		}
		if t.list != nil || t.owner == "column" {
			names = append(names, "region")
		}
		if t.ranged {
			names = append(names, "bucket")
		}
		return fmt.Sprintf(`(tableoid, ctid) = (SELECT tableoid, ctid FROM %s WHERE %s ORDER BY ROW(n, %s)::text COLLATE "C" LIMIT 1)`,
			t.name, w.own(t, "true"), strings.Join(names, ", "))
	}
	if t.key != nil && m.chance(30) {
		return w.own(t, fmt.Sprintf("n BETWEEN %[1]d AND %[1]d + %[2]d", m.IntN(m.next+1), m.IntN(8)))
	}
	modulus := 2 + m.IntN(6)
	return w.own(t, fmt.Sprintf("abs(n) %% %d = %d", modulus, m.IntN(modulus)))
}

// row lists what an inserted row gets, but its key.
func (m *maker) row(w writer, t *table, number string) []assignment {
	var list []assignment
	add := func(column, value string) { list = append(list, assignment{column, value}) }
	switch {
	case t.owner == "column":
		add("region", "'"+w.region()+"'")
	case t.list != nil:
		add("region", "(ARRAY['a', 'b', 'c', 'd'])[1 + "+number+" % 4]")
	}
	if t.ranged {
		add("bucket", number+" % 20")
	}
	if t.unique != "" && m.chance(80) {
		add("u", number)
	}
	if t.parent != nil && m.chance(80) {
		add("p", m.reference(t, number))
	}
	for _, c := range t.columns {
		if !m.chance(15) || c.required && c.standard == "" {
			add(c.name, m.value(c, number))
		}
	}
	return list
}

// reference finds a row of the parent.
func (m *maker) reference(t *table, number string) string {
	return fmt.Sprintf("(SELECT f.k FROM %s f WHERE f.k <= %s ORDER BY f.k DESC LIMIT 1)", t.parent.name, number)
}

// insert adds rows with new numbers, or with some that were there before.
func (m *maker) insert(w writer, t *table) string {
	count := 1 + m.IntN(12)
	switch {
	case m.chance(2):
		count = 300
	case m.IntN(1000) < 4:
		count = 2000
	}
	if t.key == nil {
		first := m.fresh(count)
		n := []string{"g", "g % 3", "nullif(g % 3, 1)"}[m.IntN(3)]
		return insertion(t, append(m.row(w, t, "g"), assignment{"n", n}), first, count, "")
	}
	into := *t
	if t.kid != "" && m.chance(50) {
		into.name = t.kid
	}
	if w.apart || m.next < 20 || !m.chance(30) {
		first := m.fresh(count)
		return insertion(&into, append(m.row(w, t, "g"), append(t.keyed("g"), assignment{"n", "g"})...), first, count, "")
	}
	old := 1 + m.IntN(m.next-10)
	n := fmt.Sprintf("g + %d", m.fresh(count)-old)
	row := append(m.row(w, t, "("+n+")"), append(t.keyed("g"), assignment{"n", n})...)
	if t.partitioned() || !t.arbitrated() || m.chance(40) {
		return insertion(&into, row, old, count, " WHERE NOT EXISTS (SELECT FROM "+t.name+" x WHERE x.k = g) ORDER BY g.g")
	}
	if m.chance(50) {
		return insertion(&into, row, old, count, " ON CONFLICT DO NOTHING")
	}
	return insertion(&into, row, old, count, fmt.Sprintf(" ON CONFLICT (%s) DO UPDATE SET %s WHERE %s", t.inKey(), m.changes(t, "x.n"), strings.ReplaceAll(w.own(t, "x.n % 3 <> 1"), "region", "x.region")))
}

func insertion(t *table, row []assignment, first, count int, tail string) string {
	var columns, values []string
	for _, a := range row {
		columns, values = append(columns, a.column), append(values, a.value)
	}
	return fmt.Sprintf("INSERT INTO %s AS x (%s) SELECT %s FROM generate_series(%d, %d) g%s;\n", t.name,
		strings.Join(columns, ", "), strings.Join(values, ", "), first, first+count-1, tail)
}

// changes of some columns; the others, stored out of line or not, stay.
func (m *maker) changes(t *table, over string) string {
	var list []assignment
	for _, c := range t.columns {
		if m.chance(40) {
			list = append(list, assignment{c.name, m.value(c, over)})
		}
	}
	if t.parent != nil && t.parent != t && m.chance(30) {
		list = append(list, assignment{"p", m.reference(t, over)})
	}
	if len(list) == 0 {
		return "n = " + over
	}
	return sets(list)
}

func (m *maker) update(w writer, t *table) string {
	if t.parent == t && m.chance(40) { // alone: no statement takes away what it refers to
		return fmt.Sprintf("UPDATE %s SET p = %s WHERE %s;\n", t.name, m.reference(t, "n"), m.some(w, t))
	}
	name := t.name
	if t.partitioned() && !t.differ && m.chance(25) {
		name = t.leaves[m.IntN(len(t.leaves))].name
	}
	return fmt.Sprintf("UPDATE %s SET %s WHERE %s;\n", name, m.changes(t, "n"), m.some(w, t))
}

// rekey changes keys: to new ones, to equal ones of other bytes, in a chain or
// cycle where each row takes the key that the one before it had, or all at once
// where the constraint waits.
func (m *maker) rekey(w writer, t *table) string {
	var again []assignment
	for _, c := range t.key.columns {
		if c.again != "" {
			again = append(again, assignment{c.name, c.again})
		}
	}
	switch pick := m.IntN(100); {
	case pick < 20 && len(again) > 0:
		return fmt.Sprintf("UPDATE %s SET %s WHERE %s;\n", t.name, sets(again), m.some(w, t))
	case pick < 50 && t.owner != "column", t.parent == t:
		// Rows that refer to each other move one by one: in what order the server
		// checks those of one statement depends on where they lie.
		return m.chain(t, "k", t.keyed)
	case pick < 60 && t.owner != "column" && t.permutable():
		return fmt.Sprintf("UPDATE %[1]s t SET %[2]s FROM (SELECT k, coalesce(lead(k) OVER (ORDER BY k), min(k) OVER ()) AS next FROM %[1]s) s WHERE t.k = s.k;\n",
			t.name, sets(t.keyed("s.next")))
	}
	m.step++
	change := sets(t.keyed(fmt.Sprintf("%d + n", 1_000_000*m.step)))
	if m.chance(40) {
		change += ", " + m.changes(t, "n")
	}
	return fmt.Sprintf("UPDATE %s SET %s WHERE %s;\n", t.name, change, m.some(w, t))
}

// permutable: one statement may move keys over one another.
func (t *table) permutable() bool {
	return t.deferrable != "" && !t.referenced && (t.exclusion == "" || strings.Contains(t.exclusion, "DEFERRABLE"))
}

// chain hands values of a unique column on, row by row, the last one to the
// first if it is a cycle.
func (m *maker) chain(t *table, column string, set func(number string) []assignment) string {
	spare, modulus := m.fresh(1), 1+m.IntN(5)
	closing := ""
	if m.chance(60) {
		closing = fmt.Sprintf(" UPDATE %s SET %s WHERE %s = %d;", t.name, sets(set("prev")), column, spare)
	}
	return fmt.Sprintf("DO $chain$ DECLARE r record; prev int = %d; BEGIN FOR r IN SELECT %[2]s AS value FROM %[3]s WHERE %[2]s %% %[4]d = 0 ORDER BY 1 DESC LIMIT 7 LOOP "+
		"UPDATE %[3]s SET %[5]s WHERE %[2]s = r.value; prev = r.value; END LOOP;%[6]s END $chain$;\n", spare, column, t.name, modulus, sets(set("prev")), closing)
}

// reuse moves values of the other unique column.
func (m *maker) reuse(w writer, t *table) string {
	switch {
	case m.chance(25) || t.owner == "column":
		return fmt.Sprintf("UPDATE %s SET u = NULL WHERE %s;\n", t.name, m.some(w, t))
	case strings.Contains(t.unique, "DEFERRABLE") && m.chance(60):
		return fmt.Sprintf("UPDATE %[1]s SET u = s.low + s.high - u FROM (SELECT min(u) AS low, max(u) AS high FROM %[1]s) s WHERE u IN (s.low, s.high);\n", t.name)
	}
	return m.chain(t, "u", func(number string) []assignment { return []assignment{{"u", number}} })
}

// replace deletes rows and inserts their keys again.
func (m *maker) replace(w writer, t *table) string {
	first, count := 1+m.IntN(m.next), 1+m.IntN(6)
	n := fmt.Sprintf("g + %d", m.fresh(count)-first)
	row := append(m.row(w, t, "("+n+")"), append(t.keyed("g"), assignment{"n", n})...)
	return fmt.Sprintf("DELETE FROM %s WHERE %s;\n", t.name, w.own(t, fmt.Sprintf("k BETWEEN %d AND %d", first, first+count-1))) +
		insertion(t, row, first, count, " WHERE NOT EXISTS (SELECT FROM "+t.name+" x WHERE x.k = g) ORDER BY g.g")
}

// merge is MERGE, from 15 on, and a WITH that writes before.
func (m *maker) merge(w writer, t *table) string {
	if t.parent == t {
		return m.update(w, t)
	}
	if m.oldest < 15 || t.kid != "" && m.oldest < 16 || w.apart || t.owner == "column" || t.serial != "" || m.chance(30) {
		return fmt.Sprintf("WITH changed AS (UPDATE %[1]s SET %[2]s WHERE %[3]s RETURNING k) DELETE FROM %[1]s WHERE %[4]s AND k NOT IN (SELECT k FROM changed);\n",
			t.name, m.changes(t, "n"), m.some(w, t), m.some(w, t)+fmt.Sprintf(" AND n %% %d = 0", 2+m.IntN(3)))
	}
	first, count := 1+m.IntN(m.next), 1+m.IntN(10)
	n := fmt.Sprintf("g + %d", m.fresh(count)-first)
	var columns, values []string
	for _, a := range append(m.row(w, t, "("+n+")"), append(t.keyed("g"), assignment{"n", n})...) {
		columns, values = append(columns, a.column), append(values, a.value)
	}
	return fmt.Sprintf("MERGE INTO %s t USING generate_series(%d, %d) g ON t.k = g WHEN MATCHED AND t.n %% 3 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET %s WHEN NOT MATCHED THEN INSERT (%s) VALUES (%s);\n",
		t.name, first, first+count-1, m.changes(t, "t.n"), strings.Join(columns, ", "), strings.Join(values, ", "))
}

// relocate moves rows to other partitions, or gives them away.
func (m *maker) relocate(w writer, t *table) string {
	switch {
	case t.ranged && t.spare && m.chance(50):
		return fmt.Sprintf("UPDATE %s SET bucket = 20 + abs(coalesce(n, 0)) %% 10 WHERE %s;\n", t.name, m.some(w, t))
	case t.ranged:
		return fmt.Sprintf("UPDATE %s SET bucket = (bucket + %d) %% 20 WHERE %s;\n", t.name, 1+m.IntN(15), m.some(w, t))
	case t.owner == "column" && w.apart:
		return m.update(w, t)
	case t.owner == "column":
		return fmt.Sprintf("UPDATE %s SET region = CASE region WHEN 'a' THEN 'b' ELSE 'a' END WHERE %s;\n", t.name, m.some(w, t))
	}
	return fmt.Sprintf("UPDATE %s SET region = chr(ascii('a') + (ascii(region) - ascii('a') + %d) %% 4) WHERE %s;\n", t.name, 1+m.IntN(3), m.some(w, t))
}

func (m *maker) truncate(t *table) string {
	what := t.name
	switch {
	case t.referenced:
		what += " CASCADE"
	case t.kid != "" && m.chance(50):
		what = "ONLY " + t.name
	case t.partitioned() && !t.differ && !t.hashed && m.chance(60): // a hash can be each server's own
		what = t.leaves[m.IntN(len(t.leaves))].name
	case t.serial != "":
		what += " RESTART IDENTITY"
	}
	// Checks that wait would keep it from being emptied.
	return fmt.Sprintf("SET CONSTRAINTS ALL IMMEDIATE;\nTRUNCATE %s;\n", what)
}

// copy is COPY of rows, whose key can be written so.
func (m *maker) copy(w writer, t *table) string {
	if t.key == nil || t.unique != "" || t.parent != nil {
		return m.insert(w, t)
	}
	columns := []string{"k", "n"}
	for _, c := range t.key.columns {
		if c.copied == "" {
			return m.insert(w, t)
		}
		columns = append(columns, c.name)
	}
	if t.exclusion != "" {
		columns = append(columns, "slot")
	}
	if t.owner == "column" || t.list != nil {
		columns = append(columns, "region")
	}
	if t.ranged {
		columns = append(columns, "bucket")
	}
	for _, c := range t.columns {
		columns = append(columns, c.name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "COPY %s (%s) FROM STDIN;\n", t.name, strings.Join(columns, ", "))
	for range 1 + m.IntN(10) {
		g := m.fresh(1)
		fields := []string{fmt.Sprint(g), fmt.Sprint(g)}
		for _, c := range t.key.columns {
			fields = append(fields, fmt.Sprintf(c.copied, g))
		}
		if t.exclusion != "" {
			fields = append(fields, fmt.Sprintf("[%d,%d]", g, g))
		}
		switch {
		case t.owner == "column":
			fields = append(fields, w.region())
		case t.list != nil:
			fields = append(fields, t.list[m.IntN(len(t.list))])
		}
		if t.ranged {
			fields = append(fields, fmt.Sprint(m.IntN(20)))
		}
		for _, c := range t.columns {
			fields = append(fields, m.copied(c))
		}
		b.WriteString(strings.Join(fields, "\t") + "\n")
	}
	return b.String() + "\\.\n"
}
