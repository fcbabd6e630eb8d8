"""Every test draws the same examples at every run; `--hypothesis-profile=explore` draws others."""

from hypothesis import HealthCheck, settings

# A busy machine is slow, and slow is not wrong.
CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("same", derandomize=True, **CALM)
settings.register_profile("explore", **CALM)
settings.load_profile("same")
