"""Fly.io as this project needs it: its Machines API, what it answers, and a rollout over it.

`model` holds what Fly knows, as typed values; `wire` turns its JSON into them; `client` asks and writes; `refusals`
says what it means when Fly does neither; `rollout` moves the machines of one process group behind their health checks.
"""
