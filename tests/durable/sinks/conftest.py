"""A real NATS server, that comes as a wheel; the one at ``HOOKLINE_NATS_URL`` instead, if that is set."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

GIVEN = "HOOKLINE_NATS_URL"
PROGRAM = Path(sysconfig.get_path("scripts")) / "nats-server"


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if given := os.environ.get(GIVEN):
        yield given
        return
    folder = tmp_path_factory.mktemp("nats")
    command = [PROGRAM, "--jetstream", "--store_dir", folder, "--addr", "127.0.0.1", "--port", "-1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        lines: list[str] = []
        for line in server.stderr:
            lines.append(line)
            if "Server is ready" in line:
                break
        else:
            raise RuntimeError("nats-server did not start:\n" + "".join(lines))
        (address,) = (line.split()[-1] for line in lines if "Listening for client connections on" in line)
        reader = Thread(target=server.stderr.read)  # or it would wait for somebody to read what it logs
        reader.start()
        try:
            yield f"nats://{address}"
        finally:
            server.terminate()
            server.wait(20)
            reader.join()
