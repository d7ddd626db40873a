import ast

from command_line import ROOT

PACKAGE = ROOT / "advisor"
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def rooms() -> dict[str, str]:
    """Return every room of the package with the first line of its docstring."""
    modules = {path.stem: path for path in PACKAGE.glob("*.py") if not path.stem.startswith("_")}
    packages = {path.parent.name: path for path in PACKAGE.glob("*/__init__.py")}
    return {
        name: (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[0]
        for name, path in (modules | packages).items()
    }


def test_the_page_names_every_room_by_its_own_first_line() -> None:
    listed = {line for line in PAGE.splitlines() if line.startswith("- `advisor.")}
    assert listed == {f"- `advisor.{name}`: {line}" for name, line in rooms().items()}


def test_every_file_that_the_page_names_is_there() -> None:
    named = [part for part in PAGE.split("`")[1::2] if "/" in part]
    assert named
    assert all((ROOT / name).exists() for name in named)
