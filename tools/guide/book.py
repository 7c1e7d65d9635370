"""docs/guide.md, from the steps."""

from tools.guide.step import Step

_HEAD = """# The Guide: a canary release from its beginning to its end

<!-- Made by `python -m tools.guide --write` from tools/guide/steps.py, and checked by the tests. -->

You release version 2 of the music service next to version 1, see that it fails, roll back, fix it, and finish the
release. It takes about half an hour by hand. The same steps run by themselves:

    make guide                  # all of it, each step checked, within 10 minutes
    make guide STEP=by-step     # the same, but each step waits for Enter

Both begin with unchanged `s2/v2/app.py` and `cluster/s2-vs-v2.yaml`. With Playwright and Chromium there they put
pictures of what is to be seen into `logs/guide/`. All commands are typed in the root folder; `PLACE` and the ports are
as in [local.md](local.md). To find the bug without one failed request of a user, see [release.md](release.md).
"""


def render(steps: tuple[Step, ...]) -> str:
    """Return the page."""
    parts = [_HEAD]
    for number, step in enumerate(steps, 1):
        parts.append(f"## {number}. {step.title}\n\n{step.text}\n")
        typed = []
        for command in step.commands:
            typed.append(f"    {command.text}")
            typed += [f"    {line}" for line in command.lines]
        if typed:
            parts.append("\n".join(typed) + "\n")
        if step.seen:
            parts.append(f"**You see:** {step.seen}\n")
    return "\n".join(parts)
