"""The language host: a small gRPC server that the Pulumi engine starts to run Python programs and policy packs.

An official Pulumi release brings its own, in Go; this one stands in where the engine was built from source, because
the Go module proxy does not carry that program. It is on the path of every command, so it imports only what it needs.
"""
