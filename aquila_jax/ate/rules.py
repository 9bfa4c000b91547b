"""The ranked list of rules: safety before learning rate before plan before batch before mixture.

Safety waits for nobody and has no pause; it is bounded by `rewinds` and by calling a person.
"""

import math

from aquila_jax.ate import data_rules, plan_rules, rate_rules, safety_rules
from aquila_jax.ate.situation import Rule

RULES = (
    Rule("give_up", "safety", 0, math.inf, safety_rules.give_up),
    Rule("rewind", "safety", 0, math.inf, safety_rules.rewind),
    Rule("set_aside", "safety", 0, 2, safety_rules.set_aside),
    Rule("wrong_data", "safety", 0, math.inf, safety_rules.wrong_data),
    Rule("hopeless", "safety", 0, 1, safety_rules.hopeless),
    Rule("guard", "rate", 0, 40, rate_rules.guard, rate_rules.guard_window, "none"),
    Rule("back_off", "rate", 2, 5, rate_rules.back_off),
    Rule("calm_logits", "rate", 2, 5, rate_rules.calm_logits),
    Rule("recover", "rate", 2, 20, rate_rules.recover),
    Rule("next_phase", "plan", 1, 100, plan_rules.next_phase, judge="none"),
    Rule("start_decay", "plan", 1, 2, plan_rules.start_decay),
    Rule("grow_batch", "batch", 2, 8, plan_rules.grow_batch, judge="none"),
    Rule("gate", "mixture", 2, 3, data_rules.gate, judge="none"),
    # Each move is small and bounded: it is not put on trial, which would keep the others waiting.
    Rule("mix", "mixture", 1, 100, data_rules.mix, lambda s: 0, "none"),
)
