-- A load of a database in memory: tables, indices, joins, text and groups.
PRAGMA cache_size = 200;
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, city TEXT);
CREATE TABLE item (id INTEGER PRIMARY KEY, customer INTEGER, what TEXT, price REAL, day INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
INSERT INTO customer SELECT i, 'name ' || (i * 7919 % 2003), 'city ' || (i % 37) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO item SELECT i, 1 + i * 104729 % 2000, 'thing ' || (i * 31 % 997), i % 1013 * 0.25, i * 17 % 365 FROM n;
CREATE INDEX by_customer ON item (customer);
CREATE INDEX by_what ON item (what, day);
SELECT city, count(*), round(sum(price), 2) FROM customer JOIN item ON item.customer = customer.id GROUP BY city ORDER BY 3 DESC LIMIT 5;
SELECT what, group_concat(day) FROM item WHERE day < 40 GROUP BY what ORDER BY what LIMIT 3;
UPDATE item SET what = upper(what) || ' of day ' || day WHERE id % 3 = 0;
SELECT count(DISTINCT substr(what, 1, 9)) FROM item;
DELETE FROM item WHERE customer IN (SELECT id FROM customer WHERE city = 'city 5');
SELECT json_group_array(json_object('id', id, 'what', what)) IS NOT NULL FROM item WHERE id % 7 = 0;
