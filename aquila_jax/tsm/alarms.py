"""What each alarm means and what to do about it, in words for a tired engineer."""

from typing import Any

from aquila_jax.core.signals import Alarm

# kind -> (likely cause, suggested remedy); the evidence fills the braces.
ADVICE = {
    "spike": (
        "One step stood {z:.1f} robust deviations above its recent past in {what}; {blame}.",
        "Nothing, if it stays alone: the step is skipped or clipped. "
        "If it comes back, look at the documents of this step with `trace`.",
    ),
    "non_finite": (
        "The loss or the gradient was not a finite number: an overflow, a division by zero, "
        "or a faulty device.",
        "Nothing, if it stays alone: the step left the weights untouched. If it comes back at "
        "the same data, exclude that data; if it moves with one host, replace the host.",
    ),
    "repeated_spikes": (
        "{count} steps in the last {window} stood out, more than chance or one bad batch "
        "explains: a run of bad data, or a learning rate that is too high.",
        "Rewind to before step {first} and leave out the sequences since; "
        "if it happens again, lower the learning rate to 0.7 of its value.",
    ),
    "non_finite_burst": (
        "{count} steps in the last {window} were not finite: the weights, the optimiser state "
        "or a device are probably damaged already.",
        "Rewind to the last checkpoint before step {first}; if the same step fails again, "
        "exclude its data, else suspect the hardware.",
    ),
    "regime_change": (
        "{what} has settled at a new level, from {before:.4g} to {after:.4g}, and the detector "
        "has accepted it as normal.",
        "Check that a change of mixture, batch or learning rate explains it; "
        "otherwise rewind to before the jump.",
    ),
    "unsteady": (
        "{count} of the last {window} steps were unusually high in {what}, none high enough to "
        "skip: often the prelude of a spike.",
        "Watch it; if the learning rate was raised lately, lower it to 0.7 of its value.",
    ),
    "slow_divergence": (
        "The loss has been creeping up, by {rise:.1%} against its slow average at equal "
        "mixture; {share:.0%} of the tokens are in domains that rose.",
        "If nearly all domains rose, lower the learning rate to 0.7 of its value, then rewind; "
        "if only one did, look at its data.",
    ),
    "domain_jump": (
        "The loss of domain {domain} moved from {before:.3f} to {after:.3f} nats while others "
        "did not follow: probably a bad or different shard.",
        "Look at the newest documents of {domain} with `trace`; exclude the shard if it is bad.",
    ),
    "loss_jump": (
        "At step {first} most domains left their past at once, and are {rise:.0%} above it since: "
        "the weights are damaged, or all of the data is bad.",
        "Rewind to before step {first} and leave out the sequences since.",
    ),
    "easy_batch": (
        "The loss fell to {loss:.3f} nats for one step, {z:.1f} robust deviations below its "
        "past: probably repeated or constant text.",
        "Look at the documents of this step with `trace`; exclude them if they repeat.",
    ),
    "token_statistics": (
        "The latest sequences of domain {domain} do not look like its store: {what} is off by "
        "{away:+.1f} deviations of a sequence ({deviations:+.1f} of such averages).",
        "Look at the documents of this step with `trace`; exclude the shard if it is bad.",
    ),
    "mixture": (
        "Domain {domain} supplies {observed:.1%} of the tokens, while the ledger asks for "
        "{expected:.1%}.",
        "Check the packing and the sizes of the domains; the mixture that is trained is not "
        "the one that was asked for.",
    ),
    "output_logit_growth": (
        "The output logits are drifting: mean log Z squared grew {factor:.1f} times in {steps} "
        "steps, to {value:.3g}.",
        "Raise the z-loss coefficient to ten times its value (1e-4 to 1e-3), "
        "before the loss follows.",
    ),
    "attention_growth": (
        "The attention logits of layer {layer} reached {value:.3g} and are growing; they cross "
        "{limit:g} near step {crossing}.",
        "Use QK-norm or QK-clip (100), or lower the learning rate to 0.7 of its value.",
    ),
    "update_ratio": (
        "Updates are {ratio:.3g} of the weights per step, {factor:.1f} times what this point "
        "of training should show: the learning rate is too high.",
        "Multiply the learning rate by {scale:.2f}.",
    ),
    "update_drift": (
        "Updates have grown to {factor:.2f} times what this learning rate gave until lately "
        "({ratio:.3g} of the weights at {learning_rate:.3g}): the optimiser's second moments "
        "shrink or are damaged, or the rate is not the one that was asked for. The loss tends to "
        "follow.",
        "Compare the learning rate with the plan; if it is right, rewind to before step {since} "
        "and lower it.",
    ),
    "update_jump": (
        "The normalised update of layer {layer} jumped {factor:.1f} times: Adam's second moment "
        "lags behind gradients that grew suddenly; loss spikes tend to follow.",
        "Clip updates, or lower beta2 from 0.95 to 0.9 for 500 steps.",
    ),
    "dead_layer": (
        "Layer {layer} receives almost no gradient: {ratio:.1e} of the typical layer's.",
        "Check its initialisation and norms; a rewind helps only if it died suddenly.",
    ),
    "exploding_layer": (
        "Layer {layer} outgrows the others: its {what} is {ratio:.3g} times what the other "
        "layers and its own past suggest.",
        "Lower the learning rate to 0.7 of its value; "
        "if weights were damaged at one step, rewind.",
    ),
    "stalled": (
        "The loss fell only {fall:.1%} in {steps} steps: the data cannot be learned, "
        "or the learning rate is far from right.",
        "Stop; decode a batch with `trace`, then try a learning rate ten times higher and lower.",
    ),
    "plateau": (
        "Ten per cent more tokens would bring {gain:.4f} nats, less than the {threshold:.4f} "
        "that matters.",
        "Start the decay, or go on to the next phase of the recipe.",
    ),
    "imbalance": (
        "Language {language} lags: it is {excess:+.1%} off its own earlier trend, against "
        "{others:+.1%} for the others.",
        "Give {language} more weight, or check what changed in its data.",
    ),
    "no_better": (
        "Of {items} questions ({subject}) the model of step {predecessor} answered {before:.1%}, this "
        "one {after:.1%} ({gained} gained, {lost} lost): no surer than chance, while the held-out loss "
        "fell from {bits_before:.3f} to {bits_after:.3f} bits per byte.",
        "A lower loss is no better model here: look at what changed in the mixture, and keep the "
        "checkpoint of step {predecessor}.",
    ),
    "worse": (
        "Of {items} questions ({subject}) the model of step {predecessor} answered {before:.1%}, this "
        "one only {after:.1%} ({gained} gained, {lost} lost).",
        "Keep the checkpoint of step {predecessor}; look at what changed in the mixture since, and "
        "rewind to it if the next evaluation says the same.",
    ),
    "slow_host": (
        "A step took {seconds:.1f} s where {typical:.2f} s are usual: waiting for data, "
        "a slow host, or a stuck collective.",
        "Look at the stacks of the hosts; if it stays, replace the slowest host.",
    ),
}  # fmt: skip

