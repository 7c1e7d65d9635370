"""Names of images: registry/owner/name:tag (the grammar of github.com/distribution/reference)."""

import re
from dataclasses import dataclass

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REGISTRY = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*)(?:\.[a-zA-Z0-9-]+)*(?::[0-9]+)?/)?"
_REFERENCE = re.compile(
    rf"^(?P<name>{_REGISTRY}{_PART}(?:/{_PART})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@(?P<digest>sha256:[0-9a-f]{{64}}))?$",
    re.ASCII,
)


@dataclass(frozen=True)
class ImageReference:
    """An image by its name and tag."""

    name: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> "ImageReference":
        """Return the reference in `text`; the tag is `latest` where none is given. Raises ValueError."""
        match = _REFERENCE.match(text)
        if match is None:
            raise ValueError(
                f"{text!r}: not the name of an image: registry/owner/name:tag, name in lower case"
            )
        return cls(match["name"], match["tag"] or "latest")

    @property
    def folder(self) -> str:
        """The name as one path component."""
        return re.sub(r"[/:]", "_", self.name)

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}"
