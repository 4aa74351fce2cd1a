"""What data sets of one's own files share: places, columns that describe rows, class map."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from transferlab.domains.class_map import Others, with_class_map
from transferlab.domains.domain import Domain, Provider
from transferlab.domains.kept import Reader, kept
from transferlab.domains.rows import Roles, places_of
from transferlab.records.labels import Task


@dataclass(frozen=True, kw_only=True)
class OwnFiles(Provider):
    """A data set whose rows, or recordings, are described by columns.

    Attributes:
        path: a file or folder.
        unlabelled: likewise, of further examples to train on, whose labels aren't read.
        test: likewise, of the test part, where ``path`` has none.
        label: the column of labels; an empty one is none. None: no example has one.
        split: the column that says ``train`` or ``test``; None: a test part is drawn.
        group: examples that are alike in this column never straddle a split.
        id: the column of names, for ``predictions.csv``.
        classes: a class map, see ``class_map.py``.
        others: whether classes that it doesn't name are refused or left out.
        task: whether labels are classes or numbers.
        separator: of columns in a CSV file; None to find it.
        encoding: of a CSV file.
        cache: the output root, where what was read is kept; it changes no result.
    """

    expected: ClassVar[str]
    """What ``path`` may be, in words."""

    path: str | None
    unlabelled: str | None
    test: str | None
    label: str | None
    split: str | None
    group: str | None
    id: str | None
    classes: dict[str, Any] | None
    others: Others
    task: Task
    separator: str | None
    encoding: str
    cache: str

    def domain(self) -> Domain:
        """The examples, with the classes of the class map.

        Raises:
            Refusal: if a file or a column isn't there or can't be read, an option is out of range, or labels, splits
                and groups contradict each other.
        """
        return with_class_map(self.read(), self.classes, self.others)

    @abstractmethod
    def read(self) -> Domain:
        """The examples, with the classes that the files name."""

    @property
    def places(self) -> dict[str, str]:
        """The places that are given, by option.

        Raises:
            Refusal: if nothing is to be trained on.
        """
        return places_of(self.path, self.unlabelled, self.test, self.expected)

    @property
    def roles(self) -> Roles:
        """The columns that describe examples, as they were named."""
        return Roles(self.label, self.split, self.group, self.id)

    def kept(
        self,
        read: Reader,
        files: Sequence[Path],
        *,
        rows: object = None,
        called: object = None,
        without: Collection[str] = (),
    ) -> Domain:
        """What ``read`` makes of the files, kept by their content and by every option that decides how they are read.

        Args:
            read: given an empty folder, see ``kept.py``.
            files: that are read.
            rows: what is known of them beside their content, as JSON.
            called: names that change no result.
            without: options of this class that don't count.
        """
        elsewhere = {"path", "unlabelled", "test", "cache", "classes", "others", *without}
        reading = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in elsewhere}
        options = {"of": type(self).__name__, "parts": list(self.places), "rows": rows, **reading}
        return kept(self.cache, options, files, read, called)
