"""The table of rules: every form of DSN that is known, whose it is and what it leads to.

From the particular to the general; the first rule that fits tells, and the last one fits everything. A rule knows no
more than its source does: what a vendor lets be configured is `pooled`, whatever its default.
"""

from __future__ import annotations

from typing import Final

from hotdash.dsn.rule import Rule
from hotdash.dsn.rules import anywhere, fly, hosted, supabase

PROVIDERS: Final = {
    "supabase": "Supabase",
    "supavisor": "Supavisor",
    "neon": "Neon",
    "azure": "Azure Database for PostgreSQL",
    "planetscale": "PlanetScale Postgres",
    "crunchy": "Crunchy Bridge",
    "digitalocean": "DigitalOcean",
    "aiven": "Aiven",
    "timescale": "Tiger Cloud (Timescale)",
    "amazon-rds": "Amazon RDS",
    "amazon-ec2": "a machine in Amazon EC2",
    "cloud-sql": "Google Cloud SQL",
    "heroku": "Heroku",
    "prisma": "Prisma Postgres",
    "railway": "Railway",
    "fly-mpg": "Fly Managed Postgres",
    "fly-postgres": "Fly Postgres (unmanaged)",
    "pgbouncer": "PgBouncer",
    "this-machine": "this machine",
    "unknown": "an unknown host",
}
"""Readable names of the stable ids."""

RULES: Final[tuple[Rule, ...]] = (
    *supabase.RULES,
    *hosted.RULES,
    *fly.MANAGED,
    *supabase.SUPAVISOR,
    *anywhere.POOLERS,
    *fly.APPS,
    *anywhere.REST,
)
