package fedtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgfed/pgfed/internal/pgtest"
	"github.com/pgfed/pgfed/internal/report"
)

// play is a story while it is told.
type play struct {
	*testing.T
	path   string
	step   Step
	config Config
	f      *Federation
	loads  map[string]*Load
	check  *Sampler
	marks  map[string]int64 // transaction numbers at "mark"
}

type verb struct {
	usage string
	do    func(*play)
}

// within is how long await and converge wait unless told otherwise.
const within = 60 * time.Second

// There is a heartbeat every second.
const (
	severalBeats = 2 * time.Second
	hearing      = 6 * time.Second // a little more than a peer may be silent
)

// verbs is everything a story can say. ALL, NODES and NODE stand for "all",
// node names and one node name; D is a duration such as 30s.
var verbs map[string]verb

func init() {
	verbs = map[string]verb{
		// Before the start.
		"nodes":    {"NODES", func(p *play) { p.config.Nodes = p.words(1, 9) }},
		"postgres": {"setting VALUE: for every server", (*play).doPostgres},
		"tables":   {"<<END: YAML of the key tables", func(p *play) { p.config.Tables = p.step.Text }},
		"config":   {"<<END: more top-level YAML", func(p *play) { p.config.Extra += p.step.Text }},
		"owner":    {"PATTERN NODE, or PATTERN column NAME [VALUE=NODE...], or PATTERN tables TABLE=NODE...", (*play).doOwner},
		"schema":   {"[NODES] <<END, or schema FILE", (*play).doSchema},
		"bank":     {"a table of accounts and a history for every node, for load and burst", (*play).doBank},
		"external": {"broker: one for all, in a process of its own", func(p *play) { p.words(1, 1); p.config.External = true }},
		"secure":   {"tls|wss: nodes know each other by keys and certificates", (*play).doSecure},
		"start":    {"the federation, or: start replicator|postgres ALL|NODES, or: start broker", (*play).doStart},
		"init":     {"ALL|NODES: replctl init, again", (*play).doInit},
		// What users do.
		"exec":       {"NODE SQL, or exec NODE <<END", func(p *play) { node, sql := p.nodeAndSQL(); node.Exec(sql) }},
		"exec-fails": {"NODE SQL: and the server must refuse it", (*play).doExecFails},
		"burst":      {"NODE N: that many transfers", (*play).doBurst},
		"load":       {"ALL|NODES: transfers until unload; sums are watched everywhere", (*play).doLoad},
		"unload":     {"end every load, and hold the watch to account", (*play).doUnload},
		"await-load": {"N: until every load has made that many transfers from now on [within D]", (*play).doAwaitLoad},
		// What goes wrong.
		"kill":      {"replicator|postgres ALL|NODES, or kill broker: with SIGKILL", (*play).doKill},
		"stop":      {"replicator|postgres ALL|NODES, or stop broker: cleanly", (*play).doStop},
		"restart":   {"replicator|postgres ALL|NODES, or restart broker: cleanly", (*play).doRestart},
		"crash":     {"NODE at POINT[:N]: restart the replicator, it kills itself there", (*play).doCrash},
		"crashed":   {"NODE: wait until it has, then start it again", (*play).doCrashed},
		"partition": {"NODE [NODE]: nothing crosses, nobody is told", func(p *play) { p.pair((*Federation).Partition) }},
		"cut":       {"NODE [NODE]: connections break", func(p *play) { p.pair((*Federation).Cut) }},
		"slow":      {"NODE NODE D: delay in each direction", (*play).doSlow},
		"heal":      {"end partitions and delays", func(p *play) { p.f.Heal() }},
		"lose":      {"store NODE: the broker's disk", func(p *play) { p.store((*Node).LoseStore) }},
		"save":      {"store NODE", func(p *play) { p.store((*Node).SaveStore) }},
		"restore":   {"store NODE: as it was saved", func(p *play) { p.store((*Node).RestoreStore) }},
		"standby":   {"NODE: a second replicator, which must wait", func(p *play) { p.federation().Node(p.words(1, 1)[0]).Standby() }},
		"take-over": {"NODE [within D]: the standby becomes the replicator", (*play).doTakeOver},
		"second":    {"NODE refused TEXT: a second replicator ends, saying TEXT", (*play).doSecond},
		// What must be true.
		"converge":         {"[within D] [on NODES] [tables NAMES]: all equal, nobody behind", (*play).doConverge},
		"expect":           {"NODE `SQL` = VALUE, now", (*play).doExpect},
		"await":            {"NODE `SQL` = VALUE [within D]", (*play).doAwait},
		"hold":             {"D NODE `SQL` = VALUE: it stays so for that long", (*play).doHold},
		"expect-conflicts": {"NODE N [KIND]: that many on record [within D]", (*play).doConflicts},
		"expect-halt":      {"NODE ORIGIN CODE [TEXT]: halted, and says so, within a minute; the origin is still heard of", (*play).doHalt},
		"expect-healthy":   {"[NODES]: within a minute", (*play).doHealthy},
		"expect-reason":    {"NODE CODE: among the reasons of its ill health, within a minute", (*play).doReason},
		"expect-running":   {"[NODES]: the replicator has not ended", (*play).doRunning},
		"mark":             {"remember how many transactions have written, for expect-writes", (*play).doMark},
		"expect-writes":    {"NODE at most N: transactions since mark that wrote", (*play).doWrites},
		"quiet":            {"D: meanwhile nobody writes, and little is read", (*play).doQuiet},
	}
}

