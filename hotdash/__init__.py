"""How things are done: a plain library about Chatwoot on Fly.io, and the `hotdash` command over it.

Here belong the Fly client, the vault, the drift rules and the rollout. What is declared lives in `components/`;
nothing here imports pulumi, and nothing here imports the sandbox but for the command that loads it when called.
"""
