"""The shop as a process imports it: ``hookline worker tests.cli.app:hooks``."""

from __future__ import annotations

import os
from pathlib import Path

from tests.cli.shop import open_shop

shop = open_shop(
    os.environ["SHOP_URL"],
    asynchronous="SHOP_ASYNC" in os.environ,
    worker=os.environ.get("SHOP_WORKER", "worker"),
    gate=Path(os.environ["SHOP_GATE"]) if "SHOP_GATE" in os.environ else None,
    hook=os.environ.get("SHOP_HOOK", "deliver"),
    cured="SHOP_CURE" in os.environ,
)
hooks, attachment = shop.hooks, shop.attachment
