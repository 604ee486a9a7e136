"""Whatever comes in, only an `XpnetError` comes out; see fuzzing.py."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import fuzzing
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Work in a directory that all cases share."""
    before, folder = Path.cwd(), tmp_path_factory.mktemp("fuzz")
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.mark.untraced
@pytest.mark.parametrize(
    ("part", "cases"), [(fuzzing.model_file, 50), (fuzzing.table, 60), (fuzzing.command, 40)]
)
def test_only_errors_of_xpnet_come_out(part: Callable[..., str], cases: int, folder: Path) -> None:
    seen = set()

    @settings(max_examples=cases, suppress_health_check=[HealthCheck.too_slow])
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        seen.add(part(data, folder))

    draw()
    assert len(seen) > 1  # not all were refused, nor all accepted
