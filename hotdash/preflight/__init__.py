"""Credentials, tried from here before Fly gets them: nothing is written anywhere.

`checks_for` makes the checks out of secrets, `fly_check` that of the Fly token, `run` runs them side by side; each ends
in an `Outcome`: proved, refused, or could not tell from here.

    outcome         verdicts, outcomes, checks
    demand          the connections that Chatwoot will open
    server_errors   what Postgres and poolers say, as a table of rules
    trial, running  how a check is made and run
    refusal         from outcomes to an error
    network         the way to a server
    postgres/       a database URL
    redis, smtp, storage, key_base, fly_token    the others

What a database URL tells by itself belongs into `hotdash.dsn`.
"""

from hotdash.preflight.checks import checks_for
from hotdash.preflight.demand import Demand
from hotdash.preflight.fly_token import fly_check
from hotdash.preflight.outcome import Check, Outcome, Verdict
from hotdash.preflight.refusal import refuse
from hotdash.preflight.running import run
from hotdash.preflight.server_errors import SERVER_ERRORS, ServerError, explain_error

__all__ = [
    "SERVER_ERRORS",
    "Check",
    "Demand",
    "Outcome",
    "ServerError",
    "Verdict",
    "checks_for",
    "explain_error",
    "fly_check",
    "refuse",
    "run",
]
