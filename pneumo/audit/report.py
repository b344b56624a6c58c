"""An audit to read: in a terminal, or as one HTML file that needs no network and no other file."""

import base64
import re
import textwrap
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from pneumo import radiograph
from pneumo.audit.findings import SEVERITIES, Film, Finding, in_pages
from pneumo.audit.probes import in_words
from pneumo.audit.record import Audit
from pneumo.datasets import gallery
from pneumo.radiograph import UnreadableRadiograph
from pneumo.settings import ImageLimits

SHOWN = 24
"""Films that are shown of a finding; the others are in the audit's JSON."""

_WIDTH, _HEIGHT = 144, 120


def to_text(audit: Audit) -> str:
    """The findings and the probes, for a terminal."""
    lines = [f"{audit.data}: {audit.films:,} films, {len(audit.findings)} findings"]
    for finding in audit.findings:
        lines += ["", f"{finding.severity:<8} {finding.title}"]
        lines += textwrap.wrap(
            finding.remedy, width=90, initial_indent=9 * " ", subsequent_indent=9 * " "
        )
    for said in filter(None, (audit.witness, audit.unfitted)):
        lines += ["", *textwrap.wrap(said, width=99)]
    if audit.probes:
        lines += ["", "AUC    95 % interval   of one number alone, without a look at the lungs"]
    lines += [
        f"{it.roc_auc:.3f}  [{it.interval.low:.3f}, {it.interval.high:.3f}]  {it.title}"
        for it in audit.probes
    ]
    return "\n".join(lines)


def to_html(audit: Audit, *, limits: ImageLimits) -> str:
    """The report, with small pictures of the films behind each finding.

    The pictures are the films of whoever asked for the audit: so is the report.

    Args:
        limits: what each file must respect.
    """
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
    )
    root = Path(audit.root)

    environment.filters |= {"code": _code}

    def picture(film: Film) -> str:
        return _data_url(root / film.path, limits)

    return environment.get_template("report.html").render(
        audit=audit,
        counts={
            severity: sum(it.severity == severity for it in audit.findings)
            for severity in SEVERITIES
        },
        largest=max(row.films for row in audit.balance),
        shown=_shown,
        picture=picture,
        in_words=in_words,
    )


def _shown(finding: Finding) -> list[list[Film]]:
    """The first films of a finding, group by group."""
    return in_pages(finding.films, most=SHOWN)[0]


def _code(text: str) -> Markup:
    """What stands between backticks as code, all else as text."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _data_url(path: Path, limits: ImageLimits) -> str:
    """A small picture; "" where the film cannot be read."""
    try:
        pixels = radiograph.read_file(path, limits=limits, model_size=_WIDTH).pixels
    except (UnreadableRadiograph, OSError):
        return ""
    jpeg = gallery.to_jpeg(gallery.letterbox(pixels, width=_WIDTH, height=_HEIGHT), quality=75)
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
