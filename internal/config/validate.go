package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

var (
	namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,19}$`)
	keyPattern  = regexp.MustCompile(`^U[A-Z2-7]{55}$`)
)

// ValidName reports whether a federation or node may have this name.
func ValidName(name string) bool { return namePattern.MatchString(name) }

// Validate reports every mistake as one error that wraps Mistakes, or nil.
func (f *Federation) Validate() error {
	if mistakes := f.Check(); len(mistakes) > 0 {
		return mistakes
	}
	return nil
}

// Check lists what is wrong with a federation whose keys could be read.
func (f *Federation) Check() Mistakes {
	c := &checker{f: f}
	c.federation()
	c.nodes()
	c.broker()
	c.patterns("tables.include", f.Tables.Include)
	c.patterns("tables.exclude", f.Tables.Exclude)
	if len(f.Tables.Include) == 0 {
		c.fail("tables.include", `selects nothing; name at least one pattern, such as "public.*"`)
	}
	c.ownership()
	c.policies()
	c.bounds()
	return c.mistakes
}

type checker struct {
	f        *Federation
	mistakes Mistakes
}

func (c *checker) fail(path, format string, args ...any) {
	c.mistakes = append(c.mistakes, Mistake{Path: path, Message: fmt.Sprintf(format, args...)})
}

const nameRule = "use a lowercase letter, then at most 19 lowercase letters, digits or _"

func (c *checker) federation() {
	switch name := c.f.Federation; {
	case name == "":
		c.fail("federation", "is missing; give the federation a name: %s", nameRule)
	case !ValidName(name):
		c.fail("federation", "%q is not a valid name; %s", name, nameRule)
	}
}

func (c *checker) nodes() {
	if len(c.f.Nodes) < 2 {
		c.fail("nodes", "%d given; a federation has at least two", len(c.f.Nodes))
	}
	secured := c.f.Secured()
	urls := map[string]string{}
	for _, name := range c.f.NodeNames() {
		node, path := c.f.Nodes[name], "nodes."+name
		if !ValidName(name) {
			c.fail(path, "%q is not a valid node name; %s", name, nameRule)
		}
		c.memberURL(path+".url", node.URL)
		if other, taken := urls[node.URL]; taken && node.URL != "" {
			c.fail(path+".url", "is also the address of %s; every node has its own", other)
		}
		urls[node.URL] = name
		switch {
		case secured && node.Key == "":
			c.fail(path+".key", "is missing while other nodes have one; give every node its public key, or none")
		case node.Key != "" && !keyPattern.MatchString(node.Key):
			c.fail(path+".key", "is not a public user key; it is a U and 55 capital letters or digits (an S... is a seed and stays secret)")
		}
		for i, standby := range node.Standbys {
			at := fmt.Sprintf("%s.standbys[%d]", path, i)
			if standby == "" {
				c.fail(at, "is empty; give the standby's application_name")
			} else if slices.Contains(node.Standbys[:i], standby) {
				c.fail(at, "%q is given twice", standby)
			}
		}
	}
}

const urlRule = "write wss://host (WebSocket through an HTTPS route), tls://host:443 (TLS with SNI), or nats:// and ws:// on this machine only"

func (c *checker) memberURL(path, text string) {
	if text == "" {
		c.fail(path, "is missing; %s", urlRule)
		return
	}
	u := c.address(path, text)
	if u == nil {
		return
	}
	switch u.Scheme {
	case "wss", "tls":
	case "nats", "ws":
		if !loopback(u.Hostname()) {
			c.fail(path, "%s:// carries everything in clear and is for this machine only; use %s", u.Scheme,
				map[string]string{"nats": "tls://", "ws": "wss://"}[u.Scheme])
		}
	default:
		c.fail(path, "unknown scheme %q; %s", u.Scheme, urlRule)
	}
}

// address checks what all addresses have in common; nil when it failed.
func (c *checker) address(path, text string) *url.URL {
	u, err := url.Parse(text)
	port := ""
	if err == nil {
		port = u.Port()
	}
	number, portErr := strconv.Atoi(port)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		c.fail(path, "is not an address; %s", urlRule)
	case u.User != nil:
		c.fail(path, "holds a user or password; secrets come from files and the environment, never from this file")
	case port != "" && (portErr != nil || number < 1 || number > 65535):
		c.fail(path, "%q is not a port", port)
	case u.Path != "" && u.Path != "/" && (u.Scheme == "nats" || u.Scheme == "tls"):
		c.fail(path, "%s:// takes no path; a path works with wss:// only", u.Scheme)
	case u.RawQuery != "" || u.Fragment != "":
		c.fail(path, "takes no query and no fragment")
	default:
		return u
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c *checker) broker() {
	b := c.f.Broker
	c.oneOf("broker.mode", b.Mode, BrokerEmbedded, BrokerExternal)
	switch b.Mode {
	case BrokerEmbedded:
		if len(b.URLs) > 0 {
			c.fail("broker.urls", "an embedded broker has no addresses of its own; remove them or set broker.mode: external")
		}
		if b.Replicas != 1 {
			c.fail("broker.replicas", "is %d; an embedded broker keeps 1 copy, more need broker.mode: external", b.Replicas)
		}
		return
	case BrokerExternal:
		if len(b.URLs) == 0 {
			c.fail("broker.urls", `is empty; give the external broker's addresses, such as "tls://nats-{node}:4222"`)
		}
		if b.Replicas != 1 && b.Replicas != 3 && b.Replicas != 5 {
			c.fail("broker.replicas", "is %d; JetStream keeps 1, 3 or 5 copies", b.Replicas)
		}
	}
	for i, text := range b.URLs {
		path := fmt.Sprintf("broker.urls[%d]", i)
		u := c.address(path, strings.ReplaceAll(text, "{node}", "node"))
		if u != nil && !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			c.fail(path, "unknown scheme %q; use tls://, wss://, nats:// or ws://", u.Scheme)
		}
	}
}

