"""Cards of dialogues."""

from uuid import UUID

from snowrail_chat.cards.answers import underline
from snowrail_chat.domain.cards import Action, Card, Progress, Row, Style
from snowrail_chat.domain.dialogues import DONE, SKIP, Dialogue
from snowrail_chat.domain.errors import CommandError


def question_card(
    card_id: UUID, dialogue: Dialogue, problem: CommandError | None = None, text: str = ""
) -> Card:
    """Return the card that asks for the next part of a command.

    Args:
        problem: why the answer before was not taken.
        text: that answer.
    """
    question = dialogue.question
    slot = dialogue.spec.slot(question.slot)
    total = len(dialogue.spec.questions)
    answered = sum(each.slot in dialogue.given for each in dialogue.spec.questions)
    rows = [Row(name, words) for name, words in dialogue.given.items() if words]
    if problem is not None and text.strip():
        rows.insert(0, Row("Answer", underline(text, problem.column, problem.length), mono=True))
    actions: list[Action] = []
    if dialogue.is_collecting:
        actions.append(Action("Done", DONE, Style.PRIMARY))
    elif not slot.required:
        actions.append(Action("Skip", SKIP))
    suggestions = () if problem is None else problem.suggestions
    actions += [Action(suggestion, suggestion) for suggestion in suggestions]
    text_now = "Type the next one, or done." if dialogue.is_collecting else question.text
    return Card(
        card_id=card_id,
        kind="dialogue",
        title=text_now if problem is None else f"{problem.message} {text_now}",
        status="asking" if problem is None else problem.code,
        rows=tuple(rows),
        progress=Progress(min(answered, total), total),
        actions=(*actions, Action("Leave", "/cancel", Style.DANGER)),
        notes=(f"This is /{dialogue.spec.name}. /cancel or any other command leaves it.",),
    )


def left_card(card_id: UUID, dialogue: Dialogue) -> Card:
    """Return the card of a dialogue that was left."""
    return Card(
        card_id,
        "notice",
        f"You left /{dialogue.spec.name}; nothing came of it.",
        "left",
        actions=(Action("Begin anew", f"/{dialogue.spec.name}"),),
    )