// Verbs lists every verb with its usage, for people.
func Verbs() []string {
	var lines []string
	for name, verb := range verbs {
		lines = append(lines, name+" "+verb.usage)
	}
	sort.Strings(lines)
	return lines
}

func (p *play) fail(format string, args ...any) {
	p.Helper()
	p.Fatalf("%s:%d: %s: %s", p.path, p.step.Line, p.step, fmt.Sprintf(format, args...))
}

func (p *play) words(least, most int) []string {
	p.Helper()
	words := strings.Fields(p.step.Rest)
	if len(words) < least || len(words) > most {
		p.fail("want %s %s", p.step.Verb, verbs[p.step.Verb].usage)
	}
	return words
}

func (p *play) federation() *Federation {
	p.Helper()
	if p.f == nil {
		p.fail("the federation has not been started")
	}
	return p.f
}

func (p *play) nodes(names []string) []*Node {
	p.Helper()
	if len(names) == 1 && names[0] == "all" {
		names = nil
	}
	return p.federation().Nodes(names...)
}

func (p *play) number(word string) int {
	p.Helper()
	n, err := strconv.Atoi(strings.ReplaceAll(word, ",", ""))
	if err != nil {
		p.fail("want a number, have %q", word)
	}
	return n
}

func (p *play) duration(word string) time.Duration {
	p.Helper()
	d, err := time.ParseDuration(word)
	if err != nil {
		p.fail("want a duration, have %q", word)
	}
	return d
}

func (p *play) nodeAndSQL() (*Node, string) {
	p.Helper()
	name, sql, _ := strings.Cut(p.step.Rest, " ")
	return p.federation().Node(name), sql + p.step.Text
}

// takeWithin takes "within D" off the end of a line.
func (p *play) takeWithin(line string) (string, time.Duration) {
	p.Helper()
	found := regexp.MustCompile(`^(.*?)\s*\bwithin (\S+)$`).FindStringSubmatch(line)
	if found == nil {
		return line, within
	}
	return found[1], p.duration(found[2])
}

// until asks again and again whether something has become true.
func (p *play) until(d time.Duration, try func(context.Context) error) {
	p.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := try(context.WithoutCancel(ctx))
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			p.fail("not within %s: %v", d, err)
		case <-tick.C:
		}
	}
}

// end is after the last line.
func (p *play) end() {
	p.Helper()
	if len(p.loads) > 0 {
		p.fail("the story ends without unload")
	}
}

func (p *play) doPostgres() {
	words := p.words(2, 2)
	p.config.Postgres = append(p.config.Postgres, pgtest.Setting(words[0], words[1]))
}

func (p *play) doOwner() {
	words := p.words(2, 99)
	rule := fmt.Sprintf("- tables: [%q]\n  owner: ", words[0])
	switch {
	case words[1] == "column" && len(words) == 3:
		rule += fmt.Sprintf("{column: %s}", words[2])
	case words[1] == "column" && len(words) > 3:
		rule += fmt.Sprintf("{column: %s, values: %s}", words[2], yamlMap(words[3:]))
	case words[1] == "tables":
		rule += fmt.Sprintf("{tables: %s}", yamlMap(words[2:]))
	default:
		rule += words[1]
	}
	p.config.Ownership += rule + "\n"
}

// yamlMap turns a=b c=d into a YAML map.
func yamlMap(pairs []string) string {
	var entries []string
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		entries = append(entries, fmt.Sprintf("%q: %s", key, value))
	}
	return "{" + strings.Join(entries, ", ") + "}"
}

