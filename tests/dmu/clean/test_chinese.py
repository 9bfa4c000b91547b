import math

import pytest

from aquila_jax.dmu.clean import chinese
from aquila_jax.dmu.clean.settings import Chinese

GOOD = (
    "委员会在星期二开会，讨论了去年发生的几件大事，也听取了各地代表的意见。\n"
    "有人认为应当先修好城外的道路，再考虑建造新的学校；另一些人不同意这种看法。\n"
    "会议持续到傍晚才结束，主持人说下个月会把决定写成文件，寄给没有到场的每一位成员。\n"
    "散会以后，老人们留在院子里喝茶，谈起三十年前那场洪水，河边的房屋几乎全被冲走了。\n"
    "年轻人听得入神，问他们当时怎样救出牲口和粮食，又怎样在山坡上熬过了整个寒冷的冬天。\n"
    "最后大家约定，明年春天一起去看看那片已经长满果树的旧河滩，并且种下一些新的树苗。\n"
)


def test_measures_in_closed_form():
    assert chinese.mean_line("ab\n\nabcd\n") == 3
    assert chinese.han_share("天地 ab") == 0.5
    assert chinese.repeated_ngrams("abcabc", 3) == 0.5
    assert chinese.bracket_share("【a】b") == 0.5
    assert chinese.digit_share("1a2b") == 0.5
    assert chinese.teaser_lines("正文\n展开>>\n查看更多…") == pytest.approx(2 / 3)
    assert chinese.unique_characters("aabb") == 0.5
    assert chinese.entropy("abcd") == pytest.approx(math.log(4))
    assert chinese.toxic_per_line("坏坏\n好", ("坏",)) == 1.0


def test_good_text_breaks_no_rule():
    assert chinese.broken_rule(GOOD, Chinese()) is None


@pytest.mark.parametrize(
    "text, rule",
    [
        (GOOD[:60], "chinese_length"),
        ("\n".join(GOOD.replace("\n", "")[i : i + 6] for i in range(0, 210, 6)), "chinese_short"),
        ("english words " * 40 + "天地", "chinese_few_characters"),
        (GOOD.replace("，", "【】" * 3), "chinese_brackets"),
        (GOOD.replace("，", "1234567890" * 3), "chinese_digits"),
        (GOOD.replace("。\n", "……查看更多\n"), "chinese_teasers"),
        ("".join(c for c in GOOD if c not in "，。；"), "chinese_no_punctuation"),
        ("好好好好好好好好好好，" * 30, "chinese_monotonous"),
        (GOOD + GOOD, "chinese_repeated_13_grams"),
    ],
)
def test_each_rule_has_its_text(text, rule):
    assert chinese.broken_rule(text, Chinese()).startswith(rule)


def test_toxic_words_are_the_users_list():
    assert chinese.broken_rule(GOOD, Chinese(toxic_words=("委员", "的"))) == "chinese_toxic"
