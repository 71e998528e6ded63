"""The oracle: random sequences of writes, and the database's own word on what they did.

The files, from the ground up: `schema` has a model for each kind of mapping; `snapshot` reads all
tables and says what differs; `ledger` follows a transaction step by step in plain Python; `witness` is
the hooks that write down what they are told, and the comparison; `rules` are checks, with hooks that
edit beside them; `play` is the session, with `writes` and `links` on it; `machine` puts sequences
together; `test_oracle` runs them.
"""
