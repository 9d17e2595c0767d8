package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pgfed/pgfed/conflict"
)

var (
	namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,19}$`)
	keyPattern  = regexp.MustCompile(`^U[A-Z2-7]{55}$`)
)

// ValidName reports whether a federation or node may have this name.
func ValidName(name string) bool { return namePattern.MatchString(name) }

// Validate reports every mistake as one error that wraps FileErrors, or nil.
func (f *Federation) Validate() error {
	if mistakes := f.Check(); len(mistakes) > 0 {
		return mistakes
	}
	return nil
}

// Check lists what is wrong with a federation whose keys could be read.
func (f *Federation) Check() FileErrors {
	c := &checker{f: f}
	c.federation()
	c.nodes()
	c.broker()
	c.patterns("tables.include", f.Tables.Include)
	c.patterns("tables.exclude", f.Tables.Exclude)
	c.patterns("tables.insert_only", f.Tables.InsertOnly)
	if len(f.Tables.Include) == 0 {
		c.fail("tables.include", `selects nothing; name at least one pattern, such as "public.*"`)
	}
	c.localColumns()
	c.ownership()
	c.policies()
	c.bounds()
	return c.mistakes
}

type checker struct {
	f        *Federation
	mistakes FileErrors
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
		schema, _, _ := strings.Cut(qualify(p), ".")
		err := conflict.CheckPattern(p)
		switch {
		case err != nil:
			c.fail(at, "%s; * and ? are wildcards", err)
		case reserved(schema):
			c.fail(at, "schema %s belongs to the server or to pgfed and is never replicated", schema)
		case slices.Contains(patterns[:i], p):
			c.fail(at, "%q is given twice", p)
		}
	}
}

func (c *checker) localColumns() {
	patterns := c.f.Tables.LocalColumns
	for i, p := range patterns {
		at := fmt.Sprintf("tables.local_columns[%d]", i)
		if err := conflict.CheckColumnPattern(p); err != nil {
			c.fail(at, "%s; * and ? are wildcards", err)
		} else if slices.Contains(patterns[:i], p) {
			c.fail(at, "%q is given twice", p)
		} else if column, tables := c.ownerColumn(p); column != "" {
			c.fail(at, "%q takes in column %s of %s, which names the owner of a row (ownership) and must be sent", p, column, tables)
		}
	}
}

// ownerColumn finds a column that names owners and that a pattern of local
// columns takes in. A pattern of tables, as a name, is one of those that it
// matches.
func (c *checker) ownerColumn(pattern string) (column, tables string) {
	rules, err := conflict.Compile(c.f.RuleSpec(), c.f.NodeNames(), conflict.PolicyError)
	if err != nil {
		return "", "" // reported with the rules
	}
	of, _, _ := conflict.SplitColumn(pattern)
	candidates := append([]string{of}, c.f.Tables.Include...)
	for _, rule := range c.f.Ownership {
		candidates = append(candidates, rule.Tables...)
	}
	for _, name := range candidates {
		schema, table, _ := strings.Cut(qualify(name), ".")
		column := rules.For(schema, table).Column
		if column != "" && c.f.Included(schema, table) && conflict.MatchColumn(pattern, schema, table, column) {
			return column, schema + "." + table
		}
	}
	return "", ""
}

// ownership is judged by the package that judges by it, so what passes here
// passes there.
func (c *checker) ownership() {
	_, err := conflict.Compile(c.f.RuleSpec(), c.f.NodeNames(), conflict.PolicyError)
	if err == nil {
		return
	}
	mistakes := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		mistakes = joined.Unwrap()
	}
	for _, mistake := range mistakes {
		path, message, _ := strings.Cut(mistake.Error(), ": ")
		if strings.HasPrefix(path, "ownership[") { // node names are ours to judge
			c.fail(path, "%s", message)
		}
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
