"""A server that may not be root gets folders and programs it can reach."""

import shutil
from pathlib import Path

import pytest

from snowrail_local.servers import unprivileged

SOMEBODY = (54_321, 54_321)


@pytest.fixture
def closed_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder below one that nobody else may enter, and a place for what stands in for it."""
    fallback = tmp_path / "fallback"
    fallback.mkdir()
    monkeypatch.setattr(unprivileged, "FALLBACK_ROOT", fallback)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    inside = closed / "inside"
    inside.mkdir(mode=0o755)
    return inside


def test_a_folder_below_a_closed_one_cannot_be_entered(closed_folder: Path) -> None:
    assert not unprivileged.can_enter(closed_folder, SOMEBODY)
    assert unprivileged.can_enter(Path("/"), SOMEBODY)
    assert unprivileged.can_enter(Path("/nowhere/yet"), SOMEBODY)


def test_another_folder_stands_in_and_is_forgotten(closed_folder: Path) -> None:
    stand_in = unprivileged.reachable_folder(closed_folder, SOMEBODY)
    assert stand_in != closed_folder
    assert stand_in.is_dir()
    assert stand_in.stat().st_mode & 0o777 == 0o711
    assert unprivileged.reachable_folder(closed_folder, SOMEBODY) == stand_in
    unprivileged.forget_folder(closed_folder)
    assert not stand_in.exists()
    assert not closed_folder.exists()


def test_without_root_nothing_moves(closed_folder: Path) -> None:
    assert unprivileged.reachable_folder(closed_folder, None) == closed_folder
    assert unprivileged.reachable_copy(closed_folder, ["bin"], None) == closed_folder


def test_programs_are_copied_once(closed_folder: Path) -> None:
    for part in ("bin", "lib", "else"):
        (closed_folder / part).mkdir()
        (closed_folder / part / "file").write_text("one")
    copy = unprivileged.reachable_copy(closed_folder, ["bin", "lib"], SOMEBODY)
    assert sorted(str(file.relative_to(copy)) for file in copy.rglob("file")) == ["bin/file", "lib/file"]
    (copy / "bin" / "file").write_text("kept")
    unprivileged.reachable_copy(closed_folder, ["bin", "lib"], SOMEBODY)
    assert (copy / "bin" / "file").read_text() == "kept"


def test_what_stands_in_for_a_folder_that_is_gone_is_removed(closed_folder: Path) -> None:
    gone, in_use = closed_folder / "gone", closed_folder / "in-use"
    stand_ins: list[Path] = []
    for folder in (gone, in_use):
        folder.mkdir()
        stand_ins.append(unprivileged.reachable_folder(folder, SOMEBODY))
        folder.rmdir()
    (stand_ins[1] / "data").mkdir()
    (stand_ins[1] / "data" / "postmaster.pid").touch()
    unprivileged.reachable_folder(closed_folder, SOMEBODY)
    assert not stand_ins[0].exists()
    assert stand_ins[1].exists()


def test_a_stand_in_of_somebody_else_is_refused(closed_folder: Path, tmp_path: Path) -> None:
    stand_in = unprivileged.reachable_folder(closed_folder, SOMEBODY)
    shutil.rmtree(stand_in)
    stand_in.symlink_to(tmp_path)
    with pytest.raises(unprivileged.UnsafeFolderError):
        unprivileged.reachable_folder(closed_folder, SOMEBODY)
