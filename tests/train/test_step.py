import dataclasses

import jax
import numpy as np
import optax
import pytest

from aquila_jax.core import sharding
from aquila_jax.core.signals import to_host
from aquila_jax.train import layers
from aquila_jax.train import step as step_module
from aquila_jax.train.state import abstract_state, init_state
from aquila_jax.train.step import train_step
from tests.train.conftest import make_batch, neutral, on_device


def run(program, mesh, *, steps=3, batches=None, control=None, statistics="light"):
    """Model, optimiser state and signals after a few steps from the same start."""
    state = init_state(program, jax.random.key(0))
    told = []
    for step in range(steps):
        batch = batches[step] if batches else make_batch(step)
        control_here = neutral(program) if control is None else control(step)
        state, signals = train_step(
            program, state, on_device(batch, mesh), control_here, statistics=statistics
        )
        told.append(to_host(signals))
    return jax.device_get(state), told


def test_loss_falls_and_signals_add_up(program, mesh):
    _, told = run(program, mesh, steps=30)
    assert told[-1].loss < 0.7 * told[0].loss
    first = told[0]
    assert first.domain_tokens_M.sum() == make_batch(0).loss_mask.sum()
    np.testing.assert_allclose(
        first.domain_nats_M.sum() / first.domain_tokens_M.sum(), first.loss, rtol=1e-5
    )
    np.testing.assert_allclose(first.micro_grad_square, first.grad_norm**2, rtol=1e-5)
    assert first.update_rms_N.shape == (program.model.layers,)


def test_the_global_norm_leaves_nothing_out(program, mesh):
    """It is put together from the layers' and the rest; a new part of the model must be in it."""
    model = init_state(program, jax.random.key(0)).model
    found = layers.global_norm(layers.squares(model))
    np.testing.assert_allclose(found, optax.tree.norm(model), rtol=1e-6)


def test_ratios_and_layers_are_those_of_numpy(program, mesh):
    """Root mean squares of each layer, and the median ratio over all matrices, by hand."""
    one, two = (init_state(program, jax.random.key(seed)).model for seed in (0, 1))
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(one.blocks)]
    flat = np.concatenate([leaf.reshape(program.model.layers, -1) for leaf in leaves], axis=1)
    found = layers.rms(layers.squares(one), one.blocks)
    np.testing.assert_allclose(found, np.sqrt((flat**2).mean(1)), rtol=1e-5)

    def sizes(model):
        blocks = [np.asarray(x) for x in jax.tree.leaves(model.blocks) if x.ndim > 2]
        rest = [np.asarray(x[...])[None] for x in (model.embed, model.unembed)]
        return np.concatenate([(x**2).reshape(len(x), -1).sum(1) for x in blocks + rest])

    found = layers.median_ratio(layers.squares(one), layers.squares(two))
    expected = np.sqrt(np.median(sizes(one) / sizes(two)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_what_is_told_of_the_update_is_what_the_weights_did(program, mesh):
    """By numpy from the weights before and after a step; nothing where it was skipped."""

    def layers_of(state):
        leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(state.model.blocks)]
        return np.concatenate([x.reshape(program.model.layers, -1) for x in leaves], axis=1)

    before, _ = run(program, mesh, steps=2)
    after, told = run(program, mesh, steps=3)
    size = lambda x: np.sqrt((x**2).mean(1))  # noqa: E731
    moved = size(layers_of(after) - layers_of(before))
    np.testing.assert_allclose(told[-1].update_rms_N, moved, rtol=1e-4)
    np.testing.assert_allclose(told[-1].weight_rms_N, size(layers_of(before)), rtol=1e-5)
    control = lambda step: neutral(program, **({"loss_limit": 0.1} if step == 2 else {}))  # noqa: E731
    _, told = run(program, mesh, steps=3, control=control)
    assert told[-1].skipped and not told[-1].update_rms_N.any() and told[-1].update_ratio == 0
    np.testing.assert_allclose(told[-1].weight_rms_N, size(layers_of(before)), rtol=1e-5)


def test_a_neutral_control_is_plain_optax_adamw(program, mesh):
    """An independent reference: optax's own adamw, its schedule and its clipping."""
    ours, told = run(program, mesh, steps=4)
    plan = program.schedule
    rates = [signals.learning_rate for signals in told]
    np.testing.assert_allclose(
        rates, [plan.peak * min(1, (8 * i + 1) / 16) for i in range(4)], rtol=1e-5
    )

    reference = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(lambda count: np.asarray(rates)[count], b2=0.95, weight_decay=0.1,
                    mask=lambda p: jax.tree.map(lambda x: x.ndim > 1 and x.shape != (2, 32), p)),
    )  # fmt: skip
    model = init_state(program, jax.random.key(0)).model
    objective = lambda m, b, n: step_module.loss(  # noqa: E731
        m, b, n, program=program, z_loss=0.0, statistics="light"
    )
    opt_state = reference.init(model)
    for step in range(4):
        batch = on_device(make_batch(step), mesh)
        grads, *_ = jax.jit(step_module.gradients, static_argnums=0)(objective, model, batch)
        updates, opt_state = reference.update(grads, opt_state, model)
        model = optax.apply_updates(model, updates)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6),
        jax.tree.leaves(ours.model), jax.tree.leaves(jax.device_get(model)),
    )  # fmt: skip


