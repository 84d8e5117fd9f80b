"""The servers that the sandbox's machines talk to: a real Postgres and a real Redis, both with passwords.

One folder's worth each, started and stopped with the sandbox, kept between runs, ended if the sandbox is killed.
What Chatwoot stores in them is in schema.py; who connects to them is elsewhere."""

from sandbox.services.endpoints import Account, Endpoints, ServiceError
from sandbox.services.supervisor import Services

__all__ = ["Account", "Endpoints", "ServiceError", "Services"]
