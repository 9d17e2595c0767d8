-- The federation guide's schema. @node@ is the name of the node.
CREATE FUNCTION get_node_name() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'hippo-@node@' $$;

CREATE TABLE hippos (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    node_name text,
    value datemultirange,
    created_at timestamptz
) PARTITION BY LIST (node_name);

CREATE TABLE hippo_default PARTITION OF hippos (PRIMARY KEY (id)) DEFAULT;
CREATE TABLE hippo_east PARTITION OF hippos (PRIMARY KEY (id)) FOR VALUES IN ('hippo-east');
CREATE TABLE hippo_central PARTITION OF hippos (PRIMARY KEY (id)) FOR VALUES IN ('hippo-central');
CREATE TABLE hippo_west PARTITION OF hippos (PRIMARY KEY (id)) FOR VALUES IN ('hippo-west');

CREATE FUNCTION add_node_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hippos SET node_name = get_node_name() WHERE node_name IS NULL;
    RETURN NULL;
END
$$;

CREATE TRIGGER add_node_name AFTER INSERT ON hippos
    FOR EACH STATEMENT EXECUTE FUNCTION add_node_name();
