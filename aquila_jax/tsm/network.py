"""The monitor's eyes on the network itself: logits, updates, layers, and the noise of gradients."""

from aquila_jax.tsm import drift, early_warning, layers, noise


def observe(settings, state, signals, *, context, usable):
    """The next state of the monitor, and what is to be told; of a usable step more than logits."""
    step, warning, raised = context.step, state.warning, ()
    if signals.attention_logit_max_N is not None:
        warning, raised = early_warning.observe_attention(
            settings.warning, warning, step=step, logit_max_N=signals.attention_logit_max_N
        )
    if not usable:
        return state._replace(warning=warning), raised
    warning, grown = early_warning.observe_log_z(
        settings.warning, warning, step=step, log_z_squared=float(signals.log_z_squared)
    )
    state, high = _updates(settings, state._replace(warning=warning), signals, context)
    layer, odd = layers.observe(
        settings.layer,
        state.layer,
        step=step,
        grad_norm_N=signals.grad_norm_N,
        update_rms_N=signals.update_rms_N,
        weight_rms_N=signals.weight_rms_N,
        learning_rate=float(signals.learning_rate),
    )
    measured = noise.observe(
        settings.noise,
        state.noise,
        micro_grad_square=float(signals.micro_grad_square),
        grad_norm=float(signals.grad_norm),
        batch=context.batch,
        micro_batches=context.micro_batches,
    )
    return state._replace(layer=layer, noise=measured), raised + grown + high + odd


def _updates(settings, state, signals, context):
    step, ratio = context.step, float(signals.update_ratio)
    warning, raised = early_warning.observe_ratio(
        settings.warning, state.warning, step=step, ratio=ratio, progress=context.progress
    )
    state = state._replace(warning=warning)
    drifting, grown = drift.observe(
        settings.updates,
        state.updates,
        step=step,
        ratio=ratio,
        learning_rate=context.learning_rate,
        batch=context.batch,
    )
    return state._replace(updates=drifting), raised + grown
