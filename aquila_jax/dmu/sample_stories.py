"""Simple stories, sentence by sentence in English and Chinese, with one thread from start to end."""

import random
import re

from aquila_jax.dmu.sample_facts import FACTS, Pair

SLOTS = {
    "time": (
        ("Once upon a time", "从前"), ("Long ago", "很久以前"), ("Last year", "去年"),
        ("One spring", "有一年春天"), ("One winter", "有一年冬天"), ("In the old days", "古时候"),
    ),
    "place": (
        ("river", "河"), ("forest", "森林"), ("mountain", "山"), ("lake", "湖"),
        ("village", "村庄"), ("bridge", "桥"), ("farm", "农场"), ("temple", "寺庙"),
    ),
    "beast": (
        ("cat", "猫"), ("dog", "狗"), ("rabbit", "兔子"), ("fox", "狐狸"), ("duck", "鸭子"),
        ("bear", "熊"), ("mouse", "老鼠"), ("tiger", "老虎"), ("sheep", "羊"), ("monkey", "猴子"),
    ),
    "name": (
        ("Tom", "汤姆"), ("Lily", "莉莉"), ("Ben", "本本"), ("Anna", "安娜"), ("Lucy", "露西"),
        ("Jack", "杰克"), ("Mia", "米娅"), ("Max", "马克斯"), ("Amy", "艾米"), ("Sam", "山姆"),
        ("Li Ming", "李明"), ("Wang Fang", "王芳"), ("Xiao Hua", "小华"), ("Mei", "小梅"),
    ),
    "color": (
        ("red", "红色"), ("blue", "蓝色"), ("green", "绿色"), ("yellow", "黄色"),
        ("white", "白色"), ("black", "黑色"), ("purple", "紫色"), ("grey", "灰色"),
    ),
    "thing": (
        ("ball", "球"), ("doll", "娃娃"), ("box", "盒子"), ("bell", "铃铛"), ("basket", "篮子"),
        ("pillow", "枕头"), ("jar", "罐子"), ("vase", "花瓶"), ("lantern", "灯笼"), ("cup", "杯子"),
    ),
    "food": (
        ("cake", "蛋糕"), ("pear", "梨"), ("pumpkin", "南瓜"), ("pancake", "煎饼"),
        ("bun", "包子"), ("lemon", "柠檬"), ("melon", "甜瓜"), ("dumpling", "饺子"),
    ),
    "weather": (
        ("rainy", "下雨"), ("sunny", "晴朗"), ("windy", "刮风"), ("snowy", "下雪"),
        ("cold", "寒冷"), ("warm", "暖和"), ("foggy", "有雾"),
    ),
    "spot": (
        ("under the bed", "床底下"), ("behind the door", "门后面"), ("on the roof", "屋顶上"),
        ("beside the well", "井边"), ("in the garden", "花园里"), ("near the gate", "大门口"),
    ),
}  # fmt: skip

