CREATE TABLE hippos (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    node_name text,
    value datemultirange,
    created_at timestamptz NOT NULL DEFAULT now()
) PARTITION BY LIST (node_name);
CREATE TABLE hippo_default PARTITION OF hippos DEFAULT;
CREATE TABLE hippo_east PARTITION OF hippos FOR VALUES IN ('east');
CREATE TABLE hippo_central PARTITION OF hippos FOR VALUES IN ('central');
CREATE TABLE hippo_west PARTITION OF hippos FOR VALUES IN ('west');
ALTER TABLE hippo_default ADD PRIMARY KEY (id);
ALTER TABLE hippo_east ADD PRIMARY KEY (id);
ALTER TABLE hippo_central ADD PRIMARY KEY (id);
ALTER TABLE hippo_west ADD PRIMARY KEY (id);

-- Each node has its own this_node().
CREATE FUNCTION name_hippos() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE public.hippos SET node_name = public.this_node() WHERE node_name IS NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER name_hippos AFTER INSERT ON hippos FOR EACH STATEMENT EXECUTE FUNCTION name_hippos();
