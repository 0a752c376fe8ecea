"""Reading what Prometheus reads."""

import re
from collections import Counter

import httpx

_SAMPLE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Labels = frozenset[tuple[str, str]]


class Samples(Counter[tuple[str, Labels]]):
    """What one reading says; the difference of two is what happened in between."""

    def of(self, name: str, **labels: str) -> float:
        """The sum of all series of a name that have these labels."""
        wanted = labels.items()
        return sum(value for (one, found), value in self.items() if one == name and wanted <= set(found))

    def since(self, before: "Samples") -> "Samples":
        """What has been added."""
        return Samples({key: value - before[key] for key, value in self.items()})

    @property
    def names(self) -> set[str]:
        """The names of all series."""
        return {name for name, _ in self}


def parsed(text: str) -> Samples:
    """Every sample; a line that is none fails."""
    samples = Samples()
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        found = _SAMPLE.fullmatch(line)
        assert found, line
        samples[found[1], frozenset(_LABEL.findall(found[2] or ""))] = float(found[3])  # type: ignore[assignment]
    return samples


async def read(http: httpx.AsyncClient) -> Samples:
    """Ask the service."""
    answer = await http.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parsed(answer.text)
