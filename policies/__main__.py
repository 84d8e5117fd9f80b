"""What the engine runs. It serves until the engine ends it."""

from pulumi_policy import PolicyPack

from policies.pack import DESCRIPTION, NAME, policies

PolicyPack(NAME, policies=policies(), description=DESCRIPTION)
