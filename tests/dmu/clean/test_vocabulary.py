import numpy as np

from aquila_jax.dmu.clean import vocabulary


def table(*texts):
    documents = np.zeros(vocabulary.SLOTS, np.uint8)
    for text in texts:
        vocabulary.count(documents, text)
    return documents


def test_counts_documents_not_words():
    documents = table("apple apple pear", "Apple plum")
    (apple,) = set(vocabulary.slots("apple").tolist())
    assert documents[apple] == 2 and documents.sum() == 4


def test_novelty_leaves_the_text_itself_out():
    documents = table("apple pear plum", "apple pear")
    assert vocabulary.novelty(documents, "apple pear plum", own=1) == (1 / 3, 3)
    assert vocabulary.novelty(documents, "apple pear figs", own=0) == (1 / 3, 3)
    assert vocabulary.novelty(documents, "a b 1", own=0) == (0.0, 0)


def test_counts_stop_at_255():
    documents = table(*["apple"] * 300)
    assert documents.max() == 255
