"""Comments of others keep their place when settings come in, and when they go out again.

A comment belongs to the line below it where that is indented alike, and else to the line above it:
at the end of a block it speaks of the block.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merging import there_and_back

from regfleet.documents import toml, yaml
from regfleet.documents.interface import path
from regfleet.documents.merge import merge
from regfleet.model.desired import WantedSettings


class Numbers:
    """Names that occur once in a text."""

    def __init__(self):
        self.last = 0

    def __call__(self, word):
        self.last += 1
        return f"{word}{self.last}"


@st.composite
def yaml_texts(draw):
    """A text, and the paths of its tables and lists."""
    number, tables, lists = Numbers(), [()], []

    def comments(depth):
        indents = draw(st.lists(st.sampled_from([depth, depth, depth + 1]), max_size=2))
        return [f"{'  ' * indent}# {number('c')}" for indent in indents]

    def block(depth, place):
        lines = []
        for _ in range(draw(st.integers(1, 3))):
            lines += [line for line in comments(depth) if draw(st.booleans())]
            name = number("k")
            kinds = ["value", "value", "list"] + (["table"] * 2 if depth < 3 else [])
            kind = draw(st.sampled_from(kinds))
            behind = f"  # {number('c')}" if draw(st.integers(0, 4)) == 0 else ""
            if kind == "value":
                lines.append(f"{'  ' * depth}{name}: {number('v')}{behind}")
            elif kind == "list":
                lists.append((*place, name))
                lines.append(f"{'  ' * depth}{name}:{behind}")
                for _ in range(draw(st.integers(1, 2))):
                    lines.append(f"{'  ' * (depth + 1)}- {number('i')}")
                    lines += comments(depth + 1)[:1] if draw(st.booleans()) else []
            else:
                tables.append((*place, name))
                lines.append(f"{'  ' * depth}{name}:{behind}")
                lines += block(depth + 1, (*place, name))
        lines += [line for line in comments(depth) if draw(st.booleans())]
        lines += [""] if draw(st.integers(0, 5)) == 0 else []
        return lines

    text = "\n".join(block(0, ())) + draw(st.sampled_from(["\n", "\n", ""]))
    return text, tables, lists


@st.composite
def toml_texts(draw):
    number, tables, lists = Numbers(), [()], []
    lines = []
    for index in range(draw(st.integers(1, 4))):
        place = ()
        if index:
            place = (number("t"),) if draw(st.booleans()) else (tables[-1] + (number("t"),))
            tables.append(place)
            lines += [f"# {number('c')}"] if draw(st.booleans()) else []
            lines.append(f"[{'.'.join(place)}]")
        for _ in range(draw(st.integers(0, 3))):
            lines += [f"  # {number('c')}"] if draw(st.booleans()) else []
            behind = f" # {number('c')}" if draw(st.booleans()) else ""
            name = number("k")
            if draw(st.booleans()):
                lines.append(f'{name} = "{number("v")}"{behind}')
            else:
                lists.append((*place, name))
                lines.append(f"{name} = [")
                for _ in range(draw(st.integers(1, 2))):
                    lines += [f"  # {number('c')}"] if draw(st.integers(0, 2)) == 0 else []
                    lines.append(f'  "{number("i")}",{behind}')
                lines += [f"  # {number('c')}"] if draw(st.integers(0, 2)) == 0 else []
                lines.append("]")
        lines += ["  # " + number("c")] if draw(st.integers(0, 2)) == 0 else []
        lines += [""] if draw(st.booleans()) else []
    return "\n".join(lines) + draw(st.sampled_from(["\n", "\n", ""])), tables, lists


def indent(line):
    return len(line) - len(line.lstrip(" "))


def around(lines):
    """By comment, the nearest lines above and below it that are no comments, or its own line."""
    found = {}
    for index, line in enumerate(lines):
        code, _, comment = line.partition("#")
        if not comment:
            continue
        above, below = (
            next((each for each in part if each.partition("#")[0].strip()), "")
            for part in (lines[:index][::-1], lines[index + 1 :])
        )
        found[comment] = (code, above, below)
    return found


def is_about_the_block_around(lines, comment):
    """It, or a comment between it and the line above, is indented less than one of the two."""
    here = next(index for index, line in enumerate(lines) if line.endswith(f"#{comment}"))
    run = [indent(lines[here])]
    for line in lines[:here][::-1]:
        if line.partition("#")[0].strip():
            return min(run) < indent(line) or min(run) < run[0]
        run += [indent(line)] if line.strip() else []
    return True


def check(parse, text, want):
    document = parse(text)
    lines = text.splitlines()
    merged = merge(document, want, {}, {}).after.text()
    now = around(merged.splitlines())
    for comment, (code, above, below) in around(lines).items():
        if code.strip():
            assert now[comment][0].strip(" ,") == code.strip(" ,"), merged
        elif below and indent(below) == indent(code + "#"):
            assert now[comment][2] == below, merged
        elif above and not is_about_the_block_around(lines, comment):
            assert now[comment][1].replace(",", "") == above.replace(",", ""), merged
    assert there_and_back(document, want).text() == text


def wants(tables, lists):
    values = st.lists(st.sampled_from(tables), max_size=2).map(
        lambda chosen: {path(*place, "new"): "x" for place in chosen}
    )
    entries = st.lists(st.sampled_from(lists), max_size=2) if lists else st.just([])
    return st.builds(
        WantedSettings, entries.map(lambda chosen: {path(*each): ("x",) for each in chosen}), values
    )


@settings(max_examples=400)
@given(st.data())
@pytest.mark.parametrize(
    ("parse", "texts"),
    [(yaml.parse, yaml_texts()), (toml.parse, toml_texts())],
    ids=["yaml", "toml"],
)
def test_each_comment_stays_where_it_belongs(parse, texts, data):
    text, tables, lists = data.draw(texts)
    check(parse, text, data.draw(wants(tables, lists)))
