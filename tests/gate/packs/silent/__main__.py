"""A pack whose only rule is switched off: it judges nothing, and the engine is content."""

from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

PolicyPack(
    "silent",
    policies=[
        ResourceValidationPolicy("sleeps", "Sleeps", lambda _args, _report: None, EnforcementLevel.DISABLED)
    ],
)
