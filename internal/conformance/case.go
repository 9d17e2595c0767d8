package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Nodes of every federation of this package.
var Nodes = []string{"east", "west"}

const oracle = "oracle"

// Case is one promise with the SQL that would break it.
type Case struct {
	Group, Name string
	File, Text  string
	Promise     string
	MinVersion  int
	MaxVersion  int            // 0: none
	MinAt       map[string]int // by node
	MaxAt       map[string]int
	Alone       string
	Slow        string
	Expect      Expectation
	Limit       string
	Layouts     string
	Encoding    map[string]string
	Server      map[string]string
	Settings    []Setting
	Tables      string
	InsertOnly  []string // tables without replica identity
	Ownership   string
	Config      string
	Contrib     []string
	Compare     []string
	Record      string // "nothing": no conflict may be on record
	Steps       []Step
}

// The outcomes that a case can promise.
const (
	Equal           = "equal"
	Halt            = "halt"
	RefusedAtInit   = "refused-at-init"
	RefusedByServer = "refused-by-server"
)

// Setting is what an administrator has set for the node's sessions.
type Setting struct {
	For   string // role, database or role_in_database
	Text  string // name = value
	Since int    // the oldest Postgres that knows it; 0: all
}

// Expectation is what must become of a case.
type Expectation struct {
	Kind   string
	Detail string // the halt's code, a SQLSTATE, or lines that are parts of init's message
}

// Step is one section.
type Step struct {
	Line    int
	Verb    string   // setup, on, fails, check, init, settle, restart, kill, stop, start, halted, repair
	Where   []string // nodes and the oracle
	Session string
	// Meanwhile: what others wrote before need not have arrived.
	Meanwhile bool
	State     string // of fails
	Query     string // of check
	Want      string
	What      string // of restart, kill, stop and start: replicator or postgres
	SQL       string
}

// ID names the case: group/name.
func (c *Case) ID() string { return c.Group + "/" + c.Name }

// Schema is where the case's SQL runs.
func (c *Case) Schema() string { return c.Group + "_" + c.Name }

// Load reads every case under a folder, in order of their names.
func Load(root string) ([]*Case, error) {
	files, err := filepath.Glob(filepath.Join(root, "*", "*.sql"))
	if err != nil {
		return nil, fmt.Errorf("list the cases: %w", err)
	}
	sort.Strings(files)
	var cases []*Case
	var problems []error
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read case: %w", err)
		}
		c, err := Parse(file, string(text))
		problems = append(problems, err)
		cases = append(cases, c)
	}
	if len(cases) == 0 {
		problems = append(problems, fmt.Errorf("no case in %s", root))
	}
	return cases, errors.Join(problems...)
}

var (
	headerKey = regexp.MustCompile(`^-- ([a-z_]+): ?(.*)$`)
	checkLine = regexp.MustCompile("^(\\S+) `([^`]+)` = ?(.*)$")
)

// Parse reads the text of a case; file names it.
func Parse(file, text string) (*Case, error) {
	c := &Case{
		File: file, Text: text, Group: filepath.Base(filepath.Dir(file)), Name: strings.TrimSuffix(filepath.Base(file), ".sql"),
		Expect: Expectation{Kind: Equal}, Encoding: map[string]string{}, Server: map[string]string{},
		MinAt: map[string]int{}, MaxAt: map[string]int{},
	}
	p := &parser{c: c}
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.number++
		if err := p.line(lines.Text()); err != nil {
			return c, fmt.Errorf("%s:%d: %w", file, p.number, err)
		}
	}
	if err := p.end(); err != nil {
		return c, fmt.Errorf("%s:%d: %w", file, p.number, err)
	}
	return c, lines.Err()
}

type parser struct {
	c       *Case
	number  int
	body    bool // the header is over
	promise bool // the promise is over
	compare bool
	step    *Step
}

func (p *parser) line(line string) error {
	switch {
	case !p.body && strings.HasPrefix(line, "--") && !strings.HasPrefix(line, "---"):
		return p.header(line)
	case strings.HasPrefix(line, "--- "):
		p.body = true
		return p.section(strings.TrimSpace(strings.TrimPrefix(line, "--- ")))
	case !p.body && strings.TrimSpace(line) == "":
		return nil
	}
	p.body = true
	if p.compare {
		if line = strings.TrimSpace(line); line != "" {
			p.c.Compare = append(p.c.Compare, strings.TrimSuffix(line, ";"))
		}
		return nil
	}
	if p.step == nil {
		if strings.TrimSpace(line) == "" {
			return nil
		}
		p.begin(Step{Verb: "setup", Where: append(slices.Clone(Nodes), oracle)})
	}
	p.step.SQL += line + "\n"
	return nil
}