QUIET_STEPS = 1000  # a lasting condition is told again after so many steps
QUIET = {
    "spike": 8,
    "non_finite": 8,
    "easy_batch": 8,
    "repeated_spikes": 128,
    "non_finite_burst": 128,
    "slow_divergence": 128,
    "update_jump": 128,
    "update_ratio": 50,
    "update_drift": 128,
    "token_statistics": 200,
    "regime_change": 64,
    "unsteady": 256,
    "mixture": 128,
    "domain_jump": 256,
    "loss_jump": 128,
}


def make(kind: str, step: int, *, confidence: float, **evidence: Any) -> Alarm:
    """An alarm of a known kind; its words are filled from the evidence."""
    cause, remedy = (text.format(**evidence) for text in ADVICE[kind])
    return Alarm(kind, step, round(confidence, 4), evidence, cause, remedy)


def confidence(z: float) -> float:
    """Cantelli's bound on P(no chance event), which holds for any distribution: z²/(1 + z²)."""
    return z * z / (1.0 + z * z) if z > 0 else 0.0


def fresh(raised: dict[str, int], alarms: tuple[Alarm, ...]) -> tuple[dict, tuple[Alarm, ...]]:
    """Drops alarms told lately; returns when each subject was last told, and what is left."""
    left = []
    for alarm in alarms:
        subject = ("domain", "layer", "language", "subject")
        key = "/".join(
            [alarm.kind, *(str(alarm.evidence[s]) for s in subject if s in alarm.evidence)]
        )
        if alarm.step - raised.get(key, -(10**9)) >= QUIET.get(alarm.kind, QUIET_STEPS):
            raised = raised | {key: alarm.step}
            left.append(alarm)
    return raised, tuple(left)
