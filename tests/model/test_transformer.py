import dataclasses
import functools
import itertools
import math

import jax
import numpy as np
import pytest
import torch
import transformers
from flax import nnx

from aquila_jax.core import sharding
from aquila_jax.model.config import ModelConfig
from aquila_jax.model.loss import cross_entropy
from aquila_jax.model.transformer import Transformer

CFG = ModelConfig(
    vocab=100,
    layers=2,
    embed=32,
    ffn=48,
    heads=4,
    kv_heads=2,
    head_dim=8,
    init_std=0.2,
    norm_init=0.3,
    qkv_bias=True,
    compute_dtype="float32",
    remat="none",
    loss_chunks=3,
)
B, L = 8, 16
FIRST, SECOND = 9, 5  # documents of the packed row, which ends in two tokens of padding
PACKED, ALONE_FIRST, ALONE_SECOND, WHOLE = range(4)  # rows of the batch; the rest is as WHOLE


def make_batch():
    """Tokens all different in each row, so that the embedding's gradient tells positions."""
    random = np.random.default_rng(0)
    tokens_BL = np.stack([random.permutation(CFG.vocab)[:L] for _ in range(B)]).astype(np.int32)
    targets_BL = random.integers(0, CFG.vocab, (B, L)).astype(np.int32)
    positions_BL = np.tile(np.arange(L, dtype=np.int32), (B, 1))
    segment_ids_BL = np.ones((B, L), np.int32)
    second = slice(FIRST, FIRST + SECOND)
    for x_BL in (tokens_BL, targets_BL):
        x_BL[ALONE_FIRST, :FIRST] = x_BL[PACKED, :FIRST]
        x_BL[ALONE_SECOND, :SECOND] = x_BL[PACKED, second]
    positions_BL[PACKED, second] = np.arange(SECOND)
    segment_ids_BL[PACKED, second] = 2
    for row, length in ((PACKED, FIRST + SECOND), (ALONE_FIRST, FIRST), (ALONE_SECOND, SECOND)):
        segment_ids_BL[row, length:] = positions_BL[row, length:] = 0
    return tokens_BL, positions_BL, segment_ids_BL, targets_BL


def objective(
    model, tokens_BL, positions_BL, segment_ids_BL, targets_BL, weights_BL, *, statistics
):
    hidden_BLD, layers = model(tokens_BL, positions_BL, segment_ids_BL, statistics=statistics)
    loss = cross_entropy(
        hidden_BLD,
        model.unembed[...],
        targets_BL,
        weights_BL,
        vocab=model.cfg.vocab,
        chunks=model.cfg.loss_chunks,
    )
    return loss.objective, (loss, layers, hidden_BLD)


@functools.partial(jax.jit, static_argnums=0)
def init(cfg: ModelConfig) -> Transformer:
    """A model whose norms and biases differ from element to element, too."""
    model = Transformer(cfg, nnx.Rngs(0))
    leaves, structure = jax.tree.flatten(model)
    keys = jax.random.split(jax.random.key(1), len(leaves))

    def stir(leaf, key):
        layout = jax.typeof(leaf).sharding.spec
        return leaf + 0.1 * jax.random.normal(key, leaf.shape, out_sharding=layout)

    return jax.tree.unflatten(structure, map(stir, leaves, keys))


@functools.partial(jax.jit, static_argnames="statistics")
def step(model, batch, weights_BL, *, statistics="light"):
    """`((objective, (Loss, Statistics, hidden)), gradients)`: compiled once for each mesh."""
    gradients = jax.value_and_grad(objective, has_aux=True)
    return gradients(model, *batch, weights_BL, statistics=statistics)


def put(*arrays_BL):
    """Laid out on the mesh in force, as the data stream delivers."""
    layout = jax.NamedSharding(jax.sharding.get_mesh(), sharding.spec("BL"))
    return tuple(jax.device_put(x_BL, layout) for x_BL in arrays_BL)


def weights(*places):
    """1 at each (row, slice of positions), else 0."""
    weights_BL = np.zeros((B, L), np.float32)
    for place in places:
        weights_BL[place] = 1
    return put(weights_BL)[0]


@pytest.fixture(scope="module")
def one_device():
    with jax.set_mesh(sharding.make_mesh({}, devices=jax.devices()[:1])) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def model(one_device):
    return init(CFG)


@pytest.fixture(scope="module")
def batch(one_device):
    return put(*make_batch())


