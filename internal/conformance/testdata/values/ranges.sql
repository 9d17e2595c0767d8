-- Ranges and multiranges arrive with their bounds, emptiness and infinities.

CREATE TABLE t (id int PRIMARY KEY, i int4range, l int8range, n numrange, ts tsrange, tz tstzrange, d daterange, im int4multirange, nm nummultirange, dm datemultirange, tm tstzmultirange);
--- on east
INSERT INTO t VALUES (1, '[1,10)', '[1,10]', '(1.50,2.500]', '[2020-01-01,2021-01-01)', '[2020-01-01 00:00+02,)', '(2020-01-01,2020-02-01]', '{[1,3),[5,9)}', '{(,1.0],[2,2]}', '{[2020-01-01,2020-02-01),[2021-01-01,)}', '{}'),
  (2, 'empty', 'empty', 'empty', 'empty', 'empty', 'empty', '{}', '{}', '{}', '{[infinity,infinity]}'), (3, '(,)', '(,)', '[NaN,]', '[-infinity,infinity]', '(,)', '[infinity,)', '{(,)}', '{[NaN,NaN]}', '{(,)}', '{(,"0044-03-15 00:00+00 BC")}'),
  (4, '[-2147483648,2147483647)', NULL, '[-1e-300,1e300]', NULL, NULL, '[4713-01-01 BC,5874897-12-31)', NULL, NULL, NULL, NULL);
--- on west
UPDATE t SET i = i + '[5,20)'::int4range WHERE id = 1;
UPDATE t SET nm = nm - '{[2,2]}'::nummultirange;
