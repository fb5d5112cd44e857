"""The order store beside a model of it: processes begin, finish, end, halt and resolve in any order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from msgspec import Struct

from actors.protocol.trading import (
    Accepted,
    AnyMutation,
    Intent,
    OrderOutcome,
    Refused,
    Unknown,
    adds_risk,
)
from actors.trading.halts import allowed_under_halt
from actors.trading.order_store import OrderStore
from actors.trading.records import Begun
from actors.trading.store_operator import LAST_BYTE_NS, RESOLVABLE_NS, StoreOperator
from tests.support.examples import examples
from tests.trading.orders import CANCEL, CLOSE, HOST, MODIFY, Wall, allow, place

MUTATIONS: list[AnyMutation] = [place(), place(2), MODIFY, CANCEL, CLOSE]


class Row(Struct):
    """What the model knows of a tag."""

    mutation: AnyMutation
    process: int
    outcome: OrderOutcome | None = None


class Stores(RuleBasedStateMachine):
    processes = Bundle("processes")

    @initialize()
    def make(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.folder = self.root / "trading"
        OrderStore.make(self.folder)
        self.wall = Wall(10**18)
        self.operator = StoreOperator(self.folder, now_ns=self.wall)
        self.living: dict[int, OrderStore] = {}
        self.rows: dict[str, Row] = {}
        self.halts: set[str] = set()
        self.number = 0

    @rule(target=processes)
    def start(self) -> object:
        if len(self.living) == 3:
            return multiple()
        self.number += 1
        self.living[self.number] = OrderStore(self.folder, now_ns=self.wall)
        return self.number

    @rule(process=consumes(processes))
    def end(self, process: int) -> None:
        self.living.pop(process).close()

    @rule(
        process=processes,
        mutation=st.sampled_from(MUTATIONS),
        protects=st.sampled_from([True, False, None]),
    )
    def begin(self, process: int, mutation: AnyMutation, protects: bool | None) -> None:
        self.begin_with(process, f"tag-{len(self.rows)}", mutation, protects)

    @precondition(lambda self: self.rows)
    @rule(process=processes, mutation=st.sampled_from(MUTATIONS), data=st.data())
    def begin_again(self, process: int, mutation: AnyMutation, data: st.DataObject) -> None:
        self.begin_with(process, self.known(data), mutation, None)

    def known(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.rows)))

    def begin_with(self, process: int, tag: str, mutation: AnyMutation, protects: bool | None) -> None:
        intent = Intent(tag=tag, mutation=mutation, begun_ns=self.wall())
        answer = self.living[process].begin(intent, HOST, allow, protects=protects)
        row = self.rows.get(tag)
        if row is not None and row.mutation == mutation:
            assert answer == Begun(row.outcome or Unknown(tag, "under way"))
        elif row is not None:
            assert isinstance(answer, Refused)
            assert answer.code == "tag"
        elif self.halts and not allowed_under_halt(mutation, protects):
            assert isinstance(answer, Refused)
            assert answer.code == "halted"
        elif adds_risk(mutation) and any(map(self.is_in_doubt, self.rows.values())):
            assert isinstance(answer, Refused)
            assert answer.code == "unknown"
        else:
            assert answer == Begun()
            self.rows[tag] = Row(mutation, process)

    @precondition(lambda self: self.rows)
    @rule(process=processes, kind=st.sampled_from(["accepted", "refused", "unknown"]), data=st.data())
    def finish(self, process: int, kind: str, data: st.DataObject) -> None:
        tag = self.known(data)
        outcomes: dict[str, OrderOutcome] = {
            "accepted": Accepted(tag, 1),
            "refused": Refused(tag, "2", by_venue=True),
            "unknown": Unknown(tag, "lost"),
        }
        outcome, row = outcomes[kind], self.rows[tag]
        self.living[process].finish(outcome)
        if isinstance(outcome, Accepted) and isinstance(row.outcome, Refused):
            (late,) = {halt.id for halt in self.operator.halts()} - self.halts
            self.halts.add(late)
            row.outcome = outcome
        elif row.outcome is None or (isinstance(row.outcome, Unknown) and kind != "unknown"):
            row.outcome = outcome

    @rule(process=processes)
    def halt(self, process: int) -> None:
        self.halts.add(self.living[process].halt(reason="r", by="b").id)

    @precondition(lambda self: self.halts)
    @rule()
    def unhalt(self) -> None:
        for id in sorted(self.halts):
            self.operator.unhalt(id, by="b")
        self.halts.clear()

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def resolve(self, data: st.DataObject) -> None:
        """After a pause; a process that lives is never overtaken."""
        tag = self.known(data)
        row = self.rows[tag]
        if not isinstance(row.outcome, Unknown | None):
            return
        if row.outcome is None and row.process in self.living:
            return
        self.wall.now_ns += LAST_BYTE_NS + RESOLVABLE_NS
        self.operator.resolve(tag, reason="r", by="b")
        row.outcome = Refused(tag, "absent", message="not at the venue, says b: r")
        self.give_up_the_old()

    def give_up_the_old(self) -> None:
        """Each intent without outcome is overdue after the pause: its process says that it is unknown."""
        helper = OrderStore(self.folder, now_ns=self.wall)
        for tag, row in self.rows.items():
            if row.outcome is None:
                row.outcome = Unknown(tag, "late")
                helper.finish(row.outcome)
        helper.close()

    def is_in_doubt(self, row: Row) -> bool:
        return isinstance(row.outcome, Unknown) or (row.outcome is None and row.process not in self.living)

    @invariant()
    def all_agree(self) -> None:
        if not hasattr(self, "operator"):
            return
        open_tags = {tag for tag, row in self.rows.items() if isinstance(row.outcome, Unknown | None)}
        assert {each.intent.tag for each in self.operator.open_intents()} == open_tags
        assert {halt.id for halt in self.operator.halts()} == self.halts
        for store in self.living.values():
            for tag, row in self.rows.items():
                assert store.outcome(tag) == row.outcome
            ended = {each.intent.tag for each in store.open_intents(of_ended_processes=True)}
            assert ended == {tag for tag, row in self.rows.items() if self.is_in_doubt(row)}

    def teardown(self) -> None:
        if hasattr(self, "operator"):
            for store in self.living.values():
                store.close()
            self.operator.close()
            shutil.rmtree(self.root)


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=examples(20), stateful_step_count=30, deadline=None)