# Each story is a row of scenes, each scene a few ways to tell it.
HOME = (
    (
        "{time}, a {beast} named {name} lived near the {place}.",
        "{time}，{place}旁边住着一只名叫{name}的{beast}。",
    ),
    (
        "{time}, there was a little {beast}. Its name was {name}, and it lived by the {place}.",
        "{time}，有一只小{beast}。它的名字叫{name}，住在{place}边。",
    ),
    (
        "{name} was a young {beast} who had a house close to the {place}.",
        "{name}是一只年轻的{beast}，家在{place}附近。",
    ),
)
THANKS = (
    (
        "{name} thanked {friend}, and from that day they were friends.",
        "{name}谢过{friend}，从那天起它们成了朋友。",
    ),
    ('"Thank you, {friend}!" said {name} with a smile.', "{name}笑着说：“谢谢你，{friend}！”"),
    ("{name} was happy again and gave {friend} a hug.", "{name}又高兴起来，抱了抱{friend}。"),
)
STORIES = (
    (
        HOME,
        (("{name} had a {color} {thing} and loved it.", "{name}有一个{color}的{thing}，非常喜欢它。"),
         ("On its birthday {name} got a {color} {thing}.", "生日那天，{name}得到了一个{color}的{thing}。")),
        (("One {weather} day the {thing} was gone.", "在一个{weather}的日子，{thing}不见了。"),
         ("But on a {weather} morning {name} could not find the {thing}.", "可是在一个{weather}的早晨，{name}找不到{thing}了。")),
        (("{name} asked {friend}, \"Have you seen my {color} {thing}?\"", "{name}问{friend}：“你看见我{color}的{thing}了吗？”"),
         ("{name} cried, and {friend} came to help.", "{name}哭了，{friend}来帮忙。")),
        (("They looked everywhere and found the {color} {thing} {spot}.", "它们到处找，在{spot}找到了{color}的{thing}。"),
         ("{friend} looked {spot}, and there was the {color} {thing}.", "{friend}看了看{spot}，{color}的{thing}就在那里。")),
        THANKS,
    ),
    (
        HOME,
        (("One {weather} day {name} had only one {food}.", "在一个{weather}的日子，{name}只剩一个{food}。"),
         ("{name} found a big {food} on a {weather} day.", "在一个{weather}的日子，{name}找到一个大{food}。")),
        (("{friend} came by and was very hungry.", "{friend}路过，肚子很饿。"),
         ("Then {friend} knocked at the door. \"I have eaten nothing today.\"", "这时{friend}来敲门：“我今天什么都没吃。”")),
        (("{name} cut the {food} in two and gave {friend} the bigger half.", "{name}把{food}切成两半，把大的一半给了{friend}。"),
         ("\"Let us share my {food},\" said {name}.", "{name}说：“我们一起吃我的{food}吧。”")),
        (("The next day {friend} brought a whole basket of {food}s.", "第二天，{friend}带来了满满一篮{food}。"),
         ("Later {friend} came back with more {food}s than they could eat.", "后来{friend}带回来的{food}多得吃不完。")),
        THANKS,
    ),
    (
        HOME,
        (("{name} wanted to get past the {place}, but it was afraid.", "{name}想到{place}的另一边去，可是害怕。"),
         ("Every day {name} looked at the far side of the {place}.", "{name}每天望着{place}的另一边。")),
        (("\"Try once more,\" said {friend}.", "{friend}说：“再试一次吧。”"),
         ("{friend} told {name} to go slowly, step by step.", "{friend}叫{name}慢慢来，一步一步走。")),
        (("On a {weather} day {name} tried and failed.", "在一个{weather}的日子，{name}试了，没有成功。"),
         ("It was a {weather} day, and the first try went wrong.", "那是一个{weather}的日子，第一次没有成功。")),
        (("{name} did not give up, and at last it worked.", "{name}没有放弃，最后成功了。"),
         ("The third time {name} was on the other side.", "第三次，{name}到了另一边。")),
        THANKS,
    ),
    (
        (("{name} and {friend} were planning a journey to {country}.", "{name}和{friend}计划去{country}旅行。"),
         ("{name} wrote a letter to {friend}: \"Come with me to {country}!\"", "{name}给{friend}写信：“和我一起去{country}吧！”")),
        (("On a {weather} day they arrived in {capital}, the capital of {country}.", "在一个{weather}的日子，他们到了{country}的首都{capital}。"),
         ("The train stopped in {capital}. \"So this is the capital of {country},\" said {friend}.", "火车停在{capital}。{friend}说：“原来这就是{country}的首都。”")),
        (("In a shop {name} bought a {color} {thing} and paid with the {currency}, the money of {country}.", "在商店里，{name}买了一个{color}的{thing}，用{country}的货币{currency}付了钱。"),
         ("{name} saw a {color} {thing} in a window and bought it.", "{name}在橱窗里看见一个{color}的{thing}，就买了下来。")),
        (("{friend} had learned some {language}, the main language of {country}, and talked to everyone.", "{friend}学过一点{country}的主要语言{language}，和大家聊天。"),
         ("In the evening they ate a {food} and wrote cards to their parents.", "晚上他们吃了{food}，给父母写了明信片。")),
        (("Back at home, the {color} {thing} stood {spot}.", "回家以后，{color}的{thing}就放在{spot}。"),
         ("\"Next year we will go again,\" said {name}.", "{name}说：“明年我们再去。”")),
    ),
)  # fmt: skip


def journeys() -> list[dict[str, Pair]]:
    """Of each country its name, capital, language and currency, for the story that travels."""
    kept = [fact for fact in FACTS if fact.relation in ("capital", "language", "currency")]
    countries = {fact.subject: {"country": fact.subject} for fact in kept}
    for fact in kept:
        countries[fact.subject][fact.relation] = fact.value
    return list(countries.values())


JOURNEYS = journeys()


def compose(draw: random.Random) -> list[Pair]:
    """One story as sentences in both languages."""
    slots = {slot: draw.choice(values) for slot, values in SLOTS.items()}
    slots["name"], slots["friend"] = draw.sample(SLOTS["name"], 2)
    slots |= draw.choice(JOURNEYS)
    sentences = []
    for scene in draw.choice(STORIES):
        pair = draw.choice(scene)
        english, chinese = (
            text.format(**{slot: value[language] for slot, value in slots.items()})
            for language, text in enumerate(pair)
        )
        english = re.sub(r"\ba (?=[aeiou])", "an ", english)
        sentences.append((english, chinese))
    return sentences
