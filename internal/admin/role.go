package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pgfed/pgfed/internal/catalog"
)

// originFunctions are what marking and reading progress takes. A superuser may
// grant them from 14 on.
var originFunctions = []string{
	"pg_replication_origin_oid(text)",
	"pg_replication_origin_progress(text, boolean)",
	"pg_replication_origin_session_setup(text)",
	"pg_replication_origin_session_reset()",
	"pg_replication_origin_session_is_setup()",
	"pg_replication_origin_session_progress(boolean)",
	"pg_replication_origin_xact_setup(pg_lsn, timestamp with time zone)",
	"pg_replication_origin_xact_reset()",
}

// ownTables are pgfed's tables that the replicator writes.
var ownTables = []string{"history", "checkpoint", "conflict_history", "parked", "parked_change", "parked_key"}

// role gives a role what the replicator needs and nothing else. It comes last,
// when everything that is granted exists.
//
// Default privileges: a partition made later belongs to the replicated set
// without anybody asking, so what the owners of replicated tables create in
// the same schemas is granted in advance.
func (p *planner) role(ctx context.Context) error {
	if p.Role == "" {
		return nil
	}
	gap, err := p.roleGap(ctx)
	if err != nil {
		return err
	}
	if gap.Superuser {
		p.warn("role %s is a superuser already and needs no grants", p.Role)
	}
	if !gap.Exists {
		p.warn("role %s has no password; give it one with \\password %s or let it log in with a certificate", p.Role, p.Role)
	}
	if len(gap.Statements) > 0 {
		p.add(Step{Title: "The replicator's role: what it needs and no more", Transaction: true, Statements: gap.Statements})
	}
	return nil
}

// RoleGap is what a role lacks to serve the replicator.
type RoleGap struct {
	Exists     bool
	Superuser  bool
	Statements []string // that would give it the rest; none when it suffices
}

// ReadRoleGap compares the role of the options with what the replicator needs.
func ReadRoleGap(ctx context.Context, q Querier, o Options) (RoleGap, error) {
	return (&planner{Options: o, q: q}).roleGap(ctx)
}

func (p *planner) roleGap(ctx context.Context) (RoleGap, error) {
	var gap RoleGap
	tables, err := catalog.ReadTables(ctx, p.q, p.Federation)
	if err != nil {
		return gap, err
	}
	needs := roleNeeds{tables: tables.Writable()}
	for _, t := range needs.tables {
		needs.bypass = needs.bypass || t.RowSecurity
	}
	var login, replication, bypass bool
	err = p.q.QueryRow(ctx, `SELECT count(*) > 0, coalesce(bool_or(rolsuper), false), coalesce(bool_or(rolcanlogin), false),
	       coalesce(bool_or(rolreplication), false), coalesce(bool_or(rolbypassrls), false) FROM pg_roles WHERE rolname = $1`, p.Role).
		Scan(&gap.Exists, &gap.Superuser, &login, &replication, &bypass)
	if err != nil {
		return gap, fmt.Errorf("read role %s: %w", p.Role, err)
	}
	if gap.Superuser {
		return gap, nil
	}
	attributes := []string{"LOGIN", "REPLICATION"}
	if needs.bypass {
		attributes = append(attributes, "BYPASSRLS")
	}
	switch {
	case !gap.Exists:
		gap.Statements = append(gap.Statements, "CREATE ROLE "+identifier(p.Role)+" "+strings.Join(attributes, " "))
	case !login || !replication || needs.bypass && !bypass:
		gap.Statements = append(gap.Statements, "ALTER ROLE "+identifier(p.Role)+" "+strings.Join(attributes, " "))
	}
	grants, err := p.missingGrants(ctx, gap.Exists, needs)
	gap.Statements = append(gap.Statements, grants...)
	return gap, err
}

type roleNeeds struct {
	tables []*catalog.Table
	bypass bool // some table has row security
}

// grant is a GRANT and the query that says whether it is needed; $1 is the
// role's name.
type grant struct {
	statement string
	held      string
}

