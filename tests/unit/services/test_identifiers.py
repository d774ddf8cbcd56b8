from datetime import UTC, datetime, timedelta

from broker.services.identifiers import Ulids

NOW = datetime(2026, 4, 1, 10, 15, tzinfo=UTC)
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def value(ulid: str) -> int:
    return sum(CROCKFORD.index(letter) << 5 * place for place, letter in enumerate(reversed(ulid)))


def test_identifiers_of_one_moment_differ_and_sort_as_they_were_made() -> None:
    ids = Ulids(lambda: NOW)
    made = [ids() for _ in range(1000)]
    assert made == sorted(set(made))
    assert {len(one) for one in made} == {26}
    assert {value(one) >> 80 for one in made} == {int(NOW.timestamp() * 1000)}


def test_a_clock_that_goes_back_makes_no_smaller_identifier() -> None:
    moments = iter([NOW, NOW - timedelta(hours=1), NOW + timedelta(milliseconds=1)])
    ids = Ulids(lambda: next(moments))
    made = [ids() for _ in range(3)]
    assert made == sorted(set(made))


def test_two_that_make_identifiers_at_one_moment_make_different_ones() -> None:
    one, other = Ulids(lambda: NOW), Ulids(lambda: NOW)
    assert not {one() for _ in range(100)} & {other() for _ in range(100)}


def test_the_tail_carries_into_the_head() -> None:
    ids = Ulids(lambda: NOW)
    made = [ids() for _ in range(2000)]
    assert len({one[:20] for one in made}) > 1
    assert [value(one) for one in made] == sorted(value(one) for one in made)
