"""How much of the training data is held out to validate on."""

from advisor.planning.counting import Layout, Sample
from advisor.planning.defaults import Chosen, Defaults
from advisor.planning.inputs import VALIDATION, Inputs


def held_out(inputs: Inputs, sample: Sample, layout: Layout, defaults: Defaults) -> Chosen:
    """Return the share that is held out: the usual one, of little data more, with its source.

    The units are those that scores are counted over: rows of text, else whole examples.
    """
    if inputs.has(VALIDATION):
        return Chosen(0.0, "validation data of your own is given")
    usual, least = defaults.of("validation_share"), defaults.of("least_held_out")
    units = inputs.train.records * (sample.rows_per_record(layout) if sample.splits else 1.0)
    needed = min(defaults.number("most_held_out"), float(least.value) / max(1.0, units))
    if needed <= float(usual.value):
        return usual
    return Chosen(round(needed, 4), least.source)
