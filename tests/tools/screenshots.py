"""Pictures of a report for docs/: python tests/tools/screenshots.py RUN/rehearsal.html docs

Writes rehearsal-desktop.png and rehearsal-phone.png, in few colours so that they stay small.
"""

import io
import sys
from pathlib import Path

from PIL import Image

from tests.support.chromium import DESKTOP, PHONE, chromium

COLOURS = 64


def main(page: Path, directory: Path) -> None:
    """Takes the pictures of one page, from its top on."""
    with chromium() as browser:
        for name, size in (("desktop", DESKTOP), ("phone", PHONE)):
            opened = browser.new_page(viewport=size, java_script_enabled=False)
            opened.goto(page.resolve().as_uri())
            picture = Image.open(io.BytesIO(opened.screenshot()))
            target = directory / f"rehearsal-{name}.png"
            picture.convert("RGB").quantize(COLOURS).save(target, optimize=True)
            sys.stdout.write(f"{target}: {target.stat().st_size // 1024} KB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
