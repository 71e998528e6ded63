"""Whether this is the long run, `make proof`, in which slow proofs try all that they can."""

from __future__ import annotations

import os

FULL = os.environ.get("HOOKLINE_PROOF") == "full"
