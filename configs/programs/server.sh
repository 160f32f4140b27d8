#!/bin/sh
# Runs a row with a server: `server.sh redis`. The allocator is for the server alone, so it is taken out of the environment
# before the driver starts.
ALLOCATOR=${LD_PRELOAD:-}
export ALLOCATOR
unset LD_PRELOAD
exec /usr/bin/python3 -I servers.py "$@"
