"""A pack that refuses every group of machines, and advises against every app."""

from pulumi_policy import EnforcementLevel, PolicyPack, ReportViolation, ResourceValidationArgs
from pulumi_policy import ResourceValidationPolicy as Rule


def refuse(args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.resource_type.endswith("fly:ProcessGroup"):
        report(f"{args.props['group']} is a group of machines", None)


def advise(args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.resource_type.endswith("fly:App"):
        found = f"{args.props['name']} is an app"
        report(f"{found}\n  where  stacks/x.yaml, hotdash:app.name\n  next   think again", None)


PolicyPack(
    "refusing",
    policies=[
        Rule("no-groups", "There are no groups", refuse, EnforcementLevel.MANDATORY),
        Rule("no-apps", "There had better be no apps", advise, EnforcementLevel.ADVISORY),
    ],
)
