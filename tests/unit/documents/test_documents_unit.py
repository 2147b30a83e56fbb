"""Command lines of systemd units: words and their places, and words taken out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regfleet.documents.unit import settings, without

WORDS = {
    "ExecStart=/usr/bin/dockerd -H fd://": ["/usr/bin/dockerd", "-H", "fd://"],
    "ExecStart=": [],
    "  ExecStart = a  b ": ["a", "b"],
    "ExecStart=a \\\n  b \\\n  c": ["a", "b", "c"],
    "ExecStart=a \\\n# note\n  b": ["a", "b"],
    "ExecStart=a \\\n\tb \\\n\n": ["a", "b"],
    "ExecStart=a 'b c' \"d e\" f'g h'": ["a", "b c", "d e", "fg h"],
    'ExecStart=/bin/sh -c "a $OPTIONS"': ["/bin/sh", "-c", "a $OPTIONS"],
    "ExecStart=a b\\ c": ["a", "b c"],
    "ExecStart=a # b": ["a", "#", "b"],
    "ExecStart=a\r\n": ["a"],
}


@pytest.mark.parametrize("written", WORDS)
def test_words(written):
    text = f"# head\n[Unit]\nExecStart=not here\n[Service]\nType=notify\n{written}\n"
    found = [each for each in settings(text) if each.name == "ExecStart"]
    assert [[word.text for word in each.words] for each in found] == [WORDS[written]]


def test_a_comment_is_no_setting():
    text = "[Service]\n#ExecStart=a\n;ExecStart=b\nExecStart=c\n[Install]\nExecStart=d\n"
    assert [[word.text for word in each.words] for each in settings(text)] == [["c"]]


CUT = {
    ("a --x y --z", "--x y"): "a --z",
    ("a --x y", "--x y"): "a",
    ("a --x y -H fd://", "--x"): "a y -H fd://",
    ("a \\\n  --x y \\\n  --z", "--x y"): "a \\\n  --z",
    ("a \\\n  --x y", "--x y"): "a",
    ("a \\\n  --x y \\\n  --w v", "--x y --w v"): "a",
    ("a \\\n  --x y --z", "--x y"): "a \\\n  --z",
    ("a \\\n  --z --x y \\\n  --w", "--x y"): "a \\\n  --z \\\n  --w",
    ("a --x 'y z' --w", "--x 'y z'"): "a --w",
}


@pytest.mark.parametrize(("line", "gone"), CUT)
def test_words_are_taken_out(line, gone):
    head, tail = "[Service]\nExecStart=", "\nExecReload=x\n"
    text = head + line + tail
    wanted = [word.text for word in settings(f"[Service]\nA={gone}")[0].words]
    words = settings(text)[0].words
    spans = [(word.start, word.end) for word in words if word.text in wanted]
    after = without(text, spans)
    assert after == head + CUT[line, gone] + tail
    left = [word.text for word in words if word.text not in wanted]
    assert [word.text for word in settings(after)[0].words] == left
    assert settings(after)[1:] == [each for each in settings(after) if each.name == "ExecReload"]


word = st.text("ab-=/:$", min_size=1, max_size=4)
gap = st.sampled_from([" ", "  ", "\t", " \\\n  ", " \\\n"])


@given(st.lists(st.tuples(gap, word, st.booleans()), max_size=6))
def test_any_words_leave_the_others(parts):
    text = "[Service]\nExecStart=dockerd" + "".join(g + w for g, w, _ in parts) + "\nA=b\n"
    words = settings(text)[0].words
    assert [each.text for each in words] == ["dockerd", *(w for _, w, _ in parts)]
    gone = [each for each, (_, _, out) in zip(words[1:], parts, strict=True) if out]
    after = settings(without(text, [(each.start, each.end) for each in gone]))
    assert [each.text for each in after[0].words] == [
        "dockerd",
        *(w for _, w, out in parts if not out),
    ]
    assert [each.text for each in after[1].words] == ["b"]