BAD = {
    "loss above its limit": dict(loss_limit=1.0),
    "gradient above its limit": dict(grad_norm_limit=1e-3),
    "rate that is not finite": dict(decay_start=np.inf, decay_end=np.inf),
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD)
def test_a_skipped_step_leaves_everything_bit_equal(program, mesh, changes):
    before, _ = run(program, mesh, steps=2)
    control = lambda step: neutral(program, **(changes if step == 2 else {}))  # noqa: E731
    after, told = run(program, mesh, steps=3, control=control)
    assert [signals.skipped for signals in told] == [0, 0, 1]
    jax.tree.map(np.testing.assert_array_equal, before.model, after.model)
    jax.tree.map(np.testing.assert_array_equal, before.opt_state, after.opt_state)
    assert (after.step, after.sequences) == (3, 24)
    assert told[2].update_ratio == 0


def test_a_non_finite_step_is_skipped_without_any_limit(program, mesh):
    poisoned = make_batch(2)
    poisoned = poisoned._replace(loss_mask=poisoned.loss_mask * np.float32(np.nan))
    batches = [make_batch(0), make_batch(1), poisoned, make_batch(3)]
    after, told = run(program, mesh, steps=4, batches=batches)
    clean, _ = run(program, mesh, steps=2)
    assert [signals.skipped for signals in told] == [0, 0, 1, 0]
    assert np.isfinite(told[3].loss) and np.isfinite(jax.tree.leaves(after.model)[0]).all()
    skipped, _ = run(program, mesh, steps=3, batches=batches)
    jax.tree.map(np.testing.assert_array_equal, clean.model, skipped.model)


def test_a_step_of_infinite_loss_is_skipped_though_its_gradient_is_finite(program, mesh):
    """A target among the rows that only pad the vocabulary: its probability is nought."""
    model = dataclasses.replace(program.model, vocab=program.model.vocab - 1)
    program = dataclasses.replace(program, model=model)
    assert model.vocab < model.padded_vocab
    batch = make_batch(0)
    odd = batch.targets.copy()
    odd[..., 0] = model.vocab
    after, told = run(program, mesh, steps=1, batches=[batch._replace(targets=odd)])
    assert np.isinf(told[0].loss) and np.isfinite(told[0].grad_norm) and told[0].skipped == 1
    before = init_state(program, jax.random.key(0)).model
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(before), after.model)


def test_a_changed_control_does_not_recompile(program, mesh):
    run(program, mesh, steps=1)
    before = train_step._cache_size()
    rng = np.random.default_rng(0)
    control = lambda _: neutral(program)._replace(  # noqa: E731
        lr_scale=np.float32(rng.random()), clip_norm=np.float32(rng.random()),
        decay_start=np.float32(rng.random() * 100), weight_decay_scale=np.float32(rng.random()),
        z_loss=np.float32(rng.random()), loss_limit=np.float32(5 + rng.random()),
    )  # fmt: skip
    run(program, mesh, steps=4, control=control)
    assert train_step._cache_size() == before


