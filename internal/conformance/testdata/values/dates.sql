-- Dates, times and intervals arrive from 4713 BC to 294276, with infinities and mixed signs.

CREATE TABLE moments (id int PRIMARY KEY, d date, ts timestamp, tz timestamptz, t time, tt timetz, iv interval, ts0 timestamp(0), tz3 timestamptz(3), ym interval year to month);
--- on east
INSERT INTO moments (id, d, ts, tz) VALUES (1, '4713-01-01 BC', '4713-01-01 00:00:00 BC', '4713-01-01 00:00:00+00 BC'),
  (2, '5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00'),
  (3, 'infinity', 'infinity', 'infinity'), (4, '-infinity', '-infinity', '-infinity'), (5, '0001-01-01 BC', '0001-12-31 BC', '0044-03-15 12:00+00 BC'),
  (6, '0001-01-01', 'epoch', 'epoch'), (7, '2024-02-29', '2024-02-29 23:59:60', '2024-10-27 01:30:00+00'), (8, '1582-10-10', '1883-11-18 12:03:57.5', '1883-11-18 12:03:57.5-05:50:36'),
  (9, '0999-12-31', '0099-01-02 03:04:05.000001', '10000-01-01 00:00+00'), (10, '2001-02-03', '1999-12-31 23:59:59.999999', '1999-12-31 23:59:59.999999-15:59');
INSERT INTO moments (id, t, tt, iv) VALUES (20, '00:00', '00:00+15:59', '0'), (21, '24:00', '24:00-15:59', '-1 year 2 mons -3 days 04:05:06.789'),
  (22, '23:59:59.999999', '12:00:00.5+05:45', '178000000 years'), (23, '12:00', '12:00:00-00:30:15', '-178000000 years -11 mons'), (24, NULL, NULL, '1 mon -1 day'),
  (25, NULL, NULL, '-00:00:00.000001'), (26, NULL, NULL, '2147483647 days -2147483647 mons'), (27, NULL, NULL, '-1 day +02:03:00'), (28, NULL, NULL, '1 year -1 day');
INSERT INTO moments (id, ts0, tz3, ym) VALUES (40, '2000-01-01 00:00:00.5', '2000-01-01 00:00:00.12345+00', '-14 mons');
--- on west
UPDATE moments SET d = d + 1 WHERE id IN (1, 5, 7);
UPDATE moments SET iv = -iv WHERE id BETWEEN 21 AND 28;
