package config

import (
	"slices"
	"sort"
	"strings"

	"github.com/pgfed/pgfed/conflict"
)

// Prefix begins the name of everything that pgfed creates in a server. The
// decoder knows our own transactions by it.
const Prefix = "pgfed_"

// Schema is the schema pgfed keeps in each member database.
const Schema = "pgfed"

// SlotName is the replication slot of a node: pgfed_<federation>_<node>.
func (f *Federation) SlotName(node string) string { return Prefix + f.Federation + "_" + node }

// PublicationName is the publication in every member database:
// pgfed_<federation>.
func (f *Federation) PublicationName() string { return Prefix + f.Federation }

// OriginName is the replication origin that marks, at every other node, what
// was applied from this one: pgfed_<federation>_<origin node>.
func (f *Federation) OriginName(node string) string { return Prefix + f.Federation + "_" + node }

// NodeNames lists all members in order.
func (f *Federation) NodeNames() []string {
	names := make([]string, 0, len(f.Nodes))
	for name := range f.Nodes {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// PeersOf lists, in order, all members but the node.
func (f *Federation) PeersOf(node string) []string {
	return slices.DeleteFunc(f.NodeNames(), func(name string) bool { return name == node })
}

// Secured reports whether the members have keys.
func (f *Federation) Secured() bool {
	for _, node := range f.Nodes {
		if node.Key != "" {
			return true
		}
	}
	return false
}

// NativeSubscriptions reports whether the member databases may be native
// subscribers of other databases.
func (f *Federation) NativeSubscriptions() bool {
	return f.Capture.NativeSubscriptions == nil || *f.Capture.NativeSubscriptions
}

// BrokerURLs are the addresses of a node's own external broker; none when the
// broker is embedded.
func (f *Federation) BrokerURLs(node string) []string {
	urls := make([]string, 0, len(f.Broker.URLs))
	for _, u := range f.Broker.URLs {
		urls = append(urls, strings.ReplaceAll(u, "{node}", node))
	}
	return urls
}

// RulesVersion is the version of the rules that batches are written under.
// Until rules become records in the federation there is one.
func (f *Federation) RulesVersion() uint64 { return 1 }

// Included reports whether the file selects a table: an include pattern
// matches it and no exclude pattern does. Schemas of the server's own and
// pgfed's are never selected.
func (f *Federation) Included(schema, table string) bool {
	if reserved(schema) {
		return false
	}
	return matched(f.Tables.Include, schema, table) && !matched(f.Tables.Exclude, schema, table)
}

// InsertOnly reports whether a table may lack a replica identity, because
// nobody means to change or delete its rows.
func (f *Federation) InsertOnly(schema, table string) bool {
	return matched(f.Tables.InsertOnly, schema, table)
}

func matched(patterns []string, schema, table string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return conflict.Match(pattern, schema, table) })
}

// Named lists, as schema and name, the tables that the file includes by name and
// not by a wildcard, less those that it excludes.
func (f *Federation) Named() [][2]string {
	var names [][2]string
	for _, pattern := range f.Tables.Include {
		if strings.ContainsAny(pattern, "*?") {
			continue
		}
		if schema, table, _ := strings.Cut(qualify(pattern), "."); f.Included(schema, table) {
			names = append(names, [2]string{schema, table})
		}
	}
	return names
}

// PatternOf is the pattern that matches a table by its name. Characters that a
// pattern cannot hold are matched by a wildcard.
func PatternOf(schema, table string) string {
	plain := strings.NewReplacer(".", "?", "*", "?", "\"", "?", " ", "?", "\t", "?", "\r", "?", "\n", "?")
	return plain.Replace(schema) + "." + plain.Replace(table)
}

// Local reports whether a column is each node's own: not sent, not written and
// not compared.
func (f *Federation) Local(schema, table, column string) bool {
	return slices.ContainsFunc(f.Tables.LocalColumns, func(pattern string) bool {
		return conflict.MatchColumn(pattern, schema, table, column)
	})
}

func reserved(schema string) bool {
	return schema == Schema || schema == "information_schema" || strings.HasPrefix(schema, "pg_")
}

// qualify gives a pattern its schema: a bare name means public.
func qualify(pattern string) string {
	if strings.Contains(pattern, ".") {
		return pattern
	}
	return "public." + pattern
}

// RuleSpec is the ownership section as package conflict takes it.
func (f *Federation) RuleSpec() conflict.Spec {
	spec := make(conflict.Spec, len(f.Ownership))
	for i, rule := range f.Ownership {
		spec[i] = conflict.RuleSpec{
			Tables: rule.Tables, Node: rule.Owner.Node, ByTable: rule.Owner.Tables,
			Column: rule.Owner.Column, Values: rule.Owner.Values,
		}
	}
	return spec
}

// Policy is what decides clashes on rows that nobody owns.
func (f *Federation) Policy() conflict.Policy { return conflict.Policy(f.Conflict) }
