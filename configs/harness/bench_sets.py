"""Benchmarks of sets for pytest-benchmark.toml."""

import pytest

WORDS = [f"word-{number}" for number in range(1000)]


@pytest.mark.parametrize("size", [10, 1000])
def test_build(benchmark, size):
    assert len(benchmark(set, WORDS[:size])) == size


def test_words_differ():
    assert len(set(WORDS)) == len(WORDS)
