"""All sources at once, within a time."""

import asyncio
from collections.abc import Sequence

from tools.clouds.command import CommandError
from tools.clouds.rows import UNSEEN, Row
from tools.clouds.sources import Source

SECONDS = 7
"""How long a source may take; with the start of this program the whole stays below 10 s."""


async def look(sources: Sequence[Source], seconds: int = SECONDS) -> list[Row]:
    """Return the rows of all sources; one that fails or takes longer gives a row that says so."""
    found = await asyncio.gather(*(_rows(source, seconds) for source in sources))
    return [row for rows in found for row in rows]


async def _rows(source: Source, seconds: int) -> list[Row]:
    rows: list[Row] = []
    try:
        async with asyncio.timeout(seconds):
            async for row in source.rows():
                rows.append(row)  # noqa: PERF401 - what came before a timeout is kept
    except TimeoutError:
        rows.append(Row(UNSEEN, "", source.name, "", f"no (or not the whole) answer within {seconds} s"))
    except CommandError as error:
        log_in = f"; to log in: {source.login}" if source.login and "is missing" not in str(error) else ""
        rows.append(Row(UNSEEN, "", source.name, "", f"{error}{log_in}"))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"its answer is not understood ({type(error).__name__}: {error})"
        rows.append(Row(UNSEEN, "", source.name, "", reason))
    return rows