func (p *parser) header(line string) error {
	found := headerKey.FindStringSubmatch(line)
	if found == nil {
		text := strings.TrimSpace(strings.TrimLeft(line, "-"))
		switch {
		case text == "":
			p.promise = p.c.Promise != ""
		case !p.promise:
			p.c.Promise = strings.TrimSpace(p.c.Promise + " " + text)
		}
		return nil
	}
	p.promise = true
	key, value := found[1], strings.TrimSpace(found[2])
	name, rest, _ := strings.Cut(value, "=")
	switch key {
	case "min_version":
		return version(value, &p.c.MinVersion, p.c.MinAt)
	case "max_version":
		return version(value, &p.c.MaxVersion, p.c.MaxAt)
	case "alone":
		p.c.Alone = value
	case "slow":
		p.c.Slow = value
	case "expect":
		kind, detail, _ := strings.Cut(value, " ")
		if p.c.Expect.Kind == RefusedAtInit && kind == RefusedAtInit { // all that init must say
			detail = p.c.Expect.Detail + "\n" + detail
		}
		p.c.Expect = Expectation{kind, detail}
	case "limit":
		p.c.Limit = value
	case "layouts":
		p.c.Layouts = value
	case "encoding":
		p.c.Encoding[name] = rest
	case "server":
		p.c.Server[name] = rest
	case "role", "database", "role_in_database":
		s := Setting{For: key, Text: value}
		if since, text, found := strings.Cut(value, "+ "); found {
			var err error
			if s.Since, err = strconv.Atoi(since); err != nil {
				return fmt.Errorf("read version: %w", err)
			}
			s.Text = text
		}
		p.c.Settings = append(p.c.Settings, s)
	case "tables":
		p.c.Tables += value + "\n"
	case "insert_only":
		p.c.InsertOnly = append(p.c.InsertOnly, strings.Fields(value)...)
	case "ownership":
		p.c.Ownership += value + "\n"
	case "config":
		p.c.Config += value + "\n"
	case "record":
		p.c.Record = value
	case "contrib":
		p.c.Contrib = strings.Fields(strings.ReplaceAll(value, ",", " "))
	default:
		return fmt.Errorf("unknown key %q", key)
	}
	return nil
}

// version reads a version of all servers, or NODE=VERSION.
func version(text string, all *int, at map[string]int) error {
	node, number, one := strings.Cut(text, "=")
	if !one {
		number = text
	}
	major, err := strconv.Atoi(number)
	switch {
	case err != nil:
		return fmt.Errorf("read version: %w", err)
	case !one:
		*all = major
	case !slices.Contains(Nodes, node):
		return fmt.Errorf("unknown node %q", node)
	default:
		at[node] = major
	}
	return nil
}

// Unfit says why a case does not apply to nodes of these versions, which are
// the default's where they are 0; "" if it does.
func (c *Case) Unfit(majors Majors, byDefault int) string {
	oldest, newest := majors.Oldest(), majors.Newest()
	if oldest == 0 {
		oldest, newest = byDefault, max(newest, byDefault)
	}
	switch {
	case c.MinVersion > oldest:
		return "needs Postgres " + strconv.Itoa(c.MinVersion)
	case c.MaxVersion > 0 && newest > c.MaxVersion:
		return "ended with Postgres " + strconv.Itoa(c.MaxVersion)
	}
	for i, node := range Nodes {
		major := majors.at(i)
		if major == 0 {
			major = byDefault
		}
		if most := c.MaxAt[node]; major < c.MinAt[node] || most > 0 && major > most {
			return "needs another version at " + node
		}
	}
	return ""
}

func (p *parser) begin(s Step) {
	s.Line = p.number
	p.c.Steps = append(p.c.Steps, s)
	p.step = &p.c.Steps[len(p.c.Steps)-1]
	p.compare = false
}

