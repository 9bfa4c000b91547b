"""The ways to say a fact, to say more of the same subject, and to ask for it, English beside Chinese.

`{s}` is the subject and `{v}` the value; each pair is a translation.
"""

import re

STATEMENTS = {
    "capital": (
        ("The capital of {s} is {v}.", "{s}的首都是{v}。"),
        ("{v} is the capital city of {s}.", "{v}是{s}的首都。"),
        ("The name of the capital of {s} is {v}.", "{s}首都的名字是{v}。"),
        (
            "Anyone who wants to see the capital of {s} must go to {v}.",
            "想看{s}的首都，就要去{v}。",
        ),
        ("In {s}, the capital city is called {v}.", "在{s}，首都叫做{v}。"),
    ),
    "continent": (
        ("{s} is a country in {v}.", "{s}是{v}的一个国家。"),
        ("{s} lies in {v}.", "{s}位于{v}。"),
        ("{s} belongs to the continent of {v}.", "{s}属于{v}。"),
        ("On the map, {s} is found in {v}.", "在地图上，{s}在{v}。"),
    ),
    "language": (
        ("The main language of {s} is {v}.", "{s}的主要语言是{v}。"),
        ("{v} is widely spoken in {s}.", "{v}在{s}使用广泛。"),
        ("Travellers in {s} do well to know some {v}.", "去{s}旅行的人最好懂一点{v}。"),
        ("In {s}, the main language is {v}.", "在{s}，主要语言是{v}。"),
    ),
    "currency": (
        ("The currency of {s} is the {v}.", "{s}的货币是{v}。"),
        ("In {s}, people pay with the {v}.", "在{s}，人们用{v}付款。"),
        ("The money used in {s} is called the {v}.", "{s}使用的钱叫{v}。"),
        ("The official money of {s} is the {v}.", "{s}的法定货币是{v}。"),
    ),
    "symbol": (
        ("The chemical symbol of {s} is {v}.", "{s}的元素符号是{v}。"),
        ("Chemists write {s} as {v}.", "化学家把{s}写作{v}。"),
        ("{v} stands for {s}.", "{v}代表{s}。"),
        ("In the periodic table, {s} has the symbol {v}.", "在元素周期表中，{s}的符号是{v}。"),
    ),
    "number": (
        ("The atomic number of {s} is {v}.", "{s}的原子序数是{v}。"),
        ("An atom of {s} has a nucleus with {v} protons.", "{s}原子的原子核里的质子数是{v}。"),
        ("Element number {v} is {s}.", "第{v}号元素是{s}。"),
        ("{s} has the place with number {v} in the table.", "{s}在周期表中排在第{v}号。"),
    ),
    "state": (
        ("At room temperature, {s} is a {v}.", "在室温下，{s}是{v}。"),
        ("On a mild day, {s} is found as a {v}.", "在温和的天气里，{s}是{v}。"),
    ),
    "next_month": (
        ("After {s} comes {v}.", "{s}之后是{v}。"),
        ("When {s} ends, {v} begins.", "{s}结束，{v}就开始了。"),
        ("The month that follows {s} is {v}.", "{s}的下一个月是{v}。"),
    ),
    "month_days": (
        ("{s} has {v} days.", "{s}有{v}天。"),
        ("There are {v} days in {s}.", "{s}一共有{v}天。"),
    ),
    "weekday": (
        ("{s} is {v}.", "{s}是{v}。"),
        ("{s} it will be {v}.", "{s}就到了{v}。"),
        ("The day {s} is {v}.", "{s}，那一天是{v}。"),
    ),
    "unit": (
        ("{s} is {v}.", "{s}等于{v}。"),
        ("{s} is the same as {v}.", "{s}和{v}一样多。"),
        ("{v} make {s}.", "{v}就是{s}。"),
    ),
    "class": (
        ("The {s} is a kind of {v}.", "{s}是一种{v}。"),
        ("The {s} belongs to the group of the {v}.", "{s}属于{v}。"),
        ("Among the animals, the {s} counts as a {v}.", "在动物中，{s}算作{v}。"),
    ),
    "opposite": (
        ("The opposite of {s} is {v}.", "“{s}”的反义词是“{v}”。"),
        ("The contrary of {s} is {v}.", "“{s}”反过来就是“{v}”。"),
        ("{s} and {v} are opposites.", "“{s}”和“{v}”意思相反。"),
    ),
    "translation": (
        ("The Chinese word for {s} is {v}.", "“{s}”的英文是{v}。"),
        ("In Chinese, {s} is called {v}.", "英文把“{s}”叫做{v}。"),
        ("{s} is written {v} in Chinese.", "“{s}”用英文写作{v}。"),
    ),
}

