"""What Hookline costs, as ratios taken in one run; `python -m benchmarks` prints them with their budgets.

| file | what it measures |
|---|---|
| `flush_unconcerned.py` | a flush that no hook is about, against SQLAlchemy alone |
| `flush_set_hooks.py` | a flush with a `before` and an `after` hook that take all changes at once, likewise |
| `flush_row_hooks.py` | a flush with ten row hooks of each kind, against as many native mapper listeners |
| `statements.py` | bulk statements of 100,000 rows with one set-at-a-time hook, against loading and flushing |
| `statements_unconcerned.py` | small statements that no hook is about, against SQLAlchemy alone |
| `capturing.py` | bulk writes to a captured table of PostgreSQL, against the same without triggers |
| `dispatch.py` | finding the hooks to run among 1,000, against among 3 |
| `http.py` | a request that writes a row, with one hook, against PiccoloCRUD and an endpoint by hand |
| `importing.py` | `import hookline` in a new interpreter |

Every benchmark is a function `measure` that gives `Result`s. Verdicts are printed, never asserted: a busy
machine is no failure.
"""
