package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/internal/fedtest"
	"github.com/pgfed/pgfed/internal/pgtest"
)

// Majors are the Postgres versions of the nodes, in order; 0 is the default.
type Majors []int

// Oldest decides which cases can run, and is the oracle's version.
func (m Majors) Oldest() int {
	oldest := m[0]
	for _, major := range m {
		oldest = min(oldest, major)
	}
	return oldest
}

// Newest is what max_version is held against.
func (m Majors) Newest() int {
	newest := m[0]
	for _, major := range m {
		newest = max(newest, major)
	}
	return newest
}

// at is the version of the node of that place.
func (m Majors) at(place int) int { return m[place%len(m)] }

// arena is a federation with an oracle beside it.
type arena struct {
	t      testing.TB
	f      *fedtest.Federation
	oracle *pgtest.Server
	broken bool      // it halted, so nothing can be judged any more
	url    string    // of the oracle's database
	mended time.Time // when a case last made a halt's cause go away

	settings []Setting              // of the nodes' roles and databases
	disturb  func(stage int) []Step // of a campaign
	sessions int
}

const selection = "include: [\"*.*\"]\nexclude: [\"*.local_*\"]\nlocal_columns: [\"*.*.local_*\"]"

// insertOnly is the key for the tables that cases have without replica identity.
func insertOnly(cases []*Case) string {
	var names []string
	for _, c := range cases {
		for _, table := range c.InsertOnly {
			names = append(names, strconv.Quote(c.Schema()+"."+table))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "\ninsert_only: [" + strings.Join(names, ", ") + "]"
}

// Locales are what cases may set lc_monetary to: yen have no fraction, and in
// German the comma and the point have changed places.
var Locales = pgtest.Locale("ja_JP.UTF-8", "de_DE.UTF-8")

// settled is a table that is always equal: waiting for it is waiting for
// everything that was written before.
const settled = "CREATE TABLE public.settled (id int PRIMARY KEY)"

// newArena makes databases and no replicators yet for cases that share them; c
// has settings, and is nil if they are the ordinary ones.
func newArena(t testing.TB, majors Majors, judge *pgtest.Server, c *Case, cases ...*Case) (*arena, error) {
	t.Helper()
	config := fedtest.Config{
		Nodes: Nodes, Tables: selection, Idle: true,
		Postgres: []pgtest.Option{Locales, pgtest.Setting("max_prepared_transactions", "100"), pgtest.Setting("max_connections", "400")}, PostgresAt: map[string][]pgtest.Option{},
	}
	for i, node := range Nodes {
		config.PostgresAt[node] = []pgtest.Option{pgtest.Major(majors.at(i))}
	}
	if c != nil {
		if c.Tables != "" {
			config.Tables = c.Tables
		}
		config.Ownership, config.Extra = c.Ownership, c.Config
		for name, value := range c.Server {
			config.Postgres = append(config.Postgres, pgtest.Setting(name, value))
		}
	}
	config.Tables += insertOnly(cases)
	a := &arena{t: t, f: fedtest.New(t, config), oracle: judge, url: judge.Database(t)}
	if c != nil {
		a.settings = c.Settings
		for name, encoding := range c.Encoding {
			if err := a.encode(name, encoding); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range Nodes {
		if err := a.exec(name, settled); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// encode replaces a node's empty database by one of another encoding.
func (a *arena) encode(node, encoding string) error {
	conn, err := pgx.Connect(context.Background(), a.f.Node(node).DB.URL("template1"))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", node, err)
	}
	defer conn.Close(context.Background())
	for _, sql := range []string{
		"DROP DATABASE postgres",
		"CREATE DATABASE postgres ENCODING '" + encoding + "' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
		// For the harness, whose sessions do not say what they speak; the
		// replicator's must (values/role_settings).
		"ALTER DATABASE postgres SET client_encoding = UTF8",
	} {
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			return fmt.Errorf("give %s encoding %s: %w", node, encoding, err)
		}
	}
	return nil
}

// start makes the databases members and runs the replicators, whose role has
// every setting that could change what a value looks like.
func (a *arena) start() error {
	return atOnce(Nodes, func(name string) error {
		node := a.f.Node(name)
		if err := a.set(node, "database", "DATABASE postgres"); err != nil {
			return err
		}
		if err := a.init(name); err != nil {
			return err
		}
		for _, setting := range hostileAt[name] {
			if err := a.exec(name, "ALTER ROLE "+fedtest.Role+" SET "+setting); err != nil {
				return err
			}
		}
		if err := errors.Join(a.set(node, "role", "ROLE "+fedtest.Role), a.set(node, "role_in_database", "ROLE "+fedtest.Role+" IN DATABASE postgres")); err != nil {
			return err
		}
		return node.TryStart()
	})
}

// set gives a role or database of a node the case's settings.
func (a *arena) set(node *fedtest.Node, kind, what string) error {
	for _, s := range a.settings {
		if s.For != kind || s.Since > node.DB.Major {
			continue
		}
		if err := a.exec(node.Name, "ALTER "+what+" SET "+s.Text); err != nil {
			return err
		}
	}
	return nil
}

// hostile settings for the replicator's role: all that shape how a value looks
// or is read. Timeouts have a case of their own.
var hostileAt = map[string][]string{
	"east": append([]string{"DateStyle = 'SQL, DMY'", "IntervalStyle = iso_8601", "TimeZone = 'America/St_Johns'", "lc_monetary = 'ja_JP.UTF-8'"}, hostile...),
	"west": append([]string{"DateStyle = 'German, DMY'", "IntervalStyle = sql_standard", "TimeZone = 'Asia/Kathmandu'", "lc_monetary = 'de_DE.UTF-8'"}, hostile...),
}

var hostile = []string{
	"extra_float_digits = -15",
	"bytea_output = escape", "array_nulls = off", "search_path = nowhere", "quote_all_identifiers = on",
	"xmloption = document", "xmlbinary = hex", "transform_null_equals = on",
	"default_transaction_isolation = serializable", "plan_cache_mode = force_custom_plan", "default_toast_compression = pglz",
}

// end frees what the next arena needs: processors, and names of prepared
// transactions at the oracle.
func (a *arena) end() {
	for _, node := range a.f.Nodes() {
		node.Kill()
		node.DB.Stop(pgtest.Immediate)
	}
	conn, err := a.connect(oracle, "public")
	if err != nil {
		return
	}
	defer conn.Close(context.Background())
	left, _ := answer(conn, "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
	for _, name := range strings.FieldsFunc(left, func(r rune) bool { return r == ';' }) {
		_, _ = conn.Exec(context.Background(), "ROLLBACK PREPARED '"+name+"'")
	}
}

func (a *arena) init(node string) error {
	_, err := a.f.Node(node).TryReplctl(context.Background(), "init", "--yes", "--role", fedtest.Role, "--timeout", patience.String())
	return err
}

// refused wants init to have said all of it, however wide its columns are, and to
// have changed nothing.
func (a *arena) refused(err error, said []string) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	for _, part := range said {
		if !strings.Contains(text, part) {
			return fmt.Errorf("init does not say %q: %w", part, err)
		}
	}
	for _, node := range a.f.Nodes() {
		left := node.One("SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'pgfed') + (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_replication_origin)")
		if left != "0" {
			return fmt.Errorf("init refuses %s, and has changed it: %w", node.Name, err)
		}
	}
	return nil
}

// address is a superuser's connection string for a node or the oracle.
func (a *arena) address(where string) string {
	if where == oracle {
		return a.url
	}
	return a.f.Node(where).DB.URL()
}

// pinned is how cases write and read, at nodes and oracle alike.
var pinned = url.Values{
	"application_name": {"conformance"}, "client_encoding": {"UTF8"}, "DateStyle": {"ISO, MDY"}, "TimeZone": {"UTC"},
	"IntervalStyle": {"postgres"}, "bytea_output": {"hex"}, "extra_float_digits": {"1"}, "lc_monetary": {"C"}, "client_min_messages": {"error"},
	"default_transaction_read_only": {"off"}, "statement_timeout": {"0"}, "idle_session_timeout": {"0"}, "session_replication_role": {"origin"},
	"standard_conforming_strings": {"on"},
}

func (a *arena) connect(where, schema string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(a.address(where))
	if err != nil {
		return nil, fmt.Errorf("read connection string: %w", err)
	}
	for name := range pinned {
		config.RuntimeParams[name] = pinned.Get(name)
	}
	config.RuntimeParams["search_path"] = pgx.Identifier{schema}.Sanitize() + ", public"
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", where, err)
	}
	return conn, nil
}

func (a *arena) exec(where, sql string) error {
	conn, err := a.connect(where, "public")
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	return run(conn, where, sql)
}

// run sends statements one by one.
func run(conn *pgx.Conn, where, sql string) error {
	for _, statement := range Split(sql) {
		var err error
		if statement.Copy {
			_, err = conn.PgConn().CopyFrom(context.Background(), strings.NewReader(statement.Data), statement.SQL)
		} else {
			_, err = conn.PgConn().Exec(context.Background(), statement.SQL).ReadAll()
		}
		if err != nil {
			return fmt.Errorf("at %s: %w\n%s", where, err, shortened(statement.SQL, 500))
		}
	}
	return nil
}

func shortened(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return text[:most] + fmt.Sprintf("... (%d bytes)", len(text))
}

// How long arriving may take. The race detector runs beside other tests.
const (
	patience = 60 * time.Second
	glance   = 2 * time.Second
	// stubborn is longer than a replicator waits, on a busy machine, before it
	// tries again what was halted and is mended.
	stubborn = 20 * time.Second
)

// settle waits until everything that is committed has arrived everywhere. What
// is halted at two glances has failed, but for a while after it was mended.
func (a *arena) settle() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var halted string
	for {
		short, stop := context.WithTimeout(ctx, glance)
		err := a.f.TryConverge(short, fedtest.Span{Tables: []string{"public.settled"}})
		stop()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("not everything arrived within %s: %w", patience, err)
		}
		now := strings.Join(a.halts(), "; ")
		if now != "" && now == halted && time.Since(a.mended) > stubborn {
			return fmt.Errorf("%w: %s", errHalted, now)
		}
		halted = now
	}
}

var errHalted = errors.New("halted")

// halts lists what is halted: node, origin, code, table and why.
func (a *arena) halts() []string {
	var list []string
	for _, node := range a.f.Nodes() {
		status, err := node.TryStatus(context.Background())
		if err != nil {
			continue
		}
		for _, inbound := range status.Node.Inbound {
			if h := inbound.Halt; h != nil {
				list = append(list, fmt.Sprintf("%s of %s: %s %s: %s", node.Name, inbound.Origin, h.Code, h.Table, h.Message))
			}
		}
	}
	return list
}

// awaitHalt waits until some node halts with a code.
func (a *arena) awaitHalt(code string) (string, error) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, halt := range a.halts() {
			if strings.Contains(halt, ": "+code+" ") {
				return halt, nil
			}
		}
		select {
		case <-deadline.C:
			return "", fmt.Errorf("no halt with code %s within %s, but %v", code, patience, a.halts())
		case <-tick.C:
		}
	}
}
