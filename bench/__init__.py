"""How fast it is: medians of whole commands on the sandbox, told as ratios within one run, each against its target.

A machine's speed differs from day to day, so absolute seconds prove little: what counts is our preview against an
empty program's, an up against the boots and grace periods that it must wait for. `python -m bench`, or `make bench`.
"""
