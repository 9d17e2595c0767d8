-- Geometric, network, money and text search values arrive.

CREATE TABLE t (id int PRIMARY KEY, p point, l line, s lseg, b box, pa path, po polygon, c circle, i inet, ci cidr, m macaddr, m8 macaddr8, mo money, tv tsvector, tq tsquery);
--- on east
INSERT INTO t VALUES (1, '(1.1,-2e-300)', '{1,-1,0}', '[(0,0),(1,1)]', '((1,2),(3,4))', '[(0,0),(1,1)]', '((0,0),(1,0),(1,1))', '<(0,0),1>', '10.1.2.3', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '-1234.56', 'a:1A fat:2B,3 ''quo''''te'':4', 'a & !b | c <-> d:*AB'),
  (2, '(NaN,Infinity)', '{0,1,-Infinity}', '[(NaN,0),(0,NaN)]', '(NaN,1),(0,0)', '((0,0))', '((0,0))', '<(1,1),0>', '::1', '::/0', 'ff:ff:ff:ff:ff:ff', '00:00:00:00:00:00:00:00', '92233720368547758.07', '', ''),
  (3, '(-0,0)', NULL, NULL, NULL, '((0,0),(1,1),(2,0))', NULL, '<(0,0),Infinity>', '192.168.0.1/24', '192.168.100.128/25', NULL, NULL, '-92233720368547758.08', '''a b'':16383 ''\\'':1', '''a b'' <3> c'),
  (4, '(0.1,0.30000000000000004)', NULL, NULL, NULL, NULL, NULL, NULL, '2001:db8::ff00:42:8329/64', '2001:db8::/32', NULL, NULL, '0', NULL, NULL), (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '0.0.0.0/0', '0.0.0.0/0', NULL, NULL, '0.01', NULL, NULL);
--- on west
UPDATE t SET mo = mo * 2 WHERE id IN (1, 4, 5);
UPDATE t SET i = i + 1 WHERE id <> 2;
