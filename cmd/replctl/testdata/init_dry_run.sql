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
