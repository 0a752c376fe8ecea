"""Conditions of a request: two who change the same thing must not overwrite each other (RFC 9110, chapter 13)."""

from dataclasses import dataclass

from convo_service.errors import PreconditionFailed, PreconditionRequired

ANY = "*"


Version = int | str  # whatever tells what is there from what was there


def etag(version: Version) -> str:
    """The tag of a version, as it stands in the header."""
    return f'"{version}"'


@dataclass(frozen=True, slots=True)
class Conditions:
    """If-Match and If-None-Match as they came; None: not given."""

    if_match: str | None = None
    if_none_match: str | None = None

    def check(self, version: Version | None) -> None:
        """Raise PreconditionFailed unless what is there, None for nothing, is what the caller takes it to be."""
        if self.if_match is not None and not _holds(self.if_match, version):
            raise PreconditionFailed
        if self.if_none_match is not None and _holds(self.if_none_match, version):
            raise PreconditionFailed

    def require(self, version: Version | None) -> None:
        """The same, and raise PreconditionRequired when something is there and the caller does not say what."""
        self.check(version)
        if version is not None and self.if_match is None:
            raise PreconditionRequired

    def is_known(self, version: Version) -> bool:
        """Whether a reader has this version already."""
        return self.if_none_match is not None and _holds(self.if_none_match, version)


def _holds(header: str, version: Version | None) -> bool:
    """Whether one of the tags is that of the version; proxies mark tags as weak, and people forget the quotes."""
    tags = {tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")}
    return version is not None and (ANY in tags or str(version) in tags)
