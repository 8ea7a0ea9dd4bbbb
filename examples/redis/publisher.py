"""Publishes ticks for all pods through Redis: publisher.py RATE_HZ."""

import math
import os
import sys
import time

import redis
import socketio

RATE_HZ = float(sys.argv[1])
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")


def main() -> None:
    """Publishes until it is ended.

    Tick k is due at k / RATE_HZ seconds since 1970, and says so in `ts`. After a stall, all ticks that came
    due meanwhile are sent. Their number is kept in Redis, so it goes on when the publisher is started again.
    """
    database = redis.from_url(REDIS_URL)
    pods = socketio.RedisManager(REDIS_URL, write_only=True)
    k = math.ceil(time.time() * RATE_HZ)
    while True:
        time.sleep(max(0.0, k / RATE_HZ - time.time()))
        pods.emit("tick", {"seq": database.incr("seq"), "ts": round(k / RATE_HZ * 1000)})
        k += 1


if __name__ == "__main__":
    main()
