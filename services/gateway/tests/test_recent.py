"""The window of recent messages against a plain list."""

from hypothesis import given
from hypothesis import strategies as st

from snowrail_gateway.recent import Entry, Recent


@given(
    users=st.lists(st.sampled_from("abc"), max_size=60),
    limit_messages=st.integers(min_value=1, max_value=20),
    limit_bytes=st.integers(min_value=1, max_value=100),
    start=st.integers(min_value=0, max_value=5),
)
def test_it_holds_exactly_what_is_above_its_floor(
    users: list[str], limit_messages: int, limit_bytes: int, start: int
) -> None:
    recent, entries = Recent(limit_messages, limit_bytes), list[Entry]()
    recent.restart(start)
    for sequence, user in enumerate(users, start=start + 1):
        entries.append(Entry(sequence, user, b"x" * (sequence % 7)))
        recent.append(entries[-1])
        held = [entry for entry in entries if entry.sequence > recent.floor]
        assert len(recent) == len(held) <= limit_messages
        assert recent.last == sequence
        assert sum(len(entry.payload) for entry in held) <= limit_bytes or len(held) == 1
    for user in "abcd":
        for sequence in range(len(users) + 8):
            expected = [entry for entry in entries if entry.user_id == user and entry.sequence > sequence]
            found = recent.after(user, sequence, 5)
            assert found == (None if sequence < recent.floor else expected[:5])


def test_after_a_restart_nothing_is_left() -> None:
    recent = Recent(10, 100)
    recent.append(Entry(1, "a", b""))
    recent.restart(50)
    assert (recent.floor, recent.last, len(recent)) == (50, 50, 0)
    assert recent.after("a", 49, 5) is None
    assert recent.after("a", 50, 5) == []
