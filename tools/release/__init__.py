"""Release a candidate without hurting users: dark launch, steps, sequential judgement, roll-back.

Nothing but VirtualService updates and Prometheus queries. See docs/release.md.
"""
