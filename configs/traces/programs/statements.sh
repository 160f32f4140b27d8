#!/bin/sh
# Statements for the database: each is parsed, planned and run by itself.
cat "$(dirname "$0")/database.sql"
awk 'BEGIN { for (i = 1; i <= 4000; i++) {
    printf "INSERT INTO item (customer, what, price, day) VALUES (%d, '\''new %d'\'', %d.5, %d);\n", 1 + i * 31 % 2000, i, i % 90, i % 365
    if (i % 4 == 0) printf "SELECT name, (SELECT count(*) FROM item WHERE customer = customer.id) FROM customer WHERE id BETWEEN %d AND %d;\n", i % 1990, i % 1990 + 3
} }'