# ---- against transformers' Llama --------------------------------------------------------


def llama_weights(model) -> dict[str, np.ndarray]:
    """The model's (or a gradient's) arrays under Llama's names, as Llama lays them out."""
    flat = {
        "model.embed_tokens": model.embed[: CFG.vocab],
        "model.norm": model.final_norm[...],
        "lm_head": model.unembed[: CFG.vocab],
    }
    attention, mlp = model.blocks.attention, model.blocks.mlp
    for layer in range(CFG.layers):
        prefix = f"model.layers.{layer}."
        for name, part in (("q", "query"), ("k", "key"), ("v", "value")):
            matrix = np.asarray(getattr(attention, part)[layer]).reshape(CFG.embed, -1)
            flat[f"{prefix}self_attn.{name}_proj"] = matrix.T
            bias = np.asarray(getattr(attention, f"{part}_bias")[layer])
            flat[f"{prefix}self_attn.{name}_proj.bias"] = bias.reshape(-1)
        flat[f"{prefix}self_attn.o_proj"] = (
            np.asarray(attention.out[layer]).reshape(-1, CFG.embed).T
        )
        for name in ("gate", "up", "down"):
            flat[f"{prefix}mlp.{name}_proj"] = np.asarray(getattr(mlp, name)[layer]).T
        flat[f"{prefix}input_layernorm"] = model.blocks.attention_norm[layer]
        flat[f"{prefix}post_attention_layernorm"] = model.blocks.mlp_norm[layer]
    named = {k if k.endswith("bias") else f"{k}.weight": np.asarray(v) for k, v in flat.items()}
    return named


@pytest.fixture(scope="module")
def llama(model):
    reference = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=CFG.vocab,
            hidden_size=CFG.embed,
            intermediate_size=CFG.ffn,
            num_hidden_layers=CFG.layers,
            num_attention_heads=CFG.heads,
            num_key_value_heads=CFG.kv_heads,
            head_dim=CFG.head_dim,
            rms_norm_eps=CFG.norm_eps,
            attention_bias=True,
            tie_word_embeddings=False,
            attn_implementation="eager",
        )
    )
    state = {name: torch.tensor(array) for name, array in llama_weights(model).items()}
    extra = {
        name: torch.zeros(CFG.embed) for name in reference.state_dict() if "o_proj.bias" in name
    }
    reference.load_state_dict(state | extra, strict=True)
    return reference


def llama_nats(llama, tokens, targets):
    """Logits of one document alone, and the sum of nats of its targets."""
    logits = llama(torch.tensor(tokens[None], dtype=torch.long)).logits[0]
    wanted = torch.tensor(targets, dtype=torch.long)
    return logits, torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")


DOCUMENTS = {
    "unpacked": [(WHOLE, slice(0, L))],
    "packed": [(PACKED, slice(0, FIRST)), (PACKED, slice(FIRST, FIRST + SECOND))],
}


@pytest.mark.parametrize("case", DOCUMENTS)
def test_logits_and_gradients_equal_llamas(model, batch, llama, case):
    places = DOCUMENTS[case]
    (total, (_, _, hidden_BLD)), gradients = step(
        model, batch, weights(*places), statistics="heavy"
    )
    tokens_BL, _, _, targets_BL = make_batch()
    llama.zero_grad()
    expected_total = 0.0
    for place in places:
        expected_logits, nats = llama_nats(llama, tokens_BL[place], targets_BL[place])
        logits = np.asarray(hidden_BLD)[place] @ np.asarray(model.unembed)[: CFG.vocab].T
        np.testing.assert_allclose(logits, expected_logits.detach(), rtol=1e-4, atol=1e-4)
        nats.backward()
        expected_total += nats.item()
    np.testing.assert_allclose(total, expected_total, rtol=1e-5)
    parameters = dict(llama.named_parameters())
    for name, gradient in llama_weights(gradients).items():
        expected = parameters[name].grad.numpy()
        np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-4, err_msg=name)


# ---- properties ---------------------------------------------------------------------------


