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
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_catalog.set_config('session_replication_role', 'replica', false);
END
$$;
REVOKE ALL ON FUNCTION pgfed.session_begin() FROM PUBLIC;
