"""Quality metrics behind one interface, rate comparison and complexity.

``metric("lpips")(reference, decoded)`` measures a clip; ``METRICS`` lists the names. ``bd`` compares rate curves,
``complexity`` counts what a network costs.
"""

from codec_lib.metrics.base import METRICS, FrameMetric, Metric, Undefined, metric

__all__ = ["METRICS", "FrameMetric", "Metric", "Undefined", "metric"]
