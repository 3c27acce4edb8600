"""Put the Vega that comes with vl-convert into page.html, which has to work with no network."""

from pathlib import Path

import vl_convert

PAGE = Path(__file__).with_name("page.html")
START, END = '<script id="vega">', "</script>\n</body>"


def renewed(page: str) -> str:
    """The page with the installed Vega; the version of Vega-Lite is the one that DVC's templates are written in."""
    before, _, rest = page.partition(START)
    _, _, after = rest.rpartition(END)
    # a function of its own, or its short global names would collide with those of the page
    return f"{before}{START}(() => {{{vl_convert.javascript_bundle(vl_version='5.21')}}})();{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