func (p *planner) missingGrants(ctx context.Context, exists bool, needs roleNeeds) ([]string, error) {
	var missing []string
	for _, g := range p.grants(needs) {
		if exists {
			var held *bool
			if err := p.q.QueryRow(ctx, "SELECT "+g.held, p.Role).Scan(&held); err != nil {
				return nil, fmt.Errorf("read the privileges of role %s: %w", p.Role, err)
			}
			if held != nil && *held {
				continue
			}
		}
		missing = append(missing, g.statement)
	}
	return missing, nil
}

// grants lists all that the role needs. What does not exist yet gives NULL for
// held, which counts as no.
func (p *planner) grants(needs roleNeeds) []grant {
	role := identifier(p.Role)
	list := []grant{
		{"GRANT pg_read_all_stats TO " + role, "pg_has_role($1, 'pg_read_all_stats', 'USAGE')"},
		{"GRANT USAGE ON SCHEMA pgfed TO " + role, "(SELECT has_schema_privilege($1, oid, 'USAGE') FROM pg_namespace WHERE nspname = 'pgfed')"},
		{"GRANT SELECT ON pgfed.node TO " + role, "has_table_privilege($1, to_regclass('pgfed.node'), 'SELECT')"},
		{"GRANT EXECUTE ON FUNCTION pgfed.session_begin() TO " + role, "has_function_privilege($1, to_regprocedure('pgfed.session_begin()'), 'EXECUTE')"},
	}
	for _, table := range ownTables {
		list = append(list, grant{
			"GRANT SELECT, INSERT, UPDATE, DELETE ON pgfed." + table + " TO " + role,
			hasAll(fmt.Sprintf("to_regclass('pgfed.%s')", table), "SELECT", "INSERT", "UPDATE", "DELETE"),
		})
	}
	for _, function := range originFunctions {
		list = append(list, grant{
			"GRANT EXECUTE ON FUNCTION pg_catalog." + function + " TO " + role,
			"has_function_privilege($1, 'pg_catalog." + function + "'::regprocedure, 'EXECUTE')",
		})
	}
	var owners []string // owner and schema, each once
	var schemas []string
	for _, t := range needs.tables {
		if !slices.Contains(schemas, t.Schema) {
			schemas = append(schemas, t.Schema)
			list = append(list, grant{
				"GRANT USAGE ON SCHEMA " + identifier(t.Schema) + " TO " + role,
				"has_schema_privilege($1, " + literal(identifier(t.Schema)) + "::regnamespace, 'USAGE')",
			})
		}
		list = append(list, grant{
			"GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON " + t.Quoted() + " TO " + role,
			hasAll(literal(t.Quoted())+"::regclass", "SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"),
		})
		for _, sequence := range t.DefaultSequences {
			// A column that the origin does not have is filled by its default
			// here, with the replicator's privileges.
			list = append(list, grant{
				"GRANT USAGE ON SEQUENCE " + sequence + " TO " + role,
				"has_sequence_privilege($1, " + literal(sequence) + "::regclass, 'USAGE')",
			})
		}
		if key := t.Owner + "\x00" + t.Schema; !slices.Contains(owners, key) {
			owners = append(owners, key)
			list = append(list, defaultGrant(t.Owner, t.Schema, role))
		}
	}
	return list
}

func defaultGrant(owner, schema, role string) grant {
	return grant{
		"ALTER DEFAULT PRIVILEGES FOR ROLE " + identifier(owner) + " IN SCHEMA " + identifier(schema) +
			" GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO " + role,
		fmt.Sprintf(`(SELECT count(DISTINCT a.privilege_type) = 5 FROM pg_default_acl d, aclexplode(d.defaclacl) a
		  WHERE d.defaclrole = %s::regrole AND d.defaclnamespace = %s::regnamespace AND d.defaclobjtype = 'r'
		    AND a.grantee = $1::regrole AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'))`,
			literal(identifier(owner)), literal(identifier(schema))),
	}
}

func hasAll(table string, privileges ...string) string {
	checks := make([]string, len(privileges))
	for i, privilege := range privileges {
		checks[i] = "has_table_privilege($1, " + table + ", '" + privilege + "')"
	}
	return strings.Join(checks, " AND ")
}
