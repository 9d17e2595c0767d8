-- Event triggers at login fire for the replicator as for anybody, with the search_path that everybody has; what they say and write does not matter.
-- min_version: 17

CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE public.local_logins (who text, told text);
GRANT INSERT ON public.local_logins TO PUBLIC;
CREATE FUNCTION public.welcome() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO local_logins VALUES (session_user, current_setting('application_name'));
    RAISE NOTICE 'welcome';
    RAISE WARNING 'welcome, %', session_user;
END $$;
--- on east only
ALTER ROLE pgfed_replicator RESET search_path;
--- on west only
ALTER ROLE pgfed_replicator RESET search_path;
--- on all
CREATE EVENT TRIGGER welcome ON login EXECUTE FUNCTION public.welcome();
ALTER EVENT TRIGGER welcome ENABLE ALWAYS;
--- restart replicator east
--- restart replicator west
--- on east
INSERT INTO t VALUES (1, 'a');
--- on west
UPDATE t SET v = 'b';
--- check east,west `SELECT count(DISTINCT told) > 3 FROM public.local_logins WHERE who = 'pgfed_replicator' AND told LIKE 'pgfed/%'` = t
--- on all
DROP EVENT TRIGGER welcome;
--- on east only
ALTER ROLE pgfed_replicator SET search_path = nowhere;
--- on west only
ALTER ROLE pgfed_replicator SET search_path = nowhere;
