#!/bin/sh
# The load of the key-value server, through its socket; stops it at the end.
until [ -S "$1" ]; do sleep 0.1; done
redis-benchmark -s "$1" -q -c 16 -n 6000 -r 3000 -d 90 -P 4 -t set,get,lpush,lpop,hset,zadd,sadd
redis-cli -s "$1" flushall async
redis-cli -s "$1" shutdown nosave
