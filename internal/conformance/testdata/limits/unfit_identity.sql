-- init refuses tables in which nothing tells rows apart, names all of them with the reason and a section of the file that leaves them out, and changes nothing.
-- alone: init is what is judged
-- expect: refused-at-init limits_unfit_identity.Bare one no_identity no primary key
-- expect: refused-at-init limits_unfit_identity.unique_only no_identity no primary key
-- expect: refused-at-init limits_unfit_identity.silent no_identity REPLICA IDENTITY NOTHING
-- expect: refused-at-init limits_unfit_identity.deferrable_key deferrable_key the primary key is deferrable
-- expect: refused-at-init limits_unfit_identity.lost no_identity the index that was its replica identity is gone or not valid
-- expect: refused-at-init limits_unfit_identity.child no_identity no primary key
-- expect: refused-at-init - limits_unfit_identity.Bare?one
-- expect: refused-at-init nothing was changed

CREATE TABLE fit (id int PRIMARY KEY);
CREATE TABLE "Bare one" (id int);
CREATE TABLE unique_only (id int UNIQUE);
CREATE TABLE silent (id int PRIMARY KEY);
ALTER TABLE silent REPLICA IDENTITY NOTHING;
CREATE TABLE deferrable_key (id int PRIMARY KEY DEFERRABLE);
CREATE TABLE lost (id int NOT NULL CONSTRAINT was_identity UNIQUE);
ALTER TABLE lost REPLICA IDENTITY USING INDEX was_identity;
ALTER TABLE lost DROP CONSTRAINT was_identity;
CREATE TABLE child () INHERITS (fit);
