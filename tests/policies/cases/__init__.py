"""Each rule by cases: facts in which it finds nothing, facts in which it does, and the last ones on either side."""

from tests.policies.cases import credentials, database, exposure, health, machines
from tests.policies.cases.making import Case

CASES: tuple[Case, ...] = (
    *database.CASES,
    *credentials.CASES,
    *machines.CASES,
    *health.CASES,
    *exposure.CASES,
)
