"""The gate: its parts, its formats against published schemas, and the command through the real engine."""
