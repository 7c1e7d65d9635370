"""Logs: one JSON object a line on stdout, without bodies, query strings, tokens or passwords."""

import json
import logging
import sys
from datetime import UTC, datetime

from flask import g, has_request_context

FIELDS = "fields"
"""Key of a record's `extra`: a dict whose entries become members of the line."""


class JsonFormatter(logging.Formatter):
    """Formats time (UTC, RFC 3339), level, logger, message, request id, `fields` and any stack trace."""

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as one line of JSON; control characters are escaped, so no caller forges a line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if has_request_context() and "request_id" in g:
            line["request_id"] = g.request_id
        line.update(getattr(record, FIELDS, ()))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure(level: int = logging.INFO) -> None:
    """Send every logger's records from `level` on to stdout as JSON, in place of the handlers there were."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("boto3", "botocore", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
