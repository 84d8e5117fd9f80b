"""A database URL, tried: what it leads to, and whether Chatwoot would be well there.

`login` opens connections and explains refusals, `reading` asks what the server knows of itself, `pooling` sees on the
wire what stands before it, `slots` counts connections, `contents` tells whose tables these are, `identity` whether two
URLs lead to one database, `trying` puts them together. At most two connections at a time, read-only, rolled back,
closed; advisory locks are never touched: on a pooler one may be left behind.
"""
