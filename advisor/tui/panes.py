"""What the panes of the dashboard say of a recommendation, as pages of a given width."""

from textual.content import Content

from advisor.estimation.documents import Estimate
from advisor.recommendation import OptionEntry, Reason, Recommendation
from advisor.report.drawing import UNKNOWN, span, words
from advisor.tui.moves import MEASURES, SHOWS, range_of, verdict_of
from advisor.tui.naming import hardware_in_words
from advisor.tui.page import Page
from advisor.tui.store import Store
from advisor.units import show_gb, show_hours, show_number, show_tokens, show_usd

WIDE = 60


def why_page(store: Store, width: int) -> Content:
    """Return what speaks for the verdict, what against it, and how conflicts were resolved."""
    page, found = Page(width), store.recommendation
    best = found.recommended.approach if found.recommended else None
    speaking = [one for one in found.reasons if one.weights.get(best or "", 0) > 0]
    against = [one for one in found.reasons if one.weights.get(best or "", 0) <= 0]
    speaking.sort(key=lambda one: -one.weights[best or ""])
    against.sort(key=lambda one: -one.weight)
    for reason in speaking:
        _reason(page, reason, mark="✓", new=reason.rule in store.moves.reasons)
    if against:
        page.head("For another approach")
    for reason in against:
        _reason(page, reason, mark="✗", new=reason.rule in store.moves.reasons)
    _conflicts(page, found)
    _cautions(page, found)
    return page.content()


def _cautions(page: Page, found: Recommendation) -> None:
    best = found.recommended
    if best is None:
        page.add("Nothing is feasible as answered: see 4 Others for the nearest fixes.", mark="!")
        return
    if best.next_step:
        page.add(f"First: {best.next_step}", mark="»", style="bold")
    if len(best.stages) > 1:
        page.add(f"In stages: {', then '.join(words(one) for one in best.stages)}", mark="»")
    if found.documents_only.approach not in (None, best.approach):
        page.add(f"The articles alone: {words(found.documents_only.approach)}", mark="≠")
    for warning in found.warnings:
        page.add(warning, mark="!")


def _reason(page: Page, reason: Reason, *, mark: str, new: bool) -> None:
    text = f"{reason.because} → {words(reason.favours)}" if mark == "✗" else reason.because
    page.add(f"{text} (new)" if new else text, mark=mark, style="bold" if new else "")
    if page.width >= WIDE:
        page.add(reason.says, indent=2)
    source = reason.source
    told = f"{source.publisher}, {source.section} · {reason.evidence} · {reason.rule}"
    page.add(told, style="dim", indent=2)


def _conflicts(page: Page, found: Recommendation) -> None:
    if found.conflicts:
        page.head("Conflicts")
    for one in found.conflicts:
        page.add(one.why, mark="≠")
        page.add(", ".join(one.rules), style="dim", indent=2)


def cost_page(store: Store, width: int) -> Content:
    """Return how time, money and memory of the recommended option come about."""
    page, estimate = Page(width), store.recommendation.estimate
    if estimate is None:
        page.add("Nothing is trained, so there is nothing to price.")
        return page.content()
    for name, told in _cost_rows(estimate):
        page.add(told, mark=f"{name:<12}")
    parts = estimate.memory_gb_per_gpu.parts.model_dump().items()
    page.head("Memory of one GPU")
    for name, size in parts:
        if size:
            page.add(f"{show_gb(size):>8}", mark=f"{name:<12}")
    page.head("Assumed")
    for assumption in estimate.assumptions:
        page.add(assumption, mark="·")
    page.head("Formulas")
    for formula in estimate.formulas:
        page.add(f"{formula.name} [{formula.source}]", mark="·", style="dim")
    return page.content()


def _cost_rows(estimate: Estimate) -> list[tuple[str, str]]:
    cost, energy, carbon = estimate.cost_usd, estimate.energy_kwh, estimate.co2_kg
    rows = [
        ("wall time", span(estimate.wall_hours, show_hours)),
        ("GPU hours", span(estimate.gpu_hours, show_number)),
        ("cost", span(cost, show_usd)),
        ("tokens/s GPU", span(estimate.tokens_per_second_per_gpu, show_number)),
        ("memory", span(estimate.memory_gb_per_gpu, show_gb)),
        ("trained on", show_tokens(estimate.tokens)),
        ("disk", show_gb(estimate.disk_gb)),
        ("download", show_gb(estimate.download_gb)),
        ("energy", UNKNOWN if energy is None else f"{show_number(energy)} kWh"),
        ("carbon", UNKNOWN if carbon is None else f"{show_number(carbon)} kg CO2"),
        ("basis", f"{estimate.basis}, 80 % interval"),
    ]
    if cost is not None:
        rows.append(("price", f"{cost.price_source} ({cost.price_date})"))
    if estimate.serving is not None:
        rows.append(("serving", f"{span(estimate.serving.usd_per_month, show_usd)} a month"))
    return rows


