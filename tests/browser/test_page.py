"""The page in a real browser: clicks, keys, a phone, paper, the dark, a thousand hosts."""

import sys
import tempfile
from pathlib import Path

import pytest
from chromium import PROGRAM, chromium

for directory in ("unit", "unit/report"):  # for `making` and `pages`
    sys.path.insert(0, str(Path(__file__).parents[1] / directory))

from pages import bad_day, page, run  # noqa: E402 - found by the lines above

pytestmark = pytest.mark.skipif(not PROGRAM, reason="chromium is not on PATH")

VISIBLE = "[...document.querySelectorAll('#host-table tbody')].filter(b => b.offsetHeight).length"
LONG = "build0001.a-rather-long-subdomain.eu-central-1.compute.internal.example.com"

# Each text's colour against what lies behind it (WCAG 2.2, 1.4.3: 4.5, of large text 3).
PALE = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      if (e.matches(".card")) return rgba(getComputedStyle(e.querySelector("rect")).fill);
      const found = rgba(getComputedStyle(e).backgroundColor);
      if (found[3] === 255) return found;
    }
    return [255, 255, 255];
  };
  const pale = [];
  for (const element of document.body.querySelectorAll("*")) {
    const text = [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!text || !element.getClientRects().length || element.tagName === "title") continue;
    const style = getComputedStyle(element);
    const colour = rgba(element.closest("svg") ? style.fill : style.color);
    const [a, b] = [light(colour), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) pale.push(`${element.className} ${element.textContent.slice(0, 30)} ${ratio}`);
  }
  return pale;
})()"""


@pytest.fixture(scope="module")
def tab():
    with tempfile.TemporaryDirectory() as profile, chromium(profile) as found:
        yield found


@pytest.fixture
def show(tab, tmp_path):
    """Opens a run's page; whatever the test does, nothing may complain and nothing be loaded."""

    def opened(run_of, *sizes, **how):
        path = tmp_path / "report.html"
        path.write_text(page(run_of), encoding="utf-8")
        tab.open(path, *sizes, **how)
        return tab

    yield opened
    assert tab.complaints == []
    assert [url for url in tab.requests if not url.endswith("/report.html")] == []


def count(tab):
    return tab.run("document.querySelector('#shown').textContent")


def pick(tab, mark):
    tab.click(f"[name=status][value='{mark}']")


def expanded(tab):
    return tab.run("document.querySelectorAll('.open[aria-expanded=true]').length")


@pytest.mark.parametrize(
    ("mark", "visible"),
    [("", 9), ("attention", 5), ("smoke-failed", 1), ("unreachable", 2), ("changed", 4)],
)
def test_a_filter_shows_its_hosts_and_says_how_many(show, mark, visible):
    tab = show(bad_day())
    pick(tab, "unchanged")
    pick(tab, mark)
    assert tab.run(VISIBLE) == visible
    assert count(tab) == ("9 hosts" if visible == 9 else f"{visible} of 9 hosts")


@pytest.mark.parametrize(
    ("typed", "visible"),
    [
        ("web7", 1),
        ("WEB", 8),
        ("timed out", 2),
        ("web timed", 2),
        ("log-driver", 1),
        ("client.build", 8),
        ("group:registry.main", 1),
        ("group:client.buil", 0),
        ("nobody", 0),
    ],
)
def test_the_search_finds_names_groups_resources_and_errors(show, typed, visible):
    tab = show(bad_day())
    tab.click("#search")
    tab.type(typed)
    assert tab.run(VISIBLE) == visible
    assert count(tab) == f"{visible} of 9 hosts"
    assert tab.run("document.querySelector('.nothing').hidden") == bool(visible)


def test_search_and_filter_go_together_and_can_be_taken_back(show):
    tab = show(bad_day())
    pick(tab, "unreachable")
    tab.click("#search")
    tab.type("web7")
    assert tab.run(VISIBLE) == 0
    tab.click("#clear")
    assert tab.run(VISIBLE) == 9
    assert count(tab) == "9 hosts"


def test_a_host_opens_and_closes(show):
    tab = show(bad_day())
    closed = tab.run("document.body.innerText")
    tab.click("#h1, tbody .open")
    text = tab.run("document.querySelector('tbody.opened').innerText")
    assert "Changes, all taken back: restart, 4 containers stop" in text
    assert "daemon.json log-driver" in text
    assert "daemon.json log-driver" not in closed
    assert expanded(tab) == 1
    tab.click("tbody .open")
    assert expanded(tab) == 0


def test_open_all_opens_what_the_filter_shows(show):
    tab = show(bad_day())
    pick(tab, "attention")
    tab.click("#open-all")
    assert expanded(tab) == 5
    tab.click("#open-all")
    assert expanded(tab) == 0


