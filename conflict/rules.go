package conflict

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Policy decides clashes on rows that nobody owns.
type Policy string

const (
	// PolicyError halts the origin at the first clash, on record.
	PolicyError Policy = "error"
	// PolicyLastUpdateWins has its place here and in Resolve; Compile refuses
	// it until it is built.
	PolicyLastUpdateWins Policy = "last_update_wins"
)

// Spec is the ownership section of the federation file. The first rule that
// matches a table counts.
type Spec []RuleSpec

// RuleSpec gives tables an owner in exactly one of three ways: Node, ByTable
// or Column.
type RuleSpec struct {
	Tables  []string          // patterns, see Match
	Node    string            // this node owns the whole of every matched table
	ByTable map[string]string // table name (bare means public) -> node
	Column  string            // the column whose value names the owner
	Values  map[string]string // with Column, optional: value -> node; without it the value is the node's name
}

// Rules is a compiled Spec. It is immutable and safe for concurrent use.
type Rules struct {
	policy Policy
	nodes  []string // sorted
	rules  []compiled
}

type compiled struct {
	patterns []string
	byTable  map[tableName]string
	rule     Rule
}

type tableName struct{ schema, name string }

// RuleKind says how a table's rows get their owner.
type RuleKind uint8

// The kinds of rules.
const (
	Unowned  RuleKind = iota // no rule matches: every node may write, a clash is decided by the policy
	Unlisted                 // matched by a rule by table that does not list it: nobody's, as Unowned
	Static                   // the table belongs to Rule.Node
	ByColumn                 // the value of Rule.Column names the owner
)

// String gives the kind's name.
func (k RuleKind) String() string {
	switch k {
	case Unowned:
		return "unowned"
	case Unlisted:
		return "unlisted"
	case Static:
		return "table"
	case ByColumn:
		return "column"
	}
	return "unknown rule kind"
}

// Rule is what counts for one table. The zero Rule is Unowned under
// PolicyError. Copies share immutable contents.
type Rule struct {
	Kind   RuleKind
	Node   string            // Static
	Column string            // ByColumn
	Values map[string]string // ByColumn with a value map, else nil; not to be changed
	policy Policy
	nodes  []string
}

// String describes the rule for people.
func (r Rule) String() string {
	switch r.Kind {
	case Static:
		return "owner " + r.Node
	case ByColumn:
		return "owner by column " + r.Column
	default:
		return r.Kind.String() + ", conflict " + string(r.policyOrDefault())
	}
}

func (r Rule) policyOrDefault() Policy {
	if r.policy == "" {
		return PolicyError
	}
	return r.policy
}

// For returns the rule of a table. It goes through the patterns: callers keep
// the result per table.
func (r *Rules) For(schema, table string) Rule {
	for i := range r.rules {
		c := &r.rules[i]
		if !c.matches(schema, table) {
			continue
		}
		rule := c.rule
		if c.byTable != nil {
			rule.Kind = Unlisted
			if node, listed := c.byTable[tableName{schema, table}]; listed {
				rule.Kind, rule.Node = Static, node
			}
		}
		return rule
	}
	return Rule{Kind: Unowned, policy: r.policy, nodes: r.nodes}
}

// Policy returns what decides clashes on rows that nobody owns.
func (r *Rules) Policy() Policy { return r.policy }

func (c *compiled) matches(schema, table string) bool {
	return slices.ContainsFunc(c.patterns, func(p string) bool { return Match(p, schema, table) })
}

// Compile checks the spec against the federation's node names and makes it
// usable. The error joins every mistake, each beginning with the path of its
// key in the federation file. An empty policy means PolicyError.
func Compile(spec Spec, nodes []string, policy Policy) (*Rules, error) {
	c := compiler{nodes: slices.Clone(nodes)}
	sort.Strings(c.nodes)
	c.checkNodes()
	c.checkPolicy(policy)
	if policy == "" {
		policy = PolicyError
	}
	rules := &Rules{policy: policy, nodes: c.nodes}
	for i := range spec {
		rules.rules = append(rules.rules, c.compile(fmt.Sprintf("ownership[%d]", i), &spec[i], policy))
	}
	if len(c.mistakes) > 0 {
		return nil, errors.Join(c.mistakes...)
	}
	return rules, nil
}

type compiler struct {
	nodes    []string
	seen     []seenPattern // every well-formed pattern so far, in the file's order
	mistakes []error
}

type seenPattern struct{ path, pattern string }

