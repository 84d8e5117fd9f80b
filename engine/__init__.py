"""How the real Pulumi engine gets onto a machine, and the Python language host that it talks to.

`engine.install` puts `pulumi` into `.engine/bin`; `engine.language_host` is what the engine starts to run a program.
Nothing here knows Fly, Chatwoot or the program itself.
"""
