"""A NATS server with JetStream, started and stopped."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path
from threading import Thread
from typing import Self

PROGRAM = Path(sysconfig.get_path("scripts")) / "nats-server"


class NatsServer:
    """A process of its own; what it keeps is in a folder, and is there when it is started again.

    Attributes:
        url: The same each time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, -1  # any that is free
        self.url = ""

    def start(self) -> None:
        command = [
            PROGRAM,
            "--jetstream",
            "--store_dir",
            self._folder,
            "--addr",
            "127.0.0.1",
            "--port",
            str(self._port),
        ]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        lines: list[str] = []
        for line in self._process.stderr:
            lines.append(line)
            if "Server is ready" in line:
                break
        else:
            self._process.wait(20)
            raise RuntimeError("nats-server did not start:\n" + "".join(lines))
        (address,) = (line.split()[-1] for line in lines if "Listening for client connections on" in line)
        self.url, self._port = f"nats://{address}", int(address.rpartition(":")[2])
        self._reader = Thread(target=self._process.stderr.read)  # or it would wait for somebody to read what it logs
        self._reader.start()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(20)
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self.stop()
