"""A process that has imported everything and forks others on demand, which takes a moment, not seconds.

``python -m tests.durable.proof.nursery URL OUTSIDE``; each line of its input is ``writer SEED`` or ``worker``, and each
line that it prints the number of the process that it began.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback

from tests.durable.proof import worker, writer


def main(url: str, outside: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those who end are forgotten at once
    for line in sys.stdin:
        kind, *given = line.split()
        number = os.fork()
        if number == 0:
            _be(kind, url, outside, given)
        print(number, flush=True)


def _be(kind: str, url: str, outside: str, given: list[str]) -> None:
    try:
        os.close(0)
        os.close(1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if kind == "writer":
            writer.main(url, outside, *given)
        else:
            worker.main(url, outside)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
