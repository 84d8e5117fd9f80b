"""A stack as its file declares it: settings, checked and typed; where each secret's value comes from.

`settings` knows the keys, `file` reads stacks/Pulumi.STACK.yaml for commands that run without the engine, `values`
reads what the vault holds for them. What is made of a stack lives in `components/`.
"""