func (c *checker) patterns(path string, patterns []string) {
	for i, p := range patterns {
		at := fmt.Sprintf("%s[%d]", path, i)
		schema, table, _ := strings.Cut(qualify(p), ".")
		switch {
		case p == "" || schema == "" || table == "" || strings.Contains(table, "."):
			c.fail(at, "%q is not a table pattern; write schema.table, with * and ? as wildcards", p)
		case strings.ContainsAny(p, " \t\n\"'"):
			c.fail(at, "%q holds spaces or quotes; write the bare name, with ? for an unusual character", p)
		case reserved(schema):
			c.fail(at, "schema %s belongs to the server or to pgfed and is never replicated", schema)
		case slices.Contains(patterns[:i], p):
			c.fail(at, "%q is given twice", p)
		}
	}
}

func (c *checker) ownership() {
	taken := map[string]int{}
	for i, rule := range c.f.Ownership {
		path := fmt.Sprintf("ownership[%d]", i)
		if len(rule.Tables) == 0 {
			c.fail(path+".tables", "is empty; name the tables that the rule is for")
		}
		c.patterns(path+".tables", rule.Tables)
		for j, p := range rule.Tables {
			if earlier, again := taken[qualify(p)]; again && earlier != i {
				c.fail(fmt.Sprintf("%s.tables[%d]", path, j), "%q already has an owner by ownership[%d]; the first rule counts", p, earlier)
			} else if !again {
				taken[qualify(p)] = i
			}
		}
		c.owner(path+".owner", rule)
	}
}

func (c *checker) owner(path string, rule Rule) {
	o := rule.Owner
	forms := 0
	for _, given := range []bool{o.Node != "", len(o.Tables) > 0, o.Column != ""} {
		if given {
			forms++
		}
	}
	if valuesAlone := len(o.Values) > 0 && forms == 0; forms != 1 && !valuesAlone {
		c.fail(path, "%s; write one of: a node's name, {tables: {name: node}}, or {column: name}",
			map[bool]string{true: "is missing", false: "has more than one form"}[forms == 0])
	}
	if o.Node != "" {
		c.member(path, o.Node)
	}
	for _, table := range sortedKeys(o.Tables) {
		at := path + ".tables." + table
		c.member(at, o.Tables[table])
		schema, name, _ := strings.Cut(qualify(table), ".")
		switch {
		case strings.ContainsAny(table, "*?"):
			c.fail(at, "a pattern cannot have an owner here; name each table, or write a rule of its own")
		case len(rule.Tables) > 0 && !slices.ContainsFunc(rule.Tables, func(p string) bool { return match(p, schema, name) }):
			c.fail(at, "no pattern of the rule's tables matches %s.%s, so this owner never counts", schema, name)
		}
	}
	if len(o.Values) > 0 && o.Column == "" {
		c.fail(path+".values", "need a column: {column: region, values: {eu: west}}")
	}
	for _, value := range sortedKeys(o.Values) {
		c.member(path+".values."+value, o.Values[value])
	}
}

func (c *checker) member(path, node string) {
	if _, known := c.f.Nodes[node]; !known {
		c.fail(path, "%q is not a node of this federation; the nodes are %s", node, strings.Join(c.f.NodeNames(), ", "))
	}
}

func (c *checker) policies() {
	if c.f.Conflict == ConflictLastUpdateWins {
		c.fail("conflict", "last_update_wins is not available yet, use error")
	} else {
		c.oneOf("conflict", c.f.Conflict, ConflictError)
	}
	c.oneOf("on_error", c.f.OnError, OnErrorStop, OnErrorPark)
	c.oneOf("delivery.mode", c.f.Delivery.Mode, DeliveryCausal, DeliveryOrigin)
	c.oneOf("stream.compression", c.f.Stream.Compression, CompressionNone, CompressionS2, CompressionZstd)
}

func (c *checker) oneOf(path, word string, words ...string) {
	if !slices.Contains(words, word) {
		c.fail(path, "%q is unknown; use %s", word, strings.Join(words, " or "))
	}
}

func (c *checker) bounds() {
	s := c.f.Stream
	c.notNegative("slot.retain", int64(c.f.Slot.Retain), c.f.Slot.Retain)
	c.notNegative("slot.retain_for", int64(c.f.Slot.RetainFor), c.f.Slot.RetainFor)
	c.notNegative("stream.keep", int64(s.Keep), s.Keep)
	c.notNegative("stream.keep_for", int64(s.KeepFor), s.KeepFor)
	switch {
	case s.MaxBytes < 16<<20:
		c.fail("stream.max_bytes", "is %s; a stream needs at least 16MB", s.MaxBytes)
	case s.Keep >= s.MaxBytes:
		c.fail("stream.keep", "%s is not below stream.max_bytes (%s), so the stream would fill up and stop", s.Keep, s.MaxBytes)
	}
	if c.f.Delivery.MaxWait <= 0 {
		c.fail("delivery.max_wait", "is %s; it must be above zero (for no waiting set delivery.mode: origin)", c.f.Delivery.MaxWait)
	}
	if c.f.Apply.Stall <= 0 {
		c.fail("apply.stall", "is %s; it must be above zero", c.f.Apply.Stall)
	}
}

func (c *checker) notNegative(path string, value int64, text fmt.Stringer) {
	if value < 0 {
		c.fail(path, "is %s; it must not be negative", text)
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
