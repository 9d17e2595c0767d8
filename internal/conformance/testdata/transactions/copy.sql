-- Rows of COPY arrive, with its NULLs, escapes and defaults.

CREATE TABLE t (id int PRIMARY KEY, v text, w text DEFAULT 'default');
--- on east
COPY t FROM STDIN;
1	a	b
2	\N	
3	tab\there\nnew line\\ backslash	\\N
4	NULL	.x
\.
COPY t (id, v) FROM STDIN WITH (FORMAT csv);
5,"quoted, ""twice"""
6,
7,""
\.
COPY t FROM STDIN WHERE id > 8;
8	not	this
9	but	this
\.
--- on west
UPDATE t SET w = v;
