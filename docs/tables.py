"""Writes the README's table of strategies from the code: ``python docs/tables.py``."""

import re
from pathlib import Path

from transferlab.config.catalogue import catalogue, markdown

README = Path(__file__).parent.parent / "README.md"
TABLE = re.compile(r"(?<=<!-- python docs/tables.py -->\n).*?(?=<!-- end -->)", re.DOTALL)

README.write_text(TABLE.sub(f"{markdown(catalogue())}\n", README.read_text(encoding="utf-8")), encoding="utf-8")
