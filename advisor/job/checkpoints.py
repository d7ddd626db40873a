"""Checkpoints that survive a crash: written aside, hashed, synced, then renamed into place."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .faults import JobError
from .files import say, sha256_of, write_json
from .records import file_sha256

SCHEMA: Final = "advisor.checkpoint/1"
MANIFEST: Final = "MANIFEST.json"
UNFINISHED: Final = ".tmp-"
NAME: Final = re.compile(r"step-(\d+)")
MAY_CHANGE: Final = frozenset({"threads", "keep_checkpoints", "save_every_steps"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What a checkpoint belongs to; one of another run, plan or data is never loaded."""

    run_id: str
    settings: Mapping[str, Any]
    data_sha256: str
    versions: Mapping[str, str]

    def manifest(self, step: int, files: Mapping[str, str]) -> dict[str, Any]:
        """Return the MANIFEST.json of a checkpoint with these files."""
        content = {
            "schema": SCHEMA,
            "run_id": self.run_id,
            "step": step,
            "settings_sha256": sha256_of(self.settings),
            "settings": self.settings,
            "data_sha256": self.data_sha256,
            "versions": self.versions,
            "files": files,
        }
        return {**content, "seal": sha256_of(content)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A checkpoint whose every byte was checked."""

    path: Path
    step: int


@contextmanager
def published(target: Path) -> Iterator[Path]:
    """Yield a folder to write in; it becomes `target` whole, or is removed."""
    beside = _beside(target)
    _no_link(target.parent)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _no_link(target)
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700)
    try:
        yield beside
        _sync_tree(beside)
        if target.exists():
            shutil.rmtree(target)
        beside.rename(target)
        _sync(target.parent)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


@contextmanager
def writing(folder: Path, step: int, identity: Identity) -> Iterator[Path]:
    """Yield a folder to save in; on leaving it becomes the checkpoint `step-N` in `folder`."""
    with published(folder / f"step-{step}") as beside:
        yield beside
        files = {str(p.relative_to(beside)): file_sha256(p) for p in _files(beside)}
        write_json(beside / MANIFEST, identity.manifest(step, files))


def unfinished(folder: Path, step: int) -> Path:
    """Return the folder that `writing` yields for this step."""
    return _beside(folder / f"step-{step}")


def rotate(folder: Path, *, keep: int, run_id: str, best: int | None = None) -> None:
    """Delete all but the `keep` newest checkpoints of this run, and the one of step `best`."""
    ours = [one for one in _numbered(folder) if _read_manifest(one[1]).get("run_id") == run_id]
    for path in [path for step, path in ours[keep:] if step != best]:
        doomed = _beside(path)
        path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def clean(folder: Path) -> None:
    """Remove what a killed save left behind."""
    for path in folder.glob(f"{UNFINISHED}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def exist(folder: Path) -> bool:
    """Return whether there is any checkpoint folder, whole or not."""
    return bool(_numbered(folder))


def newest(folder: Path, identity: Identity) -> Checkpoint:
    """Return the newest intact checkpoint of this run; raise JobError where there is none.

    Names each one that it passes over. Refuses where settings or data are not those of the plan.
    """
    _no_link(folder)
    for step, path in _numbered(folder):
        if fault := _damage(path, step, identity.run_id):
            say(f"skipped {path}: {fault}")
            continue
        manifest = _read_manifest(path)
        _same_plan(manifest, identity, path)
        return Checkpoint(path=path, step=step)
    if exist(folder):
        raise JobError(
            "run_unusable",
            "no intact checkpoint",
            where=str(folder),
            hint=f"move {folder.name} away, then start again: python -m job",
            exit_code=6,
        )
    hint = "start it: python -m job"
    raise JobError(
        "run_unusable", "nothing to resume: no checkpoint yet", where=str(folder), hint=hint
    )


def at(folder: Path, step: int, identity: Identity) -> Checkpoint:
    """Return the intact checkpoint of this step; raise JobError where there is none."""
    path = folder / f"step-{step}"
    if fault := _damage(path, step, identity.run_id):
        hint = f"move {folder.name} away, then start again: python -m job"
        raise JobError("run_unusable", fault, where=str(path), hint=hint, exit_code=6)
    return Checkpoint(path=path, step=step)


def _beside(target: Path) -> Path:
    return target.with_name(UNFINISHED + target.name)


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """Return (step, path) of the folders named step-N, newest step first."""
    if not folder.is_dir():
        return []
    found = [(NAME.fullmatch(path.name), path) for path in folder.iterdir() if path.is_dir()]
    return sorted(((int(match[1]), path) for match, path in found if match), reverse=True)


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _damage(path: Path, step: int, run_id: str) -> str | None:
    """Return what is wrong with the checkpoint at `path`, or None."""
    manifest = _read_manifest(path)
    if path.is_symlink():
        return "a symbolic link"
    if manifest.pop("seal", None) != sha256_of(manifest) or manifest.get("schema") != SCHEMA:
        return f"its {MANIFEST} is missing or damaged"
    files = manifest["files"]
    if manifest.get("run_id") != run_id:
        return "it belongs to another run"
    if manifest.get("step") != step:
        return "it was renamed"
    return next(filter(None, (_file_damage(path / name, files[name]) for name in files)), None)


def _file_damage(path: Path, sha256: str) -> str | None:
    try:
        whole = file_sha256(path) == sha256
    except OSError:
        return f"{path.name} is missing"
    return None if whole else f"{path.name} is damaged"


def _same_plan(manifest: Mapping[str, Any], identity: Identity, path: Path) -> None:
    old, new = manifest["settings"], identity.settings
    changed = [
        f"{key} {old.get(key)} → {new.get(key)}"
        for key in sorted({*old, *new} - MAY_CHANGE)
        if old.get(key) != new.get(key)
    ]
    if manifest["data_sha256"] != identity.data_sha256:
        changed.append("the data")
    if changed:
        hint = "restore the plan, or start a new run"
        what = f"the plan no longer matches the checkpoint: {', '.join(changed)}"
        raise JobError("plan_stale", what, where=str(path), hint=hint)
    for key in sorted({*manifest["versions"], *identity.versions}):
        before, now = manifest["versions"].get(key), identity.versions.get(key)
        if before != now:
            say(f"{key} was {before}, is {now}: the result will not be bit-identical")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _no_link(path: Path) -> None:
    if path.is_symlink():
        hint = "replace it by a folder"
        raise JobError("run_unusable", "a symbolic link", where=str(path), hint=hint, exit_code=6)


def _sync_tree(folder: Path) -> None:
    for path in _files(folder):
        path.chmod(0o600)
        _sync(path)
    for path in (*(p for p in folder.rglob("*") if p.is_dir()), folder):
        _sync(path)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(file)
    finally:
        os.close(file)
