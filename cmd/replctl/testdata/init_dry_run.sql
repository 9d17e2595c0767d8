-- 1. Schema pgfed: checkpoints, histories, conflicts, parked transactions
BEGIN;
SET LOCAL client_min_messages = warning;
-- The schema pgfed keeps in each member database. Idempotent: running it again
-- changes nothing. None of these tables is published.

CREATE SCHEMA IF NOT EXISTS pgfed;
REVOKE ALL ON SCHEMA pgfed FROM PUBLIC;

-- Who this database is. One row.
CREATE TABLE IF NOT EXISTS pgfed.node (
    singleton   boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    federation  text NOT NULL,
    node        text NOT NULL,
    version     integer NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- The lives of this database's write-ahead log, newest last. "published" is a
-- position that the stream durably held when the slot was last confirmed; a
-- stream that ends before it has lost what it had acknowledged.
CREATE TABLE IF NOT EXISTS pgfed.history (
    ordinal     bigint GENERATED ALWAYS AS IDENTITY,
    id          uuid PRIMARY KEY,
    system      text NOT NULL,
    timeline    bigint NOT NULL,
    parent      uuid,
    fork        pg_lsn,
    start       pg_lsn NOT NULL,
    published   pg_lsn,
    confirmed   pg_lsn,
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- What this node has applied of each origin: the durable frontier. Updated by
-- compare-and-set in the transaction that writes the rows. generation and
-- sequence are hints where to look in the origin's stream.
CREATE TABLE IF NOT EXISTS pgfed.checkpoint (
    origin      text PRIMARY KEY,
    history     uuid NOT NULL,
    lsn         pg_lsn NOT NULL,
    generation  uuid,
    sequence    bigint NOT NULL DEFAULT 0,
    commit_time timestamptz,
    applied_at  timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- Every change that was not applied as its origin made it. A change's identity
-- is (origin, history, position, ordinal): judged twice, recorded once.
CREATE TABLE IF NOT EXISTS pgfed.conflict_history (
    origin       text NOT NULL,
    history      uuid NOT NULL,
    position     pg_lsn NOT NULL,
    ordinal      bigint NOT NULL,
    schema_name  text NOT NULL,
    table_name   text NOT NULL,
    operation    text NOT NULL,
    kind         text NOT NULL,
    resolution   text NOT NULL,
    owner        text,
    key          jsonb,
    key_hash     text NOT NULL,
    remote_old   jsonb,
    remote_new   jsonb,
    local_row    jsonb,
    commit_time  timestamptz,
    recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (origin, history, position, ordinal)
);
CREATE INDEX IF NOT EXISTS conflict_history_recorded_at ON pgfed.conflict_history (recorded_at);

-- Transactions that could not be applied for a lasting reason, kept whole.
CREATE TABLE IF NOT EXISTS pgfed.parked (
    origin      text NOT NULL,
    history     uuid NOT NULL,
    position    pg_lsn NOT NULL,
    xid         bigint NOT NULL,
    reason      text NOT NULL,
    sqlstate    text NOT NULL,
    tables      text[] NOT NULL,
    commit_time timestamptz,
    parked_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (origin, history, position)
);

-- The changes of a parked transaction, in order, each as its origin wrote it.
CREATE TABLE IF NOT EXISTS pgfed.parked_change (
    origin      text NOT NULL,
    history     uuid NOT NULL,
    position    pg_lsn NOT NULL,
    ordinal     bigint NOT NULL,
    schema_name text NOT NULL,
    table_name  text NOT NULL,
    operation   text NOT NULL,
    old_kind    text NOT NULL,
    old_row     jsonb,
    new_row     jsonb,
    detail      jsonb,
    PRIMARY KEY (origin, history, position, ordinal),
    FOREIGN KEY (origin, history, position) REFERENCES pgfed.parked ON DELETE CASCADE
);

-- Keys that a parked transaction touched: later changes to them join it.
CREATE TABLE IF NOT EXISTS pgfed.parked_key (
    origin      text NOT NULL,
    history     uuid NOT NULL,
    position    pg_lsn NOT NULL,
    schema_name text NOT NULL,
    table_name  text NOT NULL,
    key_hash    text NOT NULL,
    PRIMARY KEY (origin, schema_name, table_name, key_hash, history, position),
    FOREIGN KEY (origin, history, position) REFERENCES pgfed.parked ON DELETE CASCADE
);

-- Lets an ordinary role apply like a replica: triggers and foreign keys stay
-- silent, as under native replication.
CREATE OR REPLACE FUNCTION pgfed.session_begin() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM pg_catalog.set_config('session_replication_role', 'replica', false);
END
$$;
REVOKE ALL ON FUNCTION pgfed.session_begin() FROM PUBLIC;
INSERT INTO pgfed.node (federation, node, version) VALUES ('hippo', 'east', 1)
    ON CONFLICT (singleton) DO UPDATE SET version = excluded.version WHERE node.version < excluded.version;
COMMIT;

-- 2. The publication: which tables are captured; a partitioned table brings its later partitions along
CREATE PUBLICATION "pgfed_hippo" FOR TABLE ONLY "public"."accounts" WITH (publish = 'insert, update, delete, truncate', publish_via_partition_root = false);

-- 3. Replication origins: the mark on what is applied from each peer
SELECT pg_replication_origin_create('pgfed_hippo_central') WHERE NOT EXISTS (SELECT FROM pg_replication_origin WHERE roname = 'pgfed_hippo_central');
SELECT pg_replication_origin_create('pgfed_hippo_west') WHERE NOT EXISTS (SELECT FROM pg_replication_origin WHERE roname = 'pgfed_hippo_west');

-- 4. The slot: from here on the server keeps what was not shipped; waits for open transactions
SELECT lsn::text FROM pg_catalog.pg_create_logical_replication_slot('pgfed_hippo_east', 'pgoutput', false, false);

-- 5. The history: this life of the write-ahead log, from where the slot begins
INSERT INTO pgfed.history (id, system, timeline, start, confirmed)
SELECT gen_random_uuid(), system_identifier::text,
       ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint,
       confirmed_flush_lsn, confirmed_flush_lsn
  FROM pg_control_system(), pg_replication_slots
 WHERE slot_name = 'pgfed_hippo_east' AND NOT EXISTS (SELECT FROM pgfed.history);

-- 6. The replicator's role: what it needs and no more
BEGIN;
CREATE ROLE "replicator" LOGIN REPLICATION;
GRANT pg_read_all_stats TO "replicator";
GRANT USAGE ON SCHEMA pgfed TO "replicator";
GRANT SELECT ON pgfed.node TO "replicator";
GRANT EXECUTE ON FUNCTION pgfed.session_begin() TO "replicator";
GRANT SELECT, INSERT, UPDATE, DELETE ON pgfed.history TO "replicator";
GRANT SELECT, INSERT, UPDATE, DELETE ON pgfed.checkpoint TO "replicator";
GRANT SELECT, INSERT, UPDATE, DELETE ON pgfed.conflict_history TO "replicator";
GRANT SELECT, INSERT, UPDATE, DELETE ON pgfed.parked TO "replicator";
GRANT SELECT, INSERT, UPDATE, DELETE ON pgfed.parked_change TO "replicator";
GRANT SELECT, INSERT, UPDATE, DELETE ON pgfed.parked_key TO "replicator";
GRANT EXECUTE ON FUNCTION pg_catalog.pg_replication_origin_oid(text) TO "replicator";
GRANT EXECUTE ON FUNCTION pg_catalog.pg_replication_origin_progress(text, boolean) TO "replicator";
GRANT EXECUTE ON FUNCTION pg_catalog.pg_replication_origin_session_setup(text) TO "replicator";
GRANT EXECUTE ON FUNCTION pg_catalog.pg_replication_origin_session_reset() TO "replicator";
GRANT EXECUTE ON FUNCTION pg_catalog.pg_replication_origin_session_is_setup() TO "replicator";
GRANT EXECUTE ON FUNCTION pg_catalog.pg_replication_origin_session_progress(boolean) TO "replicator";
GRANT EXECUTE ON FUNCTION pg_catalog.pg_replication_origin_xact_setup(pg_lsn, timestamp with time zone) TO "replicator";
GRANT EXECUTE ON FUNCTION pg_catalog.pg_replication_origin_xact_reset() TO "replicator";
GRANT USAGE ON SCHEMA "public" TO "replicator";
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON "public"."accounts" TO "replicator";
ALTER DEFAULT PRIVILEGES FOR ROLE "postgres" IN SCHEMA "public" GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO "replicator";
COMMIT;
