"""Which fields a client wants to be told, and which of related rows."""

from __future__ import annotations

from collections.abc import Iterator

from hookline.errors import near
from hookline.http.problems import Wrong, bad_query
from hookline.http.resource import Resource


class Selection:
    """Fields of a resource, and what is told of its relations.

    Args:
        resource: The resource.
        names: The fields; None for all of them.

    Attributes:
        resource: The resource.
        names: The fields.
        related: By relation, what is told of the other side.
    """

    def __init__(self, resource: Resource, names: tuple[str, ...] | None = None) -> None:
        self.resource = resource
        self.names = tuple(resource.fields) if names is None else names
        self.related: dict[str, Selection] = {}


class Selections:
    """What clients may ask for.

    Args:
        resource: The resource.
        depth: How many relations may follow one another.

    Attributes:
        depth: The same.
        everything: What is told if nobody asks.
        relations: The relations of the resource that may be followed.
    """

    def __init__(self, resource: Resource, depth: int) -> None:
        self._resource, self.depth = resource, depth
        self.everything = Selection(resource)
        self.relations: tuple[str, ...] = tuple(resource.relations) if depth else ()
        self._resources: dict[tuple[str, ...], Resource] = {(): resource}

    def read(self, text: str | None) -> Selection:
        """What a client asks for: ``title,artist.name``.

        Raises:
            Refused: It names what there is not, or what is too far away.
        """
        if text is None:
            return self.everything
        paths = [tuple(path.split(".")) for path in text.split(",")]
        return self._selection((), paths)

    def offered(self) -> list[str]:
        """What may be asked for, of the resource itself and of what is next to it."""
        found = list(self._resource.fields)
        for name in self.relations:
            found += [name, *(f"{name}.{field}" for field in self.reached((name,)).fields)]
        return found

    def _selection(self, place: tuple[str, ...], paths: list[tuple[str, ...]]) -> Selection:
        resource = self.reached(place)
        names = [path[0] for path in paths if len(path) == 1 and path[0] in resource.fields]
        further: dict[str, list[tuple[str, ...]]] = {}
        for path in paths:
            if path[0] in resource.fields and len(path) == 1:
                continue
            if len(place) >= self.depth or path[0] not in resource.relations:
                raise self._unknown(resource, ".".join((*place, *path)), path[0])
            further.setdefault(path[0], []).extend([path[1:]] if path[1:] else [])
        made = Selection(resource, tuple(dict.fromkeys(names)) if paths else None)
        for name, rest in further.items():
            made.related[name] = self._selection((*place, name), rest)
        return made

    def reached(self, place: tuple[str, ...]) -> Resource:
        """What relations lead to, one after the other."""
        if place not in self._resources:
            self._resources[place] = self.reached(place[:-1]).related(place[-1])
        return self._resources[place]

    def _unknown(self, resource: Resource, path: str, name: str) -> Exception:
        offered = list(self._offered_of(resource))
        return bad_query([Wrong("__fields", "unknown", f"there is no {path!r}.{near(name, offered)}"
                                f" There are: {', '.join(offered)}.")])  # fmt: skip

    def _offered_of(self, resource: Resource) -> Iterator[str]:
        yield from resource.fields
        if self.depth:
            yield from resource.relations
