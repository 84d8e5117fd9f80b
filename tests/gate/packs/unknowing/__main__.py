"""A pack whose mandatory rule looks at what only an `up` will know: Pulumi makes advice of it."""

from pulumi_policy import EnforcementLevel, PolicyPack, ReportViolation, ResourceValidationArgs
from pulumi_policy import ResourceValidationPolicy as Rule


def look(args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.resource_type.endswith("fly:ProcessGroup") and args.props["recorded"] == "never":
        report("is recorded as never", None)


PolicyPack("unknowing", policies=[Rule("looks-ahead", "Looks", look, EnforcementLevel.MANDATORY)])
