"""Code of the package that nothing uses: neither itself, nor a test, an example or a benchmark.

Vulture alone would also report what a framework uses in those others: fixtures, columns, hooks.
"""

import sys
from pathlib import Path

from vulture import Vulture

ROOT = Path(__file__).parents[1]
USERS = [ROOT / "src", ROOT / "tests", ROOT / "examples", ROOT / "benchmarks"]
CALLED_BY_NAME = ["test_*", "Test*", "pytest_*", "__signature__", "__getattr__", "__dir__"]
READ_BY_SQLALCHEMY = [
    "executemany",
    "_flushing",
    "__class__",
    "current_column",
    "isolate_multiinsert_groups",
    "_rowcount",
    "_inline",
    "_translated_indexes",
    "_tuplefilter",
    "cache_ok",
    "get_col_spec",
    "inherit_cache",
    "process_bind_param",
    "process_result_value",
]
CALLED_BY_REGISTRATION = ["@*hooks.*", "@data_condition", "@*.hook", "@pytest.*", "@event.*", "@compiles", "@*app.*"]


def main() -> int:
    """Print what is unused; 1 if anything is."""
    vulture = Vulture(ignore_names=CALLED_BY_NAME + READ_BY_SQLALCHEMY, ignore_decorators=CALLED_BY_REGISTRATION)
    vulture.scavenge([folder for folder in USERS if folder.exists()])
    unused = vulture.get_unused_code(min_confidence=60)
    found = [item for item in unused if ROOT / "src" in item.filename.parents]
    for item in found:
        print(item.get_report())
    return 1 if found or vulture.exit_code else 0


if __name__ == "__main__":
    sys.exit(main())
