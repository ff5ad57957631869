"""Mappings with parts in common are written and read as if each stood alone."""

from typing import Any

import pytest
import yaml

from runners.contract.yamlfile import YamlParts, dump_entries, dump_yaml, load_yaml

SHARED = {"layers": [{"size": 3, "name": "überall"}, {"size": 5}], "text": "two\nlines: here"}


def configs() -> list[dict[str, Any]]:
    return [
        {"seed": seed, "model": SHARED, "fold": None, "scales": [[4], [8]], "title": f"job: {seed}"} for seed in (1, 2)
    ]


def test_what_is_written_in_parts_is_what_is_written_whole() -> None:
    parts = YamlParts()
    assert [parts.dump(config) for config in configs()] == [dump_yaml(config) for config in configs()]


def test_what_is_read_in_parts_is_what_is_read_whole() -> None:
    parts = YamlParts()
    first, second = (parts.load(dump_yaml(config)) for config in configs())
    assert [first, second] == configs()
    assert list(first) == list(configs()[0])
    assert first["model"] is second["model"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing but a comment\n",
        "# by hand\na: 1\n\n# and so on\nb:\n- 2\n# within\n- 3\n",
        "a: &shared [1, 2]\nb: *shared\n",
        'a: "over\ntwo lines"\nb: 2\n',
        "a: |\n  text\n  # no comment\nb: 2\n",
        "[1, 2]\n",
        "[[a, 1]]\n",
        "just words\n",
        "{a: 1,\nb: 2}\n",
        "---\na: 1\n...\n",
        "a: 1\na: 2\n",
        "? a\n: 1\n",
    ],
)
def test_text_of_any_kind_reads_as_it_does_whole(text: str) -> None:
    parts = YamlParts()
    for _ in range(2):
        assert parts.load(text) == load_yaml(text)


@pytest.mark.parametrize("text", ["a: [1\nb: 2\n", "a: *unknown\n", "a: 1\n b: 2\n", "a: !!python/name:os.system\n"])
def test_broken_text_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        YamlParts().load(text)


ENTRIES: list[dict[str, Any]] = [
    {"id": "0001", "overrides": ["a=[1,2]", 'b="x: y"', "c='# no comment'"], "title": "紙 – it's {{ a }}"},
    {"id": "0002", "overrides": [], "title": "tab\there, \x01 and 😀"},
]


@pytest.mark.parametrize("entries", [ENTRIES, [], [{"title": "line\u2028separator"}], [{"title": "del\x7fete"}]])
def test_entries_are_yaml_and_read_as_such(entries: list[dict[str, Any]]) -> None:
    text = f"name: x\n{dump_entries('jobs', entries)}"
    assert load_yaml(text) == {"name": "x", "jobs": entries}
    assert YamlParts().load(text) == {"name": "x", "jobs": entries}


@pytest.mark.parametrize("line", ["- {id: '0001', b: 1e-5}", "- {'id': 1}", '- {"id": 1, }', '- {"id": 1} # why'])
def test_entries_changed_by_hand_are_still_yaml(line: str) -> None:
    text = f'jobs:\n- {{"id": "0000"}}\n{line}\n'
    assert YamlParts().load(text) == load_yaml(text)
