"""What is declared: a stack's settings, the resources with their providers, and the component that wires them.

How a thing is done is `hotdash`'s: a provider here reads, compares and calls it, and holds no rule of its own.
"""