# For relations of one subject, after it has been named.
FOLLOWING = {
    "capital": (("Its capital is {v}.", "它的首都是{v}。"), ("{v} is its capital.", "{v}是它的首都。")),
    "continent": (("It lies in {v}.", "它位于{v}。"), ("It is part of {v}.", "它是{v}的一部分。")),
    "language": (("The main language there is {v}.", "那里的主要语言是{v}。"), ("Many people there speak {v}.", "那里很多人说{v}。")),
    "currency": (("The money is the {v}.", "那里的钱是{v}。"), ("One pays there with the {v}.", "在那里用{v}付款。")),
    "symbol": (("Its symbol is {v}.", "它的符号是{v}。"), ("It is written {v}.", "它写作{v}。")),
    "number": (("Its atomic number is {v}.", "它的原子序数是{v}。"), ("It is element number {v}.", "它是第{v}号元素。")),
    "state": (("At room temperature it is a {v}.", "室温下它是{v}。"), ("In a warm room it is a {v}.", "在温暖的房间里它是{v}。")),
}  # fmt: skip

QUESTIONS = {
    "capital": (
        ("What is the capital of {s}?", "{s}的首都是哪里？"),
        ("Which city is the capital of {s}?", "哪座城市是{s}的首都？"),
        ("Which capital does {s} have?", "{s}以哪座城市为首都？"),
        ("The capital of {s} is which city?", "{s}的首都是哪座城市？"),
        ("What is the name of the capital city of {s}?", "{s}的首都叫什么名字？"),
    ),
    "continent": (
        ("On which continent is {s}?", "{s}在哪个洲？"),
        ("Where in the world does {s} lie?", "{s}位于世界的哪里？"),
        ("{s} belongs to which continent?", "{s}属于哪个大洲？"),
        ("What continent is {s} part of?", "{s}是哪个大洲的国家？"),
    ),
    "language": (
        ("What is the main language of {s}?", "{s}的主要语言是什么？"),
        ("Which language is mainly used in {s}?", "在{s}主要使用哪种语言？"),
        ("Which language is spoken most in {s}?", "{s}最通用的语言是什么？"),
        ("The main language of {s} is which?", "哪种语言是{s}的主要语言？"),
    ),
    "currency": (
        ("What is the currency of {s}?", "{s}的货币是什么？"),
        ("Which money is used in {s}?", "{s}使用什么钱？"),
        ("With what do people pay in {s}?", "在{s}人们用什么付款？"),
        ("What is the official money of {s}?", "{s}的法定货币是什么？"),
    ),
    "symbol": (
        ("What is the chemical symbol of {s}?", "{s}的元素符号是什么？"),
        ("How do chemists write {s}?", "化学家怎么写{s}？"),
        ("Which symbol stands for {s}?", "哪个符号代表{s}？"),
        ("What is the symbol for {s}?", "{s}用什么符号表示？"),
    ),
    "number": (
        ("What is the atomic number of {s}?", "{s}的原子序数是多少？"),
        ("How many protons does an atom of {s} have?", "{s}原子有多少个质子？"),
        ("Which number does {s} have in the periodic table?", "{s}在元素周期表中是第几号？"),
        ("Number of protons in {s}?", "{s}的质子数是几？"),
    ),
    "state": (
        ("What is {s} at room temperature?", "{s}在室温下是什么？"),
        ("Is {s} solid, liquid or gas in a room?", "在房间里{s}是固体、液体还是气体？"),
    ),
    "next_month": (
        ("Which month comes after {s}?", "{s}之后是几月？"),
        ("What month follows {s}?", "{s}的下一个月是哪个月？"),
        ("When {s} is over, what month begins?", "{s}过完是几月？"),
    ),
    "month_days": (
        ("How many days does {s} have?", "{s}有多少天？"),
        ("How long is {s} in days?", "{s}一共几天？"),
    ),
    "weekday": (
        ("What day is {s}?", "{s}是星期几？"),
        ("Which day of the week is {s}?", "{s}是一周中的哪一天？"),
        ("{s} is which day?", "{s}到了星期几？"),
    ),
    "unit": (
        ("What is {s} equal to?", "{s}等于什么？"),
        ("How much is {s}?", "{s}是多少？"),
        ("What makes {s}?", "什么和{s}一样多？"),
    ),
    "class": (
        ("What kind of animal is the {s}?", "{s}是哪一种动物？"),
        ("To which group of animals does the {s} belong?", "{s}属于哪一类动物？"),
        ("The {s} is what kind of animal?", "{s}是什么类动物？"),
    ),
    "opposite": (
        ("What is the opposite of {s}?", "“{s}”的反义词是什么？"),
        ("Which word is the opposite of {s}?", "哪个词和“{s}”意思相反？"),
        ("What means the contrary of {s}?", "“{s}”反过来是什么？"),
    ),
    "translation": (
        ("What is {s} in Chinese?", "“{s}”用英文怎么说？"),
        ("How do you write {s} in Chinese?", "“{s}”的英文怎么写？"),
        ("Which Chinese word means {s}?", "哪个英文词的意思是“{s}”？"),
    ),
}


def tell(template: str, subject: str, value: str) -> str:
    """The template with its two places filled, as a sentence.

    >>> tell("{s} is a {v}.", "the swan", "amphibian")
    'The swan is an amphibian.'
    """
    text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", template.format(s=subject, v=value))
    return text[0].upper() + text[1:]