func (c *compiler) mistake(path, format string, args ...any) {
	c.mistakes = append(c.mistakes, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
}

func (c *compiler) checkNodes() {
	for i, node := range c.nodes {
		if node == "" {
			c.mistake("nodes", "a node has no name")
		} else if i > 0 && c.nodes[i-1] == node {
			c.mistake("nodes", "%q is named twice", node)
		}
	}
}

func (c *compiler) checkPolicy(policy Policy) {
	switch policy {
	case "", PolicyError:
	case PolicyLastUpdateWins:
		c.mistake("conflict", "last_update_wins is not available yet, want error")
	default:
		c.mistake("conflict", "unknown policy %q, want error", policy)
	}
}

func (c *compiler) checkNode(path, node string) {
	if !slices.Contains(c.nodes, node) {
		c.mistake(path, "%q is not a node of the federation (%s)", node, strings.Join(c.nodes, ", "))
	}
}

func (c *compiler) compile(path string, spec *RuleSpec, policy Policy) compiled {
	earlier := len(c.seen)
	out := compiled{rule: Rule{policy: policy, nodes: c.nodes}}
	out.patterns = c.compilePatterns(path, spec.Tables)

	ways := 0
	for _, used := range []bool{spec.Node != "", spec.ByTable != nil, spec.Column != "" || spec.Values != nil} {
		if used {
			ways++
		}
	}
	if ways != 1 {
		c.mistake(path+".owner", "want exactly one of a node, tables, or a column; found %d of them", ways)
	}
	if spec.Node != "" {
		c.checkNode(path+".owner", spec.Node)
		out.rule.Kind, out.rule.Node = Static, spec.Node
	}
	if spec.ByTable != nil {
		out.byTable = c.compileTables(path+".owner.tables", spec.ByTable, out.patterns, earlier)
	}
	if spec.Column != "" || spec.Values != nil {
		c.checkColumn(path+".owner", spec)
		out.rule.Kind, out.rule.Column = ByColumn, spec.Column
		if spec.Values != nil {
			out.rule.Values = make(map[string]string, len(spec.Values))
			for value, node := range spec.Values {
				out.rule.Values[value] = node
			}
		}
	}
	return out
}

// compilePatterns returns the well-formed patterns. A pattern that an earlier
// one makes useless is a mistake: somebody believes it counts.
func (c *compiler) compilePatterns(path string, patterns []string) []string {
	if len(patterns) == 0 {
		c.mistake(path+".tables", "names no table")
	}
	var good []string
	for i, pattern := range patterns {
		at := fmt.Sprintf("%s.tables[%d]", path, i)
		schema, table, err := splitPattern(pattern)
		if err != nil {
			c.mistake(at, "%s", err)
			continue
		}
		if by := c.shadow(schema, table, len(c.seen)); by != nil {
			c.mistake(at, "%q is already matched by %q at %s, the first match counts", pattern, by.pattern, by.path)
		}
		c.seen = append(c.seen, seenPattern{at, pattern})
		good = append(good, pattern)
	}
	return good
}

// shadow finds the first of the earliest n patterns that leaves nothing to
// one with these halves: it is the same, or it matches its only table.
func (c *compiler) shadow(schema, table string, n int) *seenPattern {
	wild := strings.ContainsAny(schema+table, "*?")
	for i := range c.seen[:n] {
		s, t, _ := splitPattern(c.seen[i].pattern)
		if s == schema && t == table || !wild && glob(s, schema) && glob(t, table) {
			return &c.seen[i]
		}
	}
	return nil
}

func (c *compiler) compileTables(path string, byTable map[string]string, patterns []string, earlier int) map[tableName]string {
	if len(byTable) == 0 {
		c.mistake(path, "lists no table")
	}
	out := make(map[tableName]string, len(byTable))
	for _, key := range sortedKeys(byTable) {
		at := path + "." + key
		c.checkNode(at, byTable[key])
		schema, table, err := splitPattern(key)
		switch {
		case err != nil:
			c.mistake(at, "%s", err)
			continue
		case strings.ContainsAny(key, "*?"):
			c.mistake(at, "%q is a pattern, want the name of one table", key)
			continue
		}
		name := tableName{schema, table}
		if _, twice := out[name]; twice {
			c.mistake(at, "%s.%s is listed twice", schema, table)
		}
		if !slices.ContainsFunc(patterns, func(p string) bool { return Match(p, schema, table) }) {
			c.mistake(at, "%s.%s is not matched by any of the rule's tables", schema, table)
		} else if by := c.shadow(schema, table, earlier); by != nil {
			c.mistake(at, "%s.%s is already matched by %q at %s, the first match counts", schema, table, by.pattern, by.path)
		}
		out[name] = byTable[key]
	}
	return out
}

func (c *compiler) checkColumn(path string, spec *RuleSpec) {
	if spec.Column == "" {
		c.mistake(path+".values", "maps the values of no column")
	}
	if spec.Values != nil && len(spec.Values) == 0 {
		c.mistake(path+".values", "maps no value")
	}
	for _, value := range sortedKeys(spec.Values) {
		c.checkNode(path+".values."+value, spec.Values[value])
	}
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