def test_a_link_leads_to_its_host_through_every_filter(show):
    tab = show(bad_day())
    pick(tab, "unchanged")
    for _ in range(2):  # the second time, the address is there already
        tab.click(".trouble .where a")
        focus = "document.activeElement"
        assert tab.run(f"{focus}.textContent") == "web1"
        assert tab.run(f"{focus}.getAttribute('aria-expanded')") == "true"
        pick(tab, "unchanged")


def test_a_card_of_the_picture_shows_its_hosts(show):
    tab = show(bad_day())
    tab.click("svg.wide [data-group='registry.main']")
    assert count(tab) == "1 of 9 hosts"


def test_the_keyboard_alone_will_do(show):
    tab = show(bad_day())
    tab.press("Tab")
    assert tab.run("document.activeElement.textContent") == "Skip to the hosts"
    tab.press("Enter")
    tab.press("Tab")
    assert tab.run("document.activeElement.id") == "search"
    tab.press("Tab")
    tab.press("ArrowRight")  # among radio buttons
    assert tab.run("document.querySelector(':checked').value") == "attention"
    assert count(tab) == "5 of 9 hosts"
    reached = []
    for _ in range(4):
        tab.press("Tab")
        reached.append(tab.run("document.activeElement.className"))
    assert "open" in reached
    tab.press("Enter")
    assert expanded(tab) == 1


def test_a_screen_reader_meets_landmarks_names_and_verdicts(show):
    tab = show(bad_day())
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    found = {
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    }
    roles = {role for role, _ in found}
    assert {"banner", "navigation", "main", "contentinfo", "search", "status"} <= roles
    for expected in (
        ("heading", "Not done: 5 of 9 hosts need attention"),
        ("region", "Hosts"),
        ("table", "Every host of this run, what needs attention first"),
        ("table", "main from 4 hosts: 1 failed something"),
        ("columnheader", "Status"),
        ("rowheader", "web4"),
        ("searchbox", "Search"),
        ("radio", "Needs attention 5"),
        ("cell", "failed"),  # of the matrix, whose signs are for eyes
    ):
        assert expected in found, expected


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_stands_out_from_its_ground(show, dark):
    tab = show(bad_day(), dark=dark)
    tab.click("#open-all")
    tab.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert tab.run(PALE) == []
    ground = tab.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == dark


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_scrolls_sideways(show, width):
    declared, report = bad_day(30)
    report.hosts["web1"].error = "/".join(["a-path-without-an-end"] * 12)
    report.hosts["web6"].name = LONG
    tab = show((declared, report), width, 800)
    tab.click("#open-all")
    tab.run("document.querySelectorAll('.unfold').forEach(each => each.click())")
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert tab.run("getComputedStyle(document.querySelector('svg.narrow')).display") == (
        "block" if width < 700 else "none"
    )


def test_paper_shows_every_detail_and_no_buttons(show):
    tab = show(bad_day(40))
    pick(tab, "unreachable")
    pick(tab, "")
    shown = "[...document.querySelectorAll('.more')].filter(each => each.offsetHeight).length"
    assert tab.run(shown) == 0
    tab.emulate(media="print")
    tab.settle()
    assert tab.run(shown) == 41
    assert tab.run("document.querySelector('.fine').offsetHeight") > 0
    assert tab.run("document.querySelector('.tools').offsetHeight") == 0
    assert tab.call("Page.printToPDF", preferCSSPageSize=True)["data"]


def test_clean_rows_of_a_large_matrix_are_folded(show):
    tab = show(bad_day(40))
    rows = "[...document.querySelectorAll('.matrix tbody tr')].filter(r => r.offsetHeight).length"
    assert tab.run(rows) == 1
    tab.click(".unfold")
    assert tab.run(rows) == 36
    tab.click(".unfold")
    assert tab.run(rows) == 1


def test_a_thousand_hosts(show):
    tab = show(bad_day(999))
    assert tab.run(VISIBLE) == 1000
    tab.click("#search")
    tab.type("web77")
    assert tab.run(VISIBLE) == 11  # web77 and web770 to web779
    pick(tab, "attention")
    assert tab.run(VISIBLE) == 0
    tab.click("#clear")
    tab.click("#open-all")
    assert expanded(tab) == 1000
    assert tab.run("document.querySelectorAll('svg.wide .card').length") == 4


def test_without_its_script_the_page_shows_everything(tab, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page(bad_day(40)), encoding="utf-8")
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(path)
        shown = "[...document.querySelectorAll('.more, .fine')].filter(e => e.offsetHeight).length"
        assert tab.run(shown) == 42
        assert tab.run("document.querySelector('.tools').offsetHeight") == 0
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)


def test_the_policy_stops_a_script_that_is_not_ours(tab, tmp_path):
    path = tmp_path / "report.html"
    text = page(run()).replace("</main>", "<script>window.caught = 1</script></main>")
    path.write_text(text, encoding="utf-8")
    tab.open(path)
    assert tab.run("window.caught") is None
    assert any("Content Security Policy" in str(each) for each in tab.complaints)