func (p *play) doSchema() {
	if p.step.Text == "" {
		content, err := os.ReadFile(filepath.Join(filepath.Dir(p.path), p.words(1, 1)[0]))
		if err != nil {
			p.fail("%v", err)
		}
		p.config.Schema += string(content)
		return
	}
	names := p.words(0, 9)
	if len(names) == 0 {
		p.config.Schema += p.step.Text
	}
	for _, name := range names {
		p.config.SchemaAt[name] += p.step.Text
	}
}

func (p *play) doBank() {
	p.config.Schema += BankSchema(p.config.Nodes)
	p.config.Ownership += BankOwnership(p.config.Nodes)
}

func (p *play) doStart() {
	if p.step.Rest != "" {
		p.each((*Node).Start, (*pgtest.Server).Start, func() { p.f.Broker.Restart() })
		return
	}
	p.f = New(p.T, p.config)
}

func (p *play) doSecure() {
	p.config.Secure = p.words(1, 1)[0]
	if p.config.Secure != "tls" && p.config.Secure != "wss" {
		p.fail("want secure %s", verbs["secure"].usage)
	}
}

func (p *play) doInit() {
	for _, node := range p.nodes(p.words(1, 9)) {
		node.Init()
	}
}

func (p *play) each(replicator func(*Node), postgres func(*pgtest.Server), broker func()) {
	p.Helper()
	words := p.words(1, 10)
	if words[0] == "broker" {
		broker()
		return
	}
	for _, node := range p.nodes(words[1:]) {
		switch words[0] {
		case "replicator", "replicators":
			replicator(node)
		case "postgres":
			postgres(node.DB)
		default:
			p.fail("want replicator or postgres")
		}
	}
}

func (p *play) doKill() {
	p.each((*Node).Kill, (*pgtest.Server).Kill9, func() { p.f.Broker.Kill9() })
}

func (p *play) doStop() {
	p.each((*Node).Stop, func(s *pgtest.Server) { s.Stop() }, func() { p.f.Broker.Stop() })
}

func (p *play) doRestart() {
	p.each((*Node).Restart, (*pgtest.Server).Restart, func() { p.f.Broker.Restart() })
}

func (p *play) doTakeOver() {
	line, d := p.takeWithin(p.step.Rest)
	p.federation().Node(line).TakeOver(d)
}

func (p *play) doExecFails() {
	node, sql := p.nodeAndSQL()
	if err := node.DB.TryExec(context.Background(), sql); err == nil {
		p.fail("the server took it")
	}
}

func (p *play) doBurst() {
	words := p.words(2, 2)
	p.federation().Node(words[0]).Burst(p.number(words[1]))
}

func (p *play) doLoad() {
	for i, node := range p.nodes(p.words(1, 9)) {
		if p.loads[node.Name] != nil {
			p.fail("%s has a load already", node.Name)
		}
		p.loads[node.Name] = node.StartLoad(uint64(p.step.Line*10+i), 2, 5*time.Millisecond)
	}
	if p.check == nil {
		p.check = p.f.StartSampler(100 * time.Millisecond)
	}
}

func (p *play) doUnload() {
	var loads []*Load
	for _, load := range p.loads {
		load.Stop()
		loads = append(loads, load)
		p.Logf("      %s: %d transfers", load.node.Name, load.Committed())
	}
	p.loads = map[string]*Load{}
	if p.check == nil {
		p.fail("there is no load")
	}
	check := p.check
	p.check = nil
	p.until(2*within, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return p.f.TryConverge(ctx, Span{})
	})
	if err := errors.Join(check.Stop(), p.f.CheckHistory(context.Background(), loads...)); err != nil {
		p.fail("%v", err)
	}
	p.Logf("      %d samples with all sums right", check.Samples())
}

func (p *play) doAwaitLoad() {
	line, d := p.takeWithin(p.step.Rest)
	want := int64(p.number(line))
	before := map[string]int64{}
	for name, load := range p.loads {
		before[name] = load.Committed()
	}
	p.until(d, func(context.Context) error {
		for name, load := range p.loads {
			if made := load.Committed() - before[name]; made < want {
				return fmt.Errorf("%s has made %d transfers", name, made)
			}
		}
		return nil
	})
}

func (p *play) doCrash() {
	words := p.words(3, 3)
	p.federation().Node(words[0]).CrashAt(words[2])
}

func (p *play) doCrashed() {
	node := p.federation().Node(p.words(1, 1)[0])
	node.AwaitCrash(within)
	node.Start()
}

func (p *play) pair(disturb func(*Federation, string, string)) {
	words := append(p.words(1, 2), "")
	disturb(p.federation(), words[0], words[1])
}

