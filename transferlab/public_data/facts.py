"""What is known of every data set that has a name: a row each for ``transferlab data list``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OWN_PAGE = "see its page"
"""Stands for terms that aren't stated here."""

Access = Literal["ships", "download", "by hand"]


@dataclass(frozen=True)
class Facts:
    """One data set.

    Attributes:
        kind: what its examples are.
        examples: their number, those for testing among them.
        classes: their number.
        access: whether it comes with a package or is made on the spot, can be downloaded, or is fetched by hand.
        size: of the download.
        terms: licence or terms of use.
        home: where it is to be had, in words or an address.
        package: the extra that brings it, where a plain installation doesn't.
    """

    kind: str
    examples: str
    classes: str
    access: Access
    size: str = ""
    terms: str = OWN_PAGE
    home: str = ""
    package: str = ""


FACTS = {
    "digits": Facts("digits, 8x8 grey", "1,797", "10", "ships", terms="CC BY 4.0"),
    "mnist5k": Facts("digits, 28x28 grey", "5,000", "10", "ships", terms="CC BY-SA 3.0"),
    "mnist5k_m": Facts(
        "digits over photographs, 28x28 colour", "5,000", "10", "ships", terms="CC BY-SA 3.0, photographs CC BY 2.0"
    ),
    "rendered_digits": Facts("printed digits, grey", "any number; 6,000", "10", "ships", terms="drawn on the spot"),
    "rendered_letters": Facts("printed letters, grey", "any number; 6,000", "26", "ships", terms="drawn on the spot"),
    "shifted_source": Facts("table of two columns", "any number", "2", "ships", terms="drawn on the spot"),
    "shifted_target": Facts("table of two columns", "any number", "2", "ships", terms="drawn on the spot"),
    "smartwatch": Facts(
        "exercises by a smartwatch, 50 Hz",
        "140 recordings",
        "7",
        "ships",
        terms="BSD",
        package="seglearn",
    ),
    "mnist": Facts("digits, 28x28 grey", "70,000", "10", "download", "12 MB", "CC BY-SA 3.0"),
    "usps": Facts("digits, 16x16 grey", "9,298", "10", "download", "8 MB"),
    "svhn": Facts("digits of house numbers, 32x32 colour", "99,289", "10", "download", "246 MB"),
    "emnist": Facts("letters and digits, 28x28 grey", "131,600; 145,600; 280,000", "47; 26; 10", "download", "562 MB"),
    "kmnist": Facts("Japanese characters, 28x28 grey", "70,000", "10", "download", "21 MB", "CC BY-SA 4.0"),
    "fashion_mnist": Facts("clothes, 28x28 grey", "70,000", "10", "download", "31 MB", "MIT"),
    "cifar10": Facts("photographs, 32x32 colour", "60,000", "10", "download", "170 MB"),
    "stl10": Facts("photographs, 96x96 colour", "13,000, and 100,000 without labels", "10", "download", "2.6 GB"),
    "visda2017": Facts(
        "rendered and photographed things",
        "280,157 in 3 domains",
        "12",
        "download",
        "many GB",
        home="https://github.com/VisionLearningGroup/taskcv-2017-public",
    ),
    "office31": Facts(
        "things in an office",
        "4,110 in 3 domains",
        "31",
        "by hand",
        home="the authors' page, a file on Google Drive (Saenko, Adapting visual category models to new domains)",
    ),
    "office_home": Facts(
        "things of every day",
        "15,588 in 4 domains",
        "65",
        "by hand",
        home="https://www.hemanthdv.org/officeHomeDataset.html, a file on Google Drive",
    ),
    "office_caltech": Facts(
        "things in an office",
        "2,533 in 4 domains",
        "10",
        "by hand",
        home="the authors' page (Gong, Geodesic flow kernel for unsupervised domain adaptation)",
    ),
    "domainnet": Facts(
        "things in six styles",
        "0.6 million in 6 domains",
        "345",
        "by hand",
        home="http://ai.bu.edu/M3SDA/, an archive and two lists for each domain",
    ),
    "pacs": Facts(
        "things in four styles",
        "9,991 in 4 domains",
        "7",
        "by hand",
        home="the authors' page, a file on Google Drive (Li, Deeper, broader and artier domain generalization)",
    ),
}
"""By the name in ``source=`` and ``target=``."""
