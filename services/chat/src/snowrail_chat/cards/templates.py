"""Cards of sets of payments and their runs."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from snowrail_chat.cards.payment import approved_atoms, approved_token, wallet_actions
from snowrail_chat.cards.plans import plan_status
from snowrail_chat.domain.cards import Action, Card, Progress, Row, Style
from snowrail_chat.domain.quotes import Quotes
from snowrail_chat.domain.runs import Run, RunPayment, Template
from snowrail_chat.domain.values import short_id
from snowrail_chat.domain.words import quote
from snowrail_kit.ids import derived_id

_MAX_SIGN_BUTTONS = 6
_MAX_BUTTONS = 8
_PREPARING = "preparing"
_FINAL = "final"


def templates_card(card_id: UUID, templates: Sequence[Template]) -> Card:
    """Return the card of a user's sets."""
    return Card(
        card_id=card_id,
        kind="template",
        title=f"{len(templates)} templates" if templates else "No templates yet",
        rows=tuple(Row(template.name, template.payments) for template in templates),
        actions=(
            *(
                Action(f"Run {template.name}", f"/template run {quote(template.name)}")
                for template in templates[:_MAX_BUTTONS]
            ),
            Action("New", "/template save"),
        ),
    )


def template_saved_card(card_id: UUID, template: Template, is_replaced: bool) -> Card:
    """Return the card of a set that was kept."""
    name = quote(template.name)
    return Card(
        card_id=card_id,
        kind="template",
        title=f"{'Replaced' if is_replaced else 'Saved'} {template.name}",
        rows=tuple(Row(f"Payment {number}", line) for number, line in enumerate(template.lines, 1)),
        actions=(
            Action("Run", f"/template run {name}", Style.PRIMARY),
            Action("Edit", f"/template save {name} {'; '.join(template.lines)}", draft=True),
            Action("Delete", f"/template delete {name}", Style.DANGER),
        ),
    )


def template_deleted_card(card_id: UUID, name: str) -> Card:
    """Return the card of a set that was forgotten."""
    return Card(card_id, "template", f"Deleted {name}", actions=(Action("Templates", "/template list"),))


def run_card(run: Run, quotes: Quotes) -> Card:
    """Return the card of a run as it stands; updated in place."""
    done = sum(_state(payment, quotes) == _FINAL for payment in run.payments)
    refused = sum(payment.code is not None for payment in run.payments)
    sign = _sign_actions(run, quotes)
    left = max(len(sign) - _MAX_SIGN_BUTTONS, 0)
    notes = ["Each payment is signed by your wallet on its own; nothing moves before."] if sign else []
    if left:
        notes.append(f"{left} more are to be signed after these.")
    new = [str(payment.position) for payment in run.payments if payment.view and payment.view.is_new_payee]
    if new and sign:
        notes.append(f"First payments to an address: {', '.join(new)}. Compare all 42 characters.")
    if refused:
        notes.append("What was refused changed nothing. Correct it and send it with /pay.")
    return Card(
        card_id=derived_id("card", run.run_id),
        kind="template",
        title=f"Run of {run.name}: {len(run.payments)} payments",
        status=_status(run, done, refused),
        rows=tuple(_row(payment, quotes) for payment in run.payments),
        progress=Progress(done, len(run.payments)),
        actions=tuple(sign[:_MAX_SIGN_BUTTONS]),
        notes=tuple(notes),
        version=run.version,
    )


def _status(run: Run, done: int, refused: int) -> str:
    if done == len(run.payments):
        return _FINAL
    if refused == len(run.payments):
        return "refused"
    return "partly_refused" if refused else "pending"


def _state(payment: RunPayment, quotes: Quotes) -> str:
    if payment.code is not None:
        return f"refused ({payment.code.replace('_', ' ')})"
    return _PREPARING if payment.view is None else plan_status(payment.view, quotes)


def _row(payment: RunPayment, quotes: Quotes) -> Row:
    view = payment.view
    state = _state(payment, quotes).replace("_", " ")
    lines = [
        f"{payment.line}: {state}" if view is None else f"{payment.line}: {state}, {short_id(view.intent_id)}"
    ]
    if view is not None and view.recipient not in payment.line:
        lines.append(view.recipient)
    if payment.detail:
        lines.append(payment.detail)
    return Row(f"Payment {payment.position}", "\n".join(lines))


def _sign_actions(run: Run, quotes: Quotes) -> list[Action]:
    """Return what the wallet has to do, one approval of each token ahead: an approval replaces the one before
    it, and the highest covers all payments."""
    approvals: dict[str, Action] = {}
    others: list[Action] = []
    for payment in run.payments:
        for action in wallet_actions(payment.view, quotes) if payment.view is not None else ():
            if action.sign is None:
                continue
            token = approved_token(action)
            if token is None:
                others.append(replace(action, label=f"{action.label} {payment.position}"))
            elif token not in approvals or approved_atoms(approvals[token]) < approved_atoms(action):
                approvals[token] = action
    return [*approvals.values(), *others]
