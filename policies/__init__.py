"""The policy pack: mistakes that must not be merged or applied, each with the reason and the mend.

`rules/` says what may not be, over plain facts and without Pulumi; `reading` makes the facts out of what the engine
shows, `terms` reads what the stack file says to the rules, `judging` puts the three together, `telling` writes the
messages, `pack` hands it all to the engine. `__main__` is what `pulumi preview --policy-pack policies` runs.
"""
