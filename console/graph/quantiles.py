"""Quantiles of Prometheus' classic histograms, as histogram_quantile computes them.

https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
"""

import math
from collections.abc import Mapping


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """Return the value below which `share` (0 to 1) of the observations lie, None where there are none.

    `buckets`: cumulative counts by upper limit, the last of which is infinite.
    """
    limits = sorted(buckets)
    if len(limits) < 2 or not math.isinf(limits[-1]) or buckets[limits[-1]] <= 0:
        return None
    rank = share * buckets[limits[-1]]
    index = next(i for i, limit in enumerate(limits) if buckets[limit] >= rank or math.isinf(limit))
    if math.isinf(limits[index]):
        return limits[-2]
    if index == 0:
        return limits[0] * rank / buckets[limits[0]] if limits[0] > 0 else limits[0]
    low, below = limits[index - 1], buckets[limits[index - 1]]
    inside = buckets[limits[index]] - below
    return low + (limits[index] - low) * (rank - below) / inside if inside else limits[index]