func (p *parser) section(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	words := strings.Fields(rest)
	s := Step{Verb: verb}
	switch verb {
	case "setup":
		s.Where = words
		if len(words) == 0 || words[0] == "all" {
			s.Where = append(slices.Clone(Nodes), oracle)
		}
	case "on":
		if len(words) == 0 {
			return errors.New("on whom?")
		}
		s.Where = []string{words[0], oracle}
		switch {
		case words[0] == "all":
			s.Where = append(slices.Clone(Nodes), oracle)
		case words[0] == oracle:
			s.Where = words[:1]
		case len(words) > 1 && words[1] == "only":
			s.Where = words[:1]
		case len(words) > 1 && words[1] == "meanwhile":
			s.Meanwhile = true
		case len(words) == 3 && words[1] == "session":
			s.Session = words[2]
		case len(words) > 1:
			return fmt.Errorf("unknown words after %q", words[0])
		}
	case "fails":
		if len(words) != 2 {
			return errors.New("want fails NODE SQLSTATE")
		}
		s.Where, s.State = words[:1], words[1]
	case "check":
		found := checkLine.FindStringSubmatch(rest)
		if found == nil {
			return errors.New("want check WHERE `SQL` = VALUE")
		}
		s.Where, s.Query, s.Want = strings.Split(found[1], ","), found[2], found[3]
		if s.Where[0] == "all" {
			s.Where = append(slices.Clone(Nodes), oracle)
		}
	case "restart", "kill", "stop", "start":
		if len(words) != 2 || words[0] != "replicator" && words[0] != "postgres" {
			return fmt.Errorf("want %s replicator|postgres NODE", verb)
		}
		s.What, s.Where = words[0], words[1:]
	case "init", "settle", "repair", "halted":
	case "compare":
		p.compare = true
		return nil
	default:
		return fmt.Errorf("unknown section %q", verb)
	}
	for _, name := range s.Where {
		if name != oracle && !slices.Contains(Nodes, name) {
			return fmt.Errorf("unknown node %q", name)
		}
	}
	p.begin(s)
	return nil
}

func (p *parser) end() error {
	c := p.c
	if c.Promise == "" {
		return errors.New("the case begins without its promise")
	}
	switch c.Expect.Kind {
	case Equal:
	case Halt, RefusedAtInit, RefusedByServer:
		if c.Expect.Detail == "" {
			return fmt.Errorf("expect %s of what?", c.Expect.Kind)
		}
	default:
		return fmt.Errorf("unknown expectation %q", c.Expect.Kind)
	}
	if c.Alone == "" && (len(c.Encoding)+len(c.Server)+len(c.Settings) > 0 || c.Tables+c.Ownership+c.Config != "") {
		return errors.New("a case with settings of its own must say why it is alone")
	}
	if c.Alone == "" && c.Expect.Kind == Halt && !slices.ContainsFunc(c.Steps, func(s Step) bool { return s.Verb == "repair" }) {
		return errors.New("a case that ends in a halt must say why it is alone")
	}
	return nil
}

// Serial reports whether the case disturbs others while it runs.
func (c *Case) Serial() bool {
	return c.Alone == "" && (c.Expect.Kind != Equal || slices.ContainsFunc(c.Steps, func(s Step) bool {
		return slices.Contains([]string{"restart", "kill", "stop", "init"}, s.Verb)
	}))
}

// comparable reports whether nodes and oracle agree between the stages too: not
// where sections run at one of them only.
func (c *Case) comparable() bool {
	return len(c.Compare) == 0 && !slices.ContainsFunc(c.Steps, func(s Step) bool {
		return s.Verb == "on" && !slices.Contains(s.Where, oracle) || s.Verb == "on" && s.Where[0] == oracle
	})
}

// stages cuts the steps behind setup where what was written before must have
// arrived: where the writing node changes, and before checks.
func (c *Case) stages() [][]Step {
	var stages [][]Step
	var writer string
	open, repairing := false, false // repairing: nothing can arrive yet
	for _, s := range c.Steps {
		who := writer
		if s.Meanwhile && open {
			stages[len(stages)-1] = append(stages[len(stages)-1], s)
			writer = "several"
			continue
		}
		switch s.Verb {
		case "setup":
			continue
		case "on":
			if s.Where[0] != oracle {
				who = strings.Join(s.Where, ",")
			}
			who = strings.TrimSuffix(who, ","+oracle)
		case "repair":
			who = ""
		case "settle":
			if !repairing { // every stage ends so
				open, writer = false, ""
				continue
			}
		case "check", "init", "halted":
			if !repairing {
				who = s.Verb
			}
		}
		repairing = s.Verb == "repair" || repairing && who == ""
		if !open || who != writer && writer != "" {
			stages, open = append(stages, nil), true
		}
		writer = who
		stages[len(stages)-1] = append(stages[len(stages)-1], s)
	}
	return stages
}
