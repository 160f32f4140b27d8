-- Tables in memory: inserts, indices, joins, groups, updates and deletes.
CREATE TABLE item (id INTEGER PRIMARY KEY, grp INTEGER, name TEXT, score INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000)
INSERT INTO item SELECT i, (i * 7919) % 1000, 'item ' || (i * 31 % 5003) || ' ' || hex(i), (i * 104729) % 100000 FROM n;
CREATE INDEX by_group ON item(grp, score);
CREATE INDEX by_name ON item(name);
CREATE TABLE grp (id INTEGER PRIMARY KEY, title TEXT);
INSERT INTO grp SELECT DISTINCT grp, 'group ' || grp FROM item;
SELECT g.title, count(*), sum(i.score), max(i.name) FROM item i JOIN grp g ON g.id = i.grp GROUP BY g.id ORDER BY 3 DESC, 1 LIMIT 20;
UPDATE item SET name = name || '!' WHERE id % 5 = 0;
DELETE FROM item WHERE score < 20000;
SELECT count(*), sum(length(name)), count(DISTINCT name) FROM item;
SELECT group_concat(name, ',') FROM (SELECT name FROM item WHERE grp < 3 ORDER BY name LIMIT 50);
SELECT a.grp, count(*) FROM item a JOIN item b ON a.name = b.name AND a.id < b.id GROUP BY a.grp ORDER BY 2 DESC, 1 LIMIT 10;
