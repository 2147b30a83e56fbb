"""The checks as JUnit XML, one test suite a host, as CI systems read it (`--junit FILE`)."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from regfleet.model.report import Report
from regfleet.terminal.cleaning import clean_lines

_NO_CHAR = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: Report) -> str:
    """A `testsuites` document: one case for each check, and one named `host` for its error."""
    root = ET.Element("testsuites", name=_clean(f"regfleet {report.fleet}"))
    for host in report.hosts.values():
        failures = len(host.failed_checks)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=_clean(host.name),
            tests=str(len(host.checks) + 1),
            failures=str(failures),
            errors="1" if host.error else "0",
            skipped=str(sum(check.verdict == "skipped" for check in host.checks)),
            time=f"{host.seconds:.3f}",
        )
        case = ET.SubElement(suite, "testcase", classname=_clean(host.name), name="host")
        if host.error:
            ET.SubElement(case, "error", message=_clean(host.error)).text = _clean(host.hint)
        for check in host.checks:
            case = ET.SubElement(
                suite, "testcase", classname=_clean(host.name), name=_clean(check.name)
            )
            if check.verdict == "failed":
                ET.SubElement(case, "failure", message=_clean(check.detail))
            elif check.verdict == "skipped":
                ET.SubElement(case, "skipped", message=_clean(check.detail))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _clean(text: str) -> str:
    """The text without terminal control characters, because people read CI logs in terminals.

    Characters that XML 1.0 forbids even when escaped (section 2.2, `Char`) become `?`.
    """
    return _NO_CHAR.sub("?", clean_lines(text))