func (p *play) doSlow() {
	words := p.words(3, 3)
	p.federation().Slow(words[0], words[1], p.duration(words[2]))
}

func (p *play) store(do func(*Node)) {
	words := p.words(2, 2)
	do(p.federation().Node(words[1]))
}

func (p *play) doSecond() {
	name, text, found := strings.Cut(p.step.Rest, " refused ")
	if !found {
		p.fail("want second NODE refused TEXT")
	}
	said := p.federation().Node(name).Second(within)
	if !strings.Contains(said, text) {
		p.fail("it said:\n%s", said)
	}
}

func (p *play) doConverge() {
	d, span := within, Span{}
	words := p.words(0, 40)
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "within":
			if i+1 == len(words) {
				p.fail("within what?")
			}
			d = p.duration(words[i+1])
			i++
		case "on":
			for i+1 < len(words) && slices.Contains(p.config.Nodes, words[i+1]) {
				i++
				span.Nodes = append(span.Nodes, words[i])
			}
		case "tables":
			span.Tables, i = words[i+1:], len(words)
		default:
			p.fail("want converge %s", verbs["converge"].usage)
		}
	}
	p.federation().ConvergeSpan(d, span)
}

var question = regexp.MustCompile("^(\\S+)\\s+`([^`]*)` = ?(.*)$")

func (p *play) ask(line string) func(context.Context) error {
	p.Helper()
	found := question.FindStringSubmatch(line)
	if found == nil {
		p.fail("want %s", verbs[p.step.Verb].usage)
	}
	node, sql, want := p.federation().Node(found[1]), found[2], found[3]
	return func(ctx context.Context) error {
		rows, err := node.DB.TryQuery(ctx, sql)
		if err != nil {
			return err
		}
		var lines []string
		for _, row := range rows {
			lines = append(lines, strings.Join(row, "|"))
		}
		if have := strings.Join(lines, ", "); have != want {
			return fmt.Errorf("it is %s", have)
		}
		return nil
	}
}

func (p *play) doExpect() {
	if err := p.ask(p.step.Rest)(context.Background()); err != nil {
		p.fail("%v", err)
	}
}

func (p *play) doAwait() {
	line, d := p.takeWithin(p.step.Rest)
	p.until(d, p.ask(line))
}

func (p *play) doHold() {
	first, line, _ := strings.Cut(p.step.Rest, " ")
	ask := p.ask(line)
	end := time.After(p.duration(first))
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if err := ask(context.Background()); err != nil {
			p.fail("%v", err)
		}
		select {
		case <-end:
			return
		case <-tick.C:
		}
	}
}

func (p *play) doConflicts() {
	line, d := p.takeWithin(p.step.Rest)
	words := strings.Fields(line)
	if len(words) < 2 {
		p.fail("want %s", verbs[p.step.Verb].usage)
	}
	node, want := p.federation().Node(words[0]), p.number(words[1])
	p.until(d, func(context.Context) error {
		var kinds []string
		count := 0
		for _, conflict := range node.Conflicts() {
			kinds = append(kinds, conflict.Table+" "+conflict.Kind+" "+conflict.Resolution)
			if len(words) == 2 || conflict.Kind == words[2] {
				count++
			}
		}
		if count != want {
			return fmt.Errorf("on record: %v", kinds)
		}
		return nil
	})
}

func (p *play) doHalt() {
	words := p.words(3, 99)
	node, origin, code, text := p.federation().Node(words[0]), words[1], words[2], strings.Join(words[3:], " ")
	p.until(within, func(ctx context.Context) error {
		status, err := node.TryStatus(ctx)
		if err != nil {
			return err
		}
		inbound, _ := inboundOf(status, origin)
		if inbound.Halt == nil {
			return fmt.Errorf("%s is %s", origin, inbound.State)
		}
		halt := *inbound.Halt
		said := fmt.Sprintf("%+v", halt)
		switch {
		case halt.Code != code || !strings.Contains(said, text):
			return fmt.Errorf("it says %s", said)
		case halt.Origin != origin || halt.Position == "" || halt.Message == "" || halt.Remedy == "":
			return fmt.Errorf("a halt names origin, position, reason and remedy; this one says %s", said)
		case status.Node.Health.OK:
			return fmt.Errorf("it is halted and calls itself healthy")
		}
		return nil
	})
	p.hears(node, origin)
}

