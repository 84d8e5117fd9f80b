"""A pack of which a rule fails."""

from pulumi_policy import EnforcementLevel, PolicyPack, ReportViolation, ResourceValidationArgs
from pulumi_policy import ResourceValidationPolicy as Rule


def fail(args: ResourceValidationArgs, _report: ReportViolation) -> None:
    raise ValueError(f"nobody thought of {args.resource_type}")


PolicyPack("raising", policies=[Rule("fails", "Fails", fail, EnforcementLevel.MANDATORY)])
