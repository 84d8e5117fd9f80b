"""A stand-in for Chatwoot: what its web server and its worker do at boot, on /health and /api, with Postgres and Redis.

A program of its own, one process a machine, started as `python -m sandbox.chatwoot ROLE`. The drivers of Postgres and
Redis are loaded in the time that its boot takes anyway. Nothing here knows of Fly: it has its environment, as on a
machine."""
