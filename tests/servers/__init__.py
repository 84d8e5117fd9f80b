"""Servers that tests and benches try credentials on: real ones where there are such, on free ports of 127.0.0.1.

`postgres`, `pgbouncer`, `redis`, `mail` and `storage` start the real thing (moto for the bucket, which checks
signatures); `supavisor` plays what cannot be had, byte by byte; `silent` answers nothing; `tls` has certificates and
puts TLS before a server that has none. Each is a context manager that leaves nothing running.
"""
