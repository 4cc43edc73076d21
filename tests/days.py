"""Days end at midnight UTC, also in the middle of a test that speaks of one."""

import time
from datetime import UTC, datetime, timedelta


def outlast_midnight(*, within_s: float) -> None:
    """Return when midnight UTC is further away than this: at once, but for those seconds of a day."""
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    left_s = (midnight - now).total_seconds()
    if left_s <= within_s:
        time.sleep(left_s + 0.1)