def test_learning_rate_zero_leaves_the_model_bit_equal(program, mesh):
    start, _ = run(program, mesh, steps=0)
    after, told = run(program, mesh, steps=2, control=lambda _: neutral(program, lr_scale=0.0))
    jax.tree.map(np.testing.assert_array_equal, start.model, after.model)
    assert told[1].skipped == 0


def test_accumulation_does_not_change_the_update(program, mesh):
    whole = [make_batch(step, rows=8) for step in range(3)]
    whole[1].loss_mask[0, :3, 4:] = 0  # micro-batches with different numbers of targets
    parts = [jax.tree.map(lambda x: x.reshape(4, 2, -1), batch) for batch in whole]
    one, told_one = run(program, mesh, batches=whole)
    four, told_four = run(program, mesh, batches=parts)
    for a, b in zip(told_one, told_four, strict=True):
        np.testing.assert_allclose(a.loss, b.loss, rtol=1e-5)
        np.testing.assert_allclose(a.grad_norm, b.grad_norm, rtol=1e-4)
        assert b.micro_grad_square > b.grad_norm**2
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        jax.tree.leaves(one.model), jax.tree.leaves(four.model),
    )  # fmt: skip


def test_heavy_signals_change_nothing_but_add(program, mesh):
    light, told_light = run(program, mesh, steps=2)
    heavy, told_heavy = run(program, mesh, steps=2, statistics="heavy")
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        jax.tree.leaves(light.model), jax.tree.leaves(heavy.model),
    )  # fmt: skip
    assert told_light[0].weight_std_PN is None
    assert told_heavy[0].weight_std_PN.shape == (9, 2)
    np.testing.assert_allclose(
        told_heavy[1].weight_std_PN[0],
        np.std(heavy.model.blocks.attention.query[...], axis=(1, 2, 3)),
        rtol=1e-4,
    )
    assert np.isfinite(told_heavy[0].attention_logit_max_N).all()


def test_the_mesh_does_not_change_losses(program):
    losses, shape = [], {"fsdp": 2, "tensor": 2, "context": 2}
    for mesh in (sharding.make_mesh({}, devices=jax.devices()[:1]), sharding.make_mesh(shape)):
        with jax.set_mesh(mesh):
            _, told = run(program, mesh, steps=4)
            like = abstract_state(program, mesh)
            moments = jax.tree.leaves(like.opt_state)
            weights = {leaf.shape: leaf.sharding for leaf in jax.tree.leaves(like.model)}
            assert all(leaf.sharding == weights[leaf.shape] for leaf in moments if leaf.ndim > 1)
        losses.append([signals.loss for signals in told])
    np.testing.assert_allclose(*losses, rtol=1e-4)


def with_muon(program):
    return dataclasses.replace(
        program, optimizer=dataclasses.replace(program.optimizer, name="muon")
    )


def test_muon_learns(program, mesh):
    _, told = run(with_muon(program), mesh, steps=30)
    assert told[-1].loss < 0.7 * told[0].loss


def test_muon_moves_hidden_matrices_alike_in_all_directions_and_leaves_embeddings_to_adam(
    program, mesh
):
    muon, undecayed = with_muon(program), lambda _: neutral(program, weight_decay_scale=0.0)
    before, after = (run(muon, mesh, steps=n, control=undecayed)[0].model for n in (0, 1))

    def evenness(of):
        """The smallest singular value of each matrix's step over its largest."""
        values = np.linalg.svd(of(after)[...] - of(before)[...], compute_uv=False)
        return values.min(-1) / values.max(-1)

    for name in ("gate", "up", "down"):
        assert (evenness(lambda model: getattr(model.blocks.mlp, name)) > 0.5).all()
    assert evenness(lambda model: model.embed) < 0.25
