"""A Postgres URL and what can be told from it alone; no I/O.

`model` takes it apart, `classification` tells what it leads to, `explanation` what Chatwoot makes of it.
"""

from hotdash.dsn.classification import Certainty, Classification, Place, Pooling, classify
from hotdash.dsn.explanation import Explanation, Finding, Severity, explain
from hotdash.dsn.model import DEFAULT_PORT, PARTS, Dsn, Host, MalformedDsn

__all__ = [
    "DEFAULT_PORT",
    "PARTS",
    "Certainty",
    "Classification",
    "Dsn",
    "Explanation",
    "Finding",
    "Host",
    "MalformedDsn",
    "Place",
    "Pooling",
    "Severity",
    "classify",
    "explain",
]