def test_a_packed_row_equals_its_documents_alone(model, batch):
    _, (loss, _, hidden_BLD) = step(model, batch, weights(), statistics="heavy")[0]
    for row, first, length in ((ALONE_FIRST, 0, FIRST), (ALONE_SECOND, FIRST, SECOND)):
        packed = slice(first, first + length)
        np.testing.assert_allclose(
            hidden_BLD[PACKED, packed], hidden_BLD[row, :length], rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(
            loss.nats_BL[PACKED, packed], loss.nats_BL[row, :length], rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize(
    ("row", "position", "seen"),
    [
        (WHOLE, 6, range(0, 7)),
        (PACKED, FIRST - 1, range(0, FIRST)),
        (PACKED, FIRST, range(FIRST, FIRST + 1)),
        (PACKED, FIRST + 3, range(FIRST, FIRST + 4)),
    ],
)
def test_a_target_depends_on_its_own_document_up_to_itself(model, batch, row, position, seen):
    _, gradients = step(model, batch, weights((row, position)), statistics="heavy")
    tokens_BL = make_batch()[0]
    touched = np.flatnonzero(np.any(np.asarray(gradients.embed) != 0, axis=1))
    assert set(touched) == set(tokens_BL[row, list(seen)])


def test_padding_changes_nothing_but_itself(model, batch):
    """Garbage in padded places leaves every gradient of the real ones as it was."""
    tokens_BL, *rest = make_batch()
    tokens_BL[PACKED, FIRST + SECOND :] = 7
    place = weights((PACKED, slice(0, FIRST + SECOND)))
    expected = step(model, batch, place, statistics="heavy")[1]
    found = step(model, put(tokens_BL, *rest), place, statistics="heavy")[1]
    jax.tree.map(np.testing.assert_array_equal, expected, found)


def test_heavy_statistics_tell_size_and_largest_score_of_each_layer(model, batch):
    _, (_, layers, hidden_BLD) = step(model, batch, weights(), statistics="heavy")[0]
    assert layers.activation_rms_N.shape == layers.attention_logit_max_N.shape == (CFG.layers,)
    assert np.all(np.asarray(layers.attention_logit_max_N) > 0)
    normed = np.asarray(hidden_BLD) / np.asarray(model.final_norm)
    np.testing.assert_allclose(np.sqrt(np.mean(normed**2)), 1, rtol=1e-3)


def on_mesh(shape: dict[str, int], model, attention: str = "xla"):
    """Objective, gradients and layouts, for one step on as many devices as `shape` has."""
    devices = jax.devices()[: math.prod(shape.values())]
    mesh = sharding.make_mesh(shape, devices=devices)
    with jax.set_mesh(mesh):
        cfg = dataclasses.replace(CFG, attention=attention)
        like = sharding.abstract(jax.eval_shape(lambda: Transformer(cfg, nnx.Rngs(0))), mesh)
        layouts = jax.tree.map(lambda leaf: leaf.sharding, like)
        model = jax.tree.unflatten(jax.tree.structure(like), jax.tree.leaves(model))
        model = jax.device_put(model, layouts)
        (total, _), gradients = step(model, put(*make_batch()), weights((slice(None), slice(0, L))))
    return np.asarray(total), gradients


@pytest.fixture(scope="module")
def alone(model):
    """The model as numpy, and what it computes on one device."""
    model = jax.device_get(model)
    return model, *on_mesh({}, model)


SIZES = {"data": 2, "fsdp": 2, "tensor": 2, "context": 4}
PAIRS = [{a: SIZES[a], b: SIZES[b]} for a, b in itertools.combinations(SIZES, 2)]
MESHES = [({axis: size}, "xla") for axis, size in SIZES.items()] + [(p, "xla") for p in PAIRS]
MESHES += [({"context": 4}, "ring"), ({"tensor": 2, "context": 4}, "ring")]


@pytest.mark.parametrize(
    ("shape", "attention"), MESHES, ids=[f"{a}-{'-'.join(shape)}" for shape, a in MESHES]
)
def test_the_mesh_changes_neither_loss_nor_gradients(alone, shape, attention):
    """Every axis by itself and every two, on a batch with a packed row."""
    model, total_alone, gradients_alone = alone
    total, gradients = on_mesh(shape, model, attention)
    np.testing.assert_allclose(total, total_alone, rtol=1e-5)
    leaves, expected = jax.tree.leaves(gradients), jax.tree.leaves(gradients_alone)
    for found, wanted in zip(leaves, expected, strict=True):
        np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-3, atol=1e-4)
    assert gradients.blocks.mlp.up[...].sharding.spec == jax.P(None, "fsdp", "tensor")
    assert gradients.unembed[...].sharding.spec == jax.P("tensor", "fsdp")