// hears demands that a halt takes only changes away: heartbeats of the origin
// still come, and it is not called unreachable.
func (p *play) hears(node *Node, origin string) {
	var since time.Time // last heartbeat when the halt was seen
	p.until(hearing, func(ctx context.Context) error {
		status, err := node.TryStatus(ctx)
		if err != nil {
			return err
		}
		for _, reason := range status.Node.Health.Reasons {
			if reason.Code == "peer_unreachable" && reason.Origin == origin {
				return fmt.Errorf("it is halted, and then: %s", reason.Message)
			}
		}
		for _, peer := range status.Peers {
			switch {
			case peer.Name != origin:
			case since.IsZero():
				since = peer.Heard
			case peer.Heard.Sub(since) >= severalBeats:
				return nil
			}
		}
		return fmt.Errorf("no heartbeats of %s are heard", origin)
	})
}

func healthy(ctx context.Context, node *Node) (report.Health, error) {
	status, err := node.TryStatus(ctx)
	if err != nil {
		return report.Health{}, err
	}
	return status.Node.Health, node.Ready(ctx)
}

func (p *play) doHealthy() {
	nodes := p.nodes(p.words(0, 9))
	p.until(within, func(ctx context.Context) error {
		for _, node := range nodes {
			health, err := healthy(ctx, node)
			if err != nil {
				return err
			}
			if !health.OK {
				return fmt.Errorf("%s: %+v", node.Name, health.Reasons)
			}
		}
		return nil
	})
}

func (p *play) doReason() {
	words := p.words(2, 2)
	node := p.federation().Node(words[0])
	p.until(within, func(ctx context.Context) error {
		status, err := node.TryStatus(ctx)
		if err != nil {
			return err
		}
		for _, reason := range status.Node.Health.Reasons {
			if reason.Code == words[1] && !status.Node.Health.OK {
				return nil
			}
		}
		return fmt.Errorf("its health: %+v", status.Node.Health)
	})
}

func (p *play) doRunning() {
	for _, node := range p.nodes(p.words(0, 9)) {
		if ended, err := node.ended(); ended {
			p.fail("the replicator of %s has ended: %v\n%s", node.Name, err, node.LogTail(20))
		}
	}
}

// written is the number that the next writing transaction of the server will
// get: reading gets none.
func (n *Node) written() int64 {
	n.t.Helper()
	number, err := strconv.ParseInt(n.One("SELECT pg_snapshot_xmax(pg_current_snapshot())"), 10, 64)
	if err != nil {
		n.t.Fatal(err)
	}
	return number
}

func (p *play) doMark() {
	p.marks = map[string]int64{}
	for _, node := range p.federation().Nodes() {
		p.marks[node.Name] = node.written()
	}
}

func (p *play) doWrites() {
	words := p.words(4, 4)
	node := p.federation().Node(words[0])
	most := int64(p.number(words[3]))
	if have := node.written() - p.marks[node.Name]; have > most {
		p.fail("there were %d", have)
	}
}

// What a quiet node may do per second: ask its server how it is. And in all:
// remember a position or two, and what the server itself writes now and then.
const (
	quietReadsPerSecond = 10
	quietWrites         = 3
	quietLogBytes       = 64 << 10
)

func (p *play) doQuiet() {
	d := p.duration(p.words(1, 1)[0])
	const counters = `SELECT xact_commit, pg_current_wal_insert_lsn() - '0/0' FROM pg_stat_database WHERE datname = current_database()`
	type count struct{ commits, log, writes int64 }
	read := func() map[string]count {
		counts := map[string]count{}
		for _, node := range p.federation().Nodes() {
			row := node.Query(counters)[0]
			commits, _ := strconv.ParseInt(row[0], 10, 64)
			log, _ := strconv.ParseInt(row[1], 10, 64)
			counts[node.Name] = count{commits, log, node.written()}
		}
		return counts
	}
	// Sessions hand in their count of transactions up to 10 s late: what came
	// before may be counted in the first of two such times, not in the second.
	before := read()
	<-time.After(max(d, 10*time.Second)) // this is the test: a time in which nothing happens
	between := read()
	<-time.After(d)
	for name, after := range read() {
		commits, writes, log := after.commits-between[name].commits, after.writes-before[name].writes, after.log-before[name].log
		p.Logf("      %s: %d transactions, %d of all that wrote, %d bytes of log", name, commits, writes, log)
		if most := int64(math.Ceil(d.Seconds())+2) * quietReadsPerSecond; commits > most || writes > quietWrites || log > quietLogBytes {
			p.fail("%s made %d transactions (at most %d), %d of all that wrote (at most %d), %d bytes of log (at most %d)",
				name, commits, most, writes, quietWrites, log, quietLogBytes)
		}
	}
}
