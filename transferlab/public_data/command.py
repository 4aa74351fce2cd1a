"""``transferlab data list`` and ``transferlab data prepare NAME``: which data sets there are, and how they get here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from transferlab.config.extras import Extra
from transferlab.config.values import unknown
from transferlab.domains.benchmark_layouts import BENCHMARKS
from transferlab.domains.torchvision_files import DEBIAN, FILES_OF_SETS, IDX_NAMES, ROOT, FilesOfSet, root_of
from transferlab.errors import Refusal
from transferlab.public_data.archives import unpack
from transferlab.public_data.download import NotDownloadedError, download, has_md5
from transferlab.public_data.facts import FACTS
from transferlab.public_data.published import Published, published
from transferlab.system.console import say
from transferlab.system.locks import exclusive
from transferlab.text import printable

HEADER = ("data set", "what", "examples", "classes", "download", "terms", "here")

ACTIONS = ("list", "prepare")


def run(arguments: Sequence[str]) -> int:
    """Lists the data sets that have a name, or makes one ready.

    Args:
        arguments: ``list`` or ``prepare NAME``, each perhaps with ``root=FOLDER``. For ``prepare`` that is the folder
            which the data set's option ``root`` names; for ``list`` it stands for ``data``.

    Returns:
        The exit code: 0, or 1 where a data set isn't here and couldn't be fetched, which stderr says.

    Raises:
        Refusal: if the arguments are others, or no data set has the name.
        Unwritable: if files can't be written.
    """
    words = [word for word in arguments if not word.startswith("root=")]
    roots = [word.removeprefix("root=") for word in arguments if word.startswith("root=")]
    root = roots[-1] if roots else None
    if root == "":
        raise Refusal("root=: expected a folder")
    match words:
        case ["list"]:
            print(table(root or ROOT))
            return 0
        case ["prepare", name]:
            return _prepare(name, root)
        case ["prepare"]:
            raise Refusal(f"transferlab data prepare: which? {listed(FACTS)}")
        case ["list" | "prepare" as action, *_]:
            allowed = "root=FOLDER" if action == "list" else "a name and root=FOLDER"
            raise Refusal(f"transferlab data {action} takes {allowed}, not {printable(' '.join(words[1:]))}")
        case [word, *_]:
            raise Refusal(unknown(f"transferlab data {printable(word)}", word, ACTIONS))
        case _:
            raise Refusal(f"transferlab data: one of {listed(ACTIONS)} is missing")


def table(root: str) -> str:
    """Every data set that has a name, as a Markdown table.

    Args:
        root: stands for ``data``, the folder that data sets are in.
    """
    rows = [
        (name, each.kind, each.examples, each.classes, each.size or each.access, each.terms, _here(name, root))
        for name, each in FACTS.items()
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [HEADER, ["---"] * len(HEADER), *rows])


def default_root(name: str, data: str = ROOT) -> str:
    """The folder that a data set's option ``root`` names, unless it is changed."""
    return f"{data}/{name}" if name in BENCHMARKS else data


def _here(name: str, data: str) -> str:
    """Whether a data set is here; which domains, where not all are."""
    if FACTS[name].access == "ships":
        extra = Extra(FACTS[name].package, FACTS[name].package)
        return "yes" if not extra.package or extra.installed else extra.command
    root = root_of(default_root(name, data))
    if name in BENCHMARKS:
        there = BENCHMARKS[name].here(root)
        return "yes" if len(there) == len(BENCHMARKS[name].domains) else listed(there) or "no"
    return "yes" if _place(name, root) is not None else "no"


def _place(name: str, root: Path) -> Path | None:
    """Where the whole data set lies; None if it isn't here."""
    if name in BENCHMARKS:
        return root if len(BENCHMARKS[name].here(root)) == len(BENCHMARKS[name].domains) else None
    if name == "fashion_mnist":
        own = FilesOfSet("", IDX_NAMES, gzipped=True)
        if packaged := next((folder for folder in DEBIAN if not own.missing(folder)), None):
            return packaged
    return None if FILES_OF_SETS[name].missing(root) else root / FILES_OF_SETS[name].folder


def _prepare(name: str, given: str | None) -> int:
    if name not in FACTS:
        raise Refusal(unknown(f"transferlab data prepare {printable(name)}", name, FACTS))
    facts = FACTS[name]
    if facts.access == "ships":
        print(f"{name} needs no preparation: it comes with transferlab's packages or is made on the spot")
        return 0
    root = given or default_root(name)
    if facts.access == "download" and _place(name, root_of(root)) is None:
        with exclusive(root_of(root) / f".{name}.lock"):
            _download(name, root)
    place = _place(name, root_of(root))
    if place is not None:
        print(f"{name} is here: {printable(str(place))}")
        return 0
    if facts.access == "by hand":
        there = BENCHMARKS[name].here(root_of(root))
        partly = f" ({listed(there)} {'is' if len(there) == 1 else 'are'} there already)" if there else ""
        say(
            f"{name} is fetched by hand: {facts.home}\n"
            f"put it into {printable(root)}, as {BENCHMARKS[name].expected}{partly}"
        )
    return 1


def _download(name: str, root: str) -> None:
    """Downloads and unpacks what isn't here yet; says in one line what went wrong."""
    files = published(name, root_of(root))
    for each in files:
        if all(made.exists() for made in each.makes):
            continue
        if not has_md5(each.file, each.md5):
            try:
                download(each.urls, each.file, each.md5)
            except NotDownloadedError as error:
                say(f"{name}: {error}; the same command goes on, or put {_by_hand(files)} into {_folder(each)}")
                return
        unpack(each.file, each.makes, each.without)


def _by_hand(files: Sequence[Published]) -> str:
    absent = [each for each in files if not all(made.exists() for made in each.makes)]
    same = [each for each in absent if each.file.parent == absent[0].file.parent]
    return listed(each.file.name for each in same)


def listed(names: Iterable[str]) -> str:
    """Names with commas between them."""
    return ", ".join(map(printable, names))


def _folder(each: Published) -> str:
    return printable(str(each.file.parent))
