"""The source of executions, over every order of hearing deposits, executions, returns and rollbacks."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from snowrail_payment_orchestrator.domain import (
    Posting,
    escrow_account,
    payment_postings,
    reversed_postings,
    transfer_postings,
    wallet_account,
)
from snowrail_payment_orchestrator.movements import Movement, correcting_postings, replay, source_account

from .escrow_history import DEPOSIT, GIVE_BACK, PAY, Act, History, history

TOKEN = "31337:0x" + "11" * 20
ORDER, PAYER = "0xorder", "payer"

wishes = st.lists(
    st.tuples(st.sampled_from([DEPOSIT, PAY, PAY, GIVE_BACK]), st.integers(1, 6), st.integers(0, 2)),
    max_size=6,
)
histories = st.builds(history, wishes, wishes, wishes)


def movement(act: Act) -> Movement:
    """What is heard of an act."""
    return Movement(
        reference=act.reference,
        order_hash=ORDER,
        token=TOKEN,
        block_number=act.block_number,
        log_index=act.log_index,
        atoms=act.atoms if act.name == DEPOSIT else -act.atoms,
        payer=PAYER if act.name == PAY else None,
    )


class Books:
    """The ledger of one order, kept as the use cases keep it: by the movements from the first change on."""

    def __init__(self) -> None:
        self.movements: dict[str, Movement] = {}
        self.journals: list[tuple[Posting, ...]] = []

    def add(self, acts: list[Act]) -> None:
        """Hear of events that are final."""
        added = [movement(act) for act in acts]
        for reference in self._replay(added, []):
            found = self.movements[reference]
            if found.payer is None:
                self.journals.append(self._transfer(found))
            else:
                source = source_account(found)
                self.journals.append(payment_postings(source, "recipient", TOKEN, -found.atoms, 0))

    def remove(self, acts: list[Act]) -> None:
        """Hear that blocks have left the chain."""
        gone = [self.movements[act.reference] for act in acts]
        for found in gone:
            if found.payer is None:
                lines = self._transfer(found)
            else:
                lines = payment_postings(source_account(found), "recipient", TOKEN, -found.atoms, 0)
            self.journals.append(reversed_postings(lines))
        self._replay([], gone)

    def balance(self, account: str) -> int:
        """What an account has."""
        return sum(line.atoms for journal in self.journals for line in journal if line.account == account)

    def check(self) -> None:
        """Books are whole at every moment, and are what replaying all of it would say."""
        assert all(sum(line.atoms for line in journal) == 0 for journal in self.journals)
        assert replay(0, self.movements.values()).changed == []
        drawn = sum(item.atoms for item in self.movements.values() if item.from_deposit)
        assert self.balance(escrow_account(ORDER)) == drawn

    @staticmethod
    def _transfer(found: Movement) -> tuple[Posting, ...]:
        return transfer_postings(wallet_account(PAYER), escrow_account(ORDER), TOKEN, found.atoms)

    def _replay(self, added: list[Movement], removed: list[Movement]) -> list[str]:
        first = min((item.block_number, item.log_index) for item in (*added, *removed))
        known = sorted(self.movements.values(), key=lambda item: item.place)
        before = [item for item in known if (item.block_number, item.log_index) < first]
        following = [item for item in known[len(before) :] if item not in removed]
        found = replay(before[-1].left_after if before else 0, [*following, *added])
        for item in removed:
            del self.movements[item.reference]
        self.movements.update((item.reference, item) for item in found.changed)
        self.journals += [correcting_postings(item) for item in found.corrected]
        return [item.reference for item in added]


@given(histories, st.data())
def test_the_books_say_what_the_contract_did_whatever_is_heard_first(
    past: History, data: st.DataObject
) -> None:
    """News come in any order and in batches; a block that is gone before it is heard of never counts."""
    news = [("final", act) for act in (*past.stay, *past.leave, *past.come)]
    news = data.draw(st.permutations(news + [("gone", act) for act in past.leave]))
    books, gone = Books(), set[str]()
    while news:
        count = data.draw(st.integers(1, 3))
        batch, news = news[:count], news[count:]
        lost = [act for what, act in batch if what == "gone"]
        gone |= {act.reference for act in lost}
        if counting := [act for act in lost if act.reference in books.movements]:
            books.remove(counting)
        if added := [act for what, act in batch if what == "final" and act.reference not in gone]:
            books.add(added)
        books.check()
    truth = past.truth
    assert {item.reference: item.from_deposit for item in books.movements.values()} == {
        act.reference: act.from_deposit for act in truth
    }
    paid = sum(act.atoms for act in truth if act.name == PAY)
    left = sum(
        act.atoms if act.name == DEPOSIT else -act.atoms
        for act in truth
        if act.name != PAY or act.from_deposit
    )
    assert left >= 0
    assert books.balance(escrow_account(ORDER)) == left
    assert books.balance("wallet:recipient") == paid
    assert books.balance(wallet_account(PAYER)) == -left - paid


def test_a_source_is_corrected_each_time_under_a_new_name() -> None:
    deposit = Movement("deposit", ORDER, TOKEN, 1, 0, 10)
    payment = Movement("payment", ORDER, TOKEN, 2, 0, -10, PAYER)
    alone = replay(0, [payment])
    assert alone.corrected == []
    assert source_account(alone.changed[0]) == wallet_account(PAYER)
    covered = replay(0, [alone.changed[0], deposit])
    assert covered.corrected == [replace(payment, from_deposit=True, left_after=0, corrections=1)]
    assert correcting_postings(covered.corrected[0]) == transfer_postings(
        escrow_account(ORDER), wallet_account(PAYER), TOKEN, 10
    )
    again = replay(0, covered.corrected)
    assert again.corrected == [replace(payment, from_deposit=False, left_after=0, corrections=2)]
    assert correcting_postings(again.corrected[0]) == transfer_postings(
        wallet_account(PAYER), escrow_account(ORDER), TOKEN, 10
    )


def test_a_deposit_that_covers_only_a_part_is_not_touched() -> None:
    deposit = Movement("deposit", ORDER, TOKEN, 1, 0, 9)
    payment = Movement("payment", ORDER, TOKEN, 2, 0, -10, PAYER)
    found = replay(0, [deposit, payment]).changed
    assert [(item.from_deposit, item.left_after) for item in found] == [(True, 9), (False, 9)]
