"""The model of the escrow: what each call must do, written apart from the contract."""

from dataclasses import dataclass, replace

from snowrail_chain.abi import Execution, deposit_calldata, explain_revert, fund_calldata
from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_chain.eip712 import Order

from .chains import START_TIME, Chain, Outcome, address_of
from .world import World, malleated, person

PAYERS = [person("alice"), person("carol")]
RECIPIENTS = [address_of("bob"), address_of("dave")]
STRANGER = address_of("stranger")
TREASURY = address_of("treasury")
MAX_ORDERS = 7
START_BALANCE = 50_000


@dataclass
class OrderModel:
    """What the model remembers of an order."""

    executed: int = 0
    cancelled: bool = False
    authorised: bool = False
    deposited: int = 0


@dataclass(frozen=True)
class Attempt:
    """An execution somebody asks for."""

    order_index: int
    occurrence_offset: int
    signature_kind: str


class EscrowModel:
    """An escrow, and what the model says about it."""

    def begin_anew(self, chain: Chain) -> None:
        """Start with a fresh escrow, people with money, and three orders that can execute at once."""
        self.world = World(chain)
        self.tokens = [NATIVE_TOKEN, self.world.usdc, self.world.usdt]
        self.orders: list[Order] = []
        self.models: list[OrderModel] = []
        self.now = START_TIME
        self.paused = False
        self.fee_basis_points = 0
        self.fees: dict[str, int] = dict.fromkeys(self.tokens, 0)
        self.allowances: dict[tuple[str, str], int] = {}
        self.balances: dict[tuple[str, str], int] = {}
        for token in self.tokens:
            for holder in [*(payer.address for payer in PAYERS), *RECIPIENTS, TREASURY]:
                self.balances[token, holder] = 0
        for payer in PAYERS:
            self.world.chain.set_balance(payer.address, START_BALANCE)
            self.balances[NATIVE_TOKEN, payer.address] = START_BALANCE
            for token in self.tokens[1:]:
                self.world.mint(token, payer.address, START_BALANCE)
                self.balances[token, payer.address] = START_BALANCE
                self.world.approve(token, payer.address, START_BALANCE)
                self.allowances[token, payer.address] = START_BALANCE
        for token in self.tokens:
            self.add_order(PAYERS[0].address, RECIPIENTS[0], token, amount=700, recurrence=(1, 40))
        self.put_in(0, 700 * 20, by_payer=True)

    def add_order(
        self,
        payer: str,
        recipient: str,
        token: str,
        *,
        amount: int,
        recurrence: tuple[int, int],
        opens_in: int = 0,
        lasts: int = 10_000,
        max_gas_price: int = 9,
        safety_buffer: int = 0,
        max_fee: int = 0,
    ) -> None:
        """Add an order nobody has touched."""
        order = Order(
            payer=payer,
            recipient=recipient,
            token=token,
            amount=amount,
            valid_after=self.now + opens_in,
            valid_until=self.now + opens_in + lasts,
            max_gas_price=max_gas_price,
            safety_buffer=safety_buffer,
            min_interval=recurrence[0],
            max_executions=recurrence[1],
            max_fee=max_fee,
            salt=len(self.orders).to_bytes(32, "big"),
        )
        self.orders.append(order)
        self.models.append(OrderModel())

    def put_in(self, order_index: int, amount: int, *, by_payer: bool) -> None:
        """Pay into an order and compare with the prediction."""
        order, model = self.chosen(order_index)
        sender = order.payer if by_payer else STRANGER
        native = order.token == NATIVE_TOKEN
        if native:
            amount = min(amount, self.balances[NATIVE_TOKEN, order.payer] if by_payer else 0)
            outcome = self.send(sender, fund_calldata(order), amount)
        else:
            outcome = self.send(sender, deposit_calldata(order, amount))
        maximum = (order.amount + order.max_fee) * (order.max_executions - model.executed) - model.deposited
        error = (
            "NotPayer" if not by_payer
            else "NothingToMove" if amount == 0
            else "OrderExpired" if self.now > order.valid_until
            else "OrderCancelled" if model.cancelled
            else "DepositAboveOrder" if amount > maximum
            else None if native
            else self.wallet_error(order, [amount])
        )  # fmt: skip
        if self.agrees(outcome, error):
            model.deposited += amount
            model.authorised = True
            self.take(order, amount, from_wallet=not native)
            if native:
                self.balances[NATIVE_TOKEN, order.payer] -= amount

    def chosen(self, order_index: int) -> tuple[Order, OrderModel]:
        """Order and model at this position, counted round."""
        position = order_index % len(self.orders)
        return self.orders[position], self.models[position]

    def send(self, sender: str, data: bytes, value: int = 0) -> Outcome:
        """Call the escrow."""
        return self.world.chain.send(sender, self.world.escrow, data, value=value)

    def agrees(self, outcome: Outcome, error: str | None) -> bool:
        """Whether the call succeeded, as predicted; fails when the prediction is another."""
        actual = None if outcome.success else explain_revert(outcome.output).name
        assert actual == error, f"{actual} instead of {error}"
        return outcome.success

    def execution(self, attempt: Attempt) -> Execution:
        """The execution an attempt asks for."""
        order, model = self.chosen(attempt.order_index)
        signer = next(payer for payer in PAYERS if payer.address == order.payer)
        other = next(payer for payer in PAYERS if payer.address != order.payer)
        right = self.world.sign(signer, order)
        signature = {
            "right": right,
            "none": b"",
            "foreign": self.world.sign(other, order),
            "malleated": malleated(right),
            "other order": self.world.sign(signer, replace(order, amount=order.amount + 1)),
        }[attempt.signature_kind]
        return Execution(order, max(0, model.executed + attempt.occurrence_offset), signature)

    def fee(self, order: Order) -> int:
        """Fee of one execution."""
        return min(order.max_fee, order.amount * self.fee_basis_points // 10_000)

    def execution_error(self, attempt: Attempt, execution: Execution, gas_price: int) -> str | None:
        """Name of the error an execution must fail with, or nothing."""
        order, model = self.chosen(attempt.order_index)
        if model.cancelled:
            return "OrderCancelled"
        if execution.occurrence != model.executed:
            return "OccurrenceMismatch"
        if self.now < order.valid_after:
            return "OrderNotYetValid"
        if self.now > order.valid_until:
            return "OrderExpired"
        if gas_price > order.max_gas_price:
            return "GasPriceAboveLimit"
        elapsed = self.now - order.valid_after
        due = 1 if order.min_interval == 0 else 1 + elapsed // order.min_interval
        if execution.occurrence >= min(due, order.max_executions):
            return "NotDue"
        total = order.amount + self.fee(order)
        covered = model.deposited >= total
        if order.token == NATIVE_TOKEN and not covered:
            return "InsufficientDeposit"
        if attempt.signature_kind != "right" and not (covered and model.authorised):
            return "InvalidSignature"
        if not covered:
            error = self.wallet_error(order, [order.amount, total - order.amount])
            if error:
                return error
        left = self.balances[order.token, order.payer] - (0 if covered else total)
        return "SafetyBufferBroken" if left < order.safety_buffer else None

    def wallet_error(self, order: Order, parts: list[int]) -> str | None:
        """Error of the token when wallet or allowance does not cover the parts, moved one after the other."""
        balance = self.balances[order.token, order.payer]
        allowance = self.allowances[order.token, order.payer]
        for part in parts:
            if allowance < part:
                return "Panic" if order.token == self.world.usdt else "ERC20InsufficientAllowance"
            if balance < part:
                return "Panic" if order.token == self.world.usdt else "ERC20InsufficientBalance"
            allowance -= part
            balance -= part
        return None

    def take(self, order: Order, amount: int, *, from_wallet: bool) -> None:
        """Account for money that leaves the wallet by allowance."""
        if from_wallet:
            self.balances[order.token, order.payer] -= amount
            self.allowances[order.token, order.payer] -= amount

    def apply(self, order: Order, model: OrderModel) -> None:
        """Account for one execution."""
        fee = self.fee(order)
        total = order.amount + fee
        covered = model.deposited >= total
        model.executed += 1
        assert model.executed <= order.max_executions
        if covered:
            model.deposited -= total
        self.take(order, total, from_wallet=not covered)
        self.balances[order.token, order.recipient] += order.amount
        self.fees[order.token] += fee

    def give_back(self, order: Order, model: OrderModel) -> None:
        """Account for the return of the deposit."""
        self.balances[order.token, order.payer] += model.deposited
        model.deposited = 0
