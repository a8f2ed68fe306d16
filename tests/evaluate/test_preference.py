"Statistics of what people prefer, against scipy and against values by hand."

import math
from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import binomtest

from animlib.core import InputError
from animlib.evaluate.preference import (
    Answer,
    count_wins,
    pair_shares,
    ranking,
    strengths,
    study_text,
    wilson,
)


@pytest.mark.parametrize("wins,n", [(0, 1), (1, 1), (0, 20), (3, 20), (10, 20), (320, 500)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_wilson_is_scipys(wins, n, level):
    found = binomtest(wins, n).proportion_ci(level, method="wilson")
    assert wilson(wins, n, level) == pytest.approx((found.low, found.high), abs=1e-9)


def test_nobody_was_asked():
    assert wilson(0, 0) == (0.0, 1.0)
    assert strengths({}) == {} and pair_shares({}) == [] and ranking({}) == {}


def most_likely(wins: dict, systems: list[str]) -> np.ndarray:
    "Strengths by a general optimiser."

    def minus_log_likelihood(logs):
        s = dict(zip(systems, np.exp(logs)))
        return -sum(n * math.log(s[a] / (s[a] + s[b])) for (a, b), n in wins.items())

    found = minimize(minus_log_likelihood, np.zeros(len(systems)), method="BFGS", tol=1e-10)
    return np.exp(found.x) / np.exp(found.x).sum()


def test_bradley_terry_is_the_most_likely():
    wins = {("A", "B"): 7, ("B", "A"): 4, ("B", "C"): 9, ("C", "B"): 5, ("D", "A"): 3}
    wins |= {("A", "D"): 6, ("C", "D"): 2, ("D", "C"): 2}  # A and C were never compared
    found = strengths(wins)
    best = most_likely(wins, ["A", "B", "C", "D"])
    assert [found[o] for o in "ABCD"] == pytest.approx(best, abs=1e-5)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_bradley_terry_by_hand():
    assert strengths({("A", "B"): 3, ("B", "A"): 1}) == pytest.approx({"A": 0.75, "B": 0.25})


def test_a_system_that_never_won_is_last_with_nothing():
    found = strengths({("A", "B"): 2, ("B", "A"): 2, ("A", "C"): 3, ("B", "C"): 3})
    assert list(found)[-1] == "C" and found["C"] == 0 and found["A"] == pytest.approx(0.5)


def test_systems_that_were_never_compared_have_no_ranking():
    apart = {("A", "B"): 1, ("C", "D"): 1}
    with pytest.raises(InputError, match="ask about such pairs"):
        strengths(apart)
    assert ranking(apart) == {} and "rank" not in study_text(apart)


def test_the_side_of_a_video_does_not_matter():
    answers = [Answer("me", "a", "A", "B", "A"), Answer("you", "a", "B", "A", "A")]
    assert count_wins(answers) == {("A", "B"): 2}


def test_a_share_that_could_be_chance_says_so():
    (pair,) = pair_shares({("A", "B"): 13, ("B", "A"): 7})
    assert (pair.system, pair.n, pair.share, pair.preferred) == ("A", 20, 0.65, "")
    (pair,) = pair_shares({("A", "B"): 2, ("B", "A"): 18})
    assert (pair.system, pair.preferred) == ("B", "B")


@pytest.mark.parametrize("seed", range(5))
def test_no_turn_makes_the_answers_less_likely(seed):
    rng = np.random.default_rng(seed)
    pairs = list(permutations("ABCDE", 2))
    wins = {pair: int(n) for pair, n in zip(pairs, rng.integers(1, 12, len(pairs)))}
    turns = [strengths(wins, turns=i) for i in range(12)]
    heights = [sum(n * math.log(s[a] / (s[a] + s[b])) for (a, b), n in wins.items()) for s in turns]
    assert all(later >= earlier - 1e-9 for earlier, later in zip(heights, heights[1:]))
    assert heights[-1] > heights[0]
