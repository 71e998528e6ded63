"""Sends the Chinook data to a served store, many rows at a time.

    python examples/chinook/importer.py http://127.0.0.1:8000

It can be stopped, or killed, and started again: what had arrived is not written twice. See ``sending.py``.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable

from load import STAGES, Fixture
from models import Base, Playlist
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text
from sending import Answered, Batch, Refusal, Sender, path_of, prepared


class Speed(ProgressColumn):
    """Rows per second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f} rows/s", style="progress.data.speed")


class Import:
    """The whole of the data on its way.

    Keys are made by the store: what a row is called there is known from the answers, which come in the order in which
    rows were sent. So rows go before those that refer to them.

    Attributes:
        known: By path and key in the data, the key in the store.
        refused: What the store does not take.
        again: Rows that had arrived before.
        linked: Tracks on playlists.
    """

    def __init__(self, fixture: Fixture, sender: Sender, batch: int, progress: Progress, total: int) -> None:
        self._fixture, self._sender, self._batch, self._progress = fixture, sender, batch, progress
        self._task = progress.add_task("", total=total)
        self.known: dict[str, dict[int, int]] = defaultdict(dict)
        self.refused: list[Refusal] = []
        self.again = self.linked = 0

    def run(self, stages: Iterable[str]) -> None:
        for stage in stages:
            for model in STAGES[stage]:
                self._send_rows(model)
                if model is Playlist:
                    self._send_links()
        self._progress.update(self._task, description="all sent")

    def _send_rows(self, model: type[Base]) -> None:
        """Rows whose references are known, until there are none left: who is somebody's boss goes first."""
        path, waiting = path_of(model), self._fixture.rows(model)
        self._progress.update(self._task, description=path)
        while waiting:
            ready, later = [], []
            for row in waiting:
                values, missing = prepared(model, row, self.known)
                (later if missing else ready).append((row["id"], values, missing))
            if not ready:
                for key, _, missing in later:
                    self.refused.append(Refusal(path, key, missing, "is of a row that was refused"))
                self._progress.advance(self._task, len(later))
                return
            batches = [
                Batch(f"{path}/bulk/", f"{path} {cut[0][0]}", [row[0] for row in cut], [row[1] for row in cut])
                for cut in _cut(ready, self._batch)
            ]
            self._take(path, batches)
            left = {row[0] for row in later}
            waiting = [row for row in waiting if row["id"] in left]

    def _send_links(self) -> None:
        """Which tracks are on which playlists: a path of its own, which takes the same ones twice."""
        self._progress.update(self._task, description="playlist_track")
        chosen: dict[int, list[int]] = defaultdict(list)
        for playlist, track in self._fixture.playlist_tracks():
            chosen[playlist].append(track)
        tracks = self.known["track"]
        for playlist, its in chosen.items():
            for cut in _cut(its, self._batch):
                sent = [tracks[track] for track in cut if track in tracks]
                if sent and playlist in self.known["playlist"]:
                    self._sender.link(f"playlist/{self.known['playlist'][playlist]}/tracks/", sent)
                    self.linked += len(sent)
                self._progress.advance(self._task, len(cut))

    def _take(self, path: str, batches: list[Batch]) -> None:
        answered: Answered
        for answered in self._sender.send(batches):
            self.known[path].update(answered.keys)
            self.refused += answered.refused
            self.again += len(answered.keys) if answered.again else 0
            self._progress.advance(self._task, len(answered.keys) + len(answered.refused))


def _cut(rows: list, size: int) -> list[list]:
    return [rows[begin : begin + size] for begin in range(0, len(rows), size)]


def main() -> int:
    options = _options()
    stages = options.stage or list(STAGES)
    console, fixture = Console(), Fixture()
    columns = (
        TextColumn("{task.description:>14}"), BarColumn(), MofNCompleteColumn(), Speed(), TimeElapsedColumn(),
        TextColumn("ETA"), TimeRemainingColumn(),
    )  # fmt: skip
    with Sender(options.address, options.name, options.at_once) as sender:
        with Progress(*columns, console=console) as progress:
            done = Import(fixture, sender, options.batch, progress, _total(fixture, stages))
            done.run(stages)
        if done.again:
            console.print(f"{done.again:,} rows had arrived before, and are not doubled.")
        if done.refused:
            console.print(_refusals(done.refused))
        right = _compare(console, done, sender, stages)
    return 0 if right and not done.refused else 1


def _total(fixture: Fixture, stages: list[str]) -> int:
    models = [model for stage in stages for model in STAGES[stage]]
    return sum(map(fixture.count, models)) + (len(fixture.playlist_tracks()) if Playlist in models else 0)


def _compare(console: Console, done: Import, sender: Sender, stages: list[str]) -> bool:
    """Whether the store has as many rows as it took."""
    table = Table("what", title="\nWhat has arrived", title_justify="left")
    for column in ("sent", "refused", "in the store"):
        table.add_column(column, justify="right")
    taken = {path_of(model): len(done.known[path_of(model)]) for stage in stages for model in STAGES[stage]}
    there = {path: sender.count(path) for path in taken}
    if "playlist" in taken:
        taken["playlist_track"] = done.linked
        there["playlist_track"] = sum(playlist["track_count"] for playlist in sender.rows("playlist"))
    for path, number in taken.items():
        refused = sum(one.path == path for one in done.refused)
        style = None if number == there[path] else "red"
        table.add_row(path, f"{number + refused:,}", f"{refused:,}", f"{there[path]:,}", style=style)
    console.print(table)
    right = taken == there
    console.print("[green]✓[/] as many as were taken" if right else "[bold red]✗ not as many as were taken[/]")
    return right


def _refusals(refused: list[Refusal]) -> Table:
    table = Table("row", "field", "why not", title=f"\n{len(refused):,} rows were refused", title_justify="left")
    for one in refused[:20]:
        table.add_row(f"{one.path} {one.key}", one.field, one.message)
    if len(refused) > 20:
        table.add_row("...", "", f"and {len(refused) - 20:,} more")
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Send the Chinook data to a served store.")
    parser.add_argument("address", help="such as http://127.0.0.1:8000")
    parser.add_argument("--batch", type=int, default=500, help="rows in a request")
    parser.add_argument("--at-once", type=int, default=2, help="requests at a time")
    parser.add_argument("--stage", choices=STAGES, action="append", help="only this; may be repeated, in order")
    parser.add_argument("--name", default="the import", help="another name imports everything once more")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
