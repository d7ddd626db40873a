"""`advisor calibrate`: measure this machine, so that estimates for it rest on what it does."""

import click

from advisor.cli.flags import debug_flag, json_flag


@click.command(name="calibrate")
@json_flag
@debug_flag
def command(as_json: bool) -> None:
    """Measure this machine (one to two minutes); later estimates for `local` use it."""
    from advisor.calibration import calibrate
    from advisor.report.terminal import narration_console, show

    console = narration_console()
    console.print("calibrating: matrix products, memory, and four small runs of the job")
    found = calibrate(console.print)
    if as_json:
        click.echo(found.as_text(), nl=False)
        return
    from advisor.report.calibrations import calibration_lines

    show(calibration_lines(found.calibration))
    console.print(f"stored in {found.path}")