def flips_page(store: Store, width: int) -> Content:
    """Return which other answers change the approach, and which question to answer next."""
    page = Page(width)
    if store.ask_next:
        page.head("Answer next")
    for one in store.ask_next:
        page.add(f"{words(one.question)}: {one.why}", mark="?")
    page.head("Other answers that would change it")
    if store.swept is None:
        page.add("trying other answers …", style="dim")
        return page.content()
    flips = [flip for one in store.swept for flip in one.flips]
    if not flips:
        page.add("No other answer to a single question changes the approach.")
    for flip in flips:
        to = words(flip.to) if flip.to else "nothing is feasible"
        page.add(f"{words(flip.question)} = {words(flip.value)} → {to}", mark="↷")
        page.add(flip.why, style="dim", indent=2)
    return page.content()


def others_page(store: Store, width: int) -> Content:
    """Return every approach, best first, with what stands in the way of it."""
    page, best = Page(width), store.recommendation.recommended
    for option in store.recommendation.options:
        chosen = best is not None and option.approach == best.approach
        _option(page, option, chosen=chosen)
    return page.content()


def _option(page: Page, option: OptionEntry, *, chosen: bool) -> None:
    mark = "►" if chosen else "✓" if option.feasible else "✗"
    base = option.base_model or ("any model" if option.approach == "no_training" else "own model")
    title = f"{words(option.approach)} ({words(option.method)}) · {base} · {option.score:g} points"
    page.add(title, mark=mark, style="bold" if chosen else "")
    if option.estimate is not None:
        told = [span(range_of(option.estimate, name), SHOWS[name]) for name in MEASURES]
        page.add(" · ".join(told), indent=2)
    for one in option.blockers:
        needs = f"{one.what}: needs {one.needs}, has {one.has} → {one.nearest_fix}"
        page.add(needs, mark="✗", indent=2)


def verdict_page(store: Store, width: int) -> Content:
    """Return the verdict, what moved, and the three ranges against their limits."""
    page, found = Page(width), store.recommendation
    best, moved = found.recommended, store.moves.verdict
    page.add(_headline(found), mark="►", style="bold")
    told = []
    if best and best.confidence is not None:
        told.append(f"confidence {best.confidence:.0%}")
    if store.entries.wrong:
        told.append("an entry is not understood: last valid answers count")
    if moved:
        told.append(f"{moved.mark} was {moved.was}")
    page.add(" · ".join(told), indent=2, style="bold" if moved else "dim")
    for name in MEASURES:
        _range_row(page, store, name)
    return page.content()


def _headline(found: Recommendation) -> str:
    best, estimate = found.recommended, found.estimate
    headline = verdict_of(found)
    if best is not None and best.base_model:
        headline += f" of {best.base_model.rpartition('/')[2]}"
    if estimate is not None:
        headline += f" on {hardware_in_words(estimate.request.gpus, estimate.request.gpu)}"
    return headline


def _range_row(page: Page, store: Store, name: str) -> None:
    measure = next(one for one in MEASURES if one == name)
    estimate = store.recommendation.estimate
    interval = range_of(estimate, measure) if estimate else None
    move, limit, show = store.moves.ranges.get(measure), store.limit(measure), SHOWS[measure]
    told = span(interval, show) if interval else "–"
    if interval and limit is not None:
        told += f" of {show(limit)}"
    parts = [
        (f"{name:<7}", "dim"),
        (f"{move.mark if move else ' '} ", "bold"),
        (told, "bold" if move else ""),
    ]
    if interval and page.width >= WIDE:
        bar = bar_of((interval.low, interval.mid, interval.high), limit)
        parts.insert(2, (f"{bar}  ", ""))
    if move:
        parts.append((f"  was {move.was}", "dim"))
    page.row(*parts)


BAR_CELLS = 24


def bar_of(interval: tuple[float, float, float], limit: float | None) -> str:
    """Return an interval as a bar that begins at 0; `┃` stands at the limit, where there is one."""
    end = max(interval[2], limit or 0.0) or 1.0
    low, mid, high = (round(value / end * (BAR_CELLS - 1)) for value in interval)
    cells = [" "] * BAR_CELLS
    if limit is not None:
        cells[round(limit / end * (BAR_CELLS - 1))] = "┃"
    cells[low : high + 1] = "─" * (high + 1 - low)
    cells[low], cells[high], cells[mid] = "├", "┤", "●"
    return "".join(cells)
