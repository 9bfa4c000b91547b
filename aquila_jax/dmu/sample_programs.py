"""Small Python programs with what they print, found by running them."""

import contextlib
import io
import random

PROGRAMS = (
    ("add up the numbers from 1 to {a}", "把1到{a}的数加起来",
     "{x} = 0\nfor {i} in range(1, {a} + 1):\n    {x} += {i}\nprint({x})"),
    ("print the first multiples of {a}", "打印{a}的前几个倍数",
     "for {i} in range(1, {d} + 1):\n    print({i} * {a})"),
    ("find the largest number", "找出最大的数", "{x} = [{a}, {b}, {c}]\nprint(max({x}))"),
    ("find the smallest number", "找出最小的数", "{x} = [{a}, {b}, {c}]\nprint(min({x}))"),
    ("sort a list", "给列表排序", "{x} = [{a}, {b}, {c}, {d}]\n{x}.sort()\nprint({x})"),
    ("reverse a list", "反转列表", "{x} = [{a}, {b}, {c}]\nprint({x}[::-1])"),
    ("count the letters of a word", "数单词的字母", "{x} = '{word}'\nprint(len({x}))"),
    ("write a word in capitals", "把单词变成大写", "{x} = '{word}'\nprint({x}.upper())"),
    ("write a word backwards", "把单词倒过来写", "{x} = '{word}'\nprint({x}[::-1])"),
    ("say whether {a} is even", "判断{a}是不是偶数",
     "{x} = {a}\nif {x} % 2 == 0:\n    print('even')\nelse:\n    print('odd')"),
    ("take the remainder", "求余数", "{x} = {a}\nprint({x} % {d})"),
    ("divide without remainder", "整除", "{x} = {a}\nprint({x} // {d})"),
    ("define a function that doubles", "定义一个加倍的函数",
     "def double({x}):\n    return {x} * 2\n\nprint(double({a}))"),
    ("define a function that squares", "定义一个求平方的函数",
     "def square({x}):\n    return {x} ** 2\n\nprint(square({d}))"),
    ("look up a price in a dictionary", "在字典里查价格",
     "{x} = {{'{word}': {a}, '{other}': {b}}}\nprint({x}['{word}'])"),
    ("count down", "倒数", "{x} = {d}\nwhile {x} > 0:\n    print({x})\n    {x} -= 1"),
    ("compare two numbers", "比较两个数", "{x}, {i} = {a}, {b}\nprint({x} > {i})"),
    ("keep the numbers above {d}", "保留大于{d}的数",
     "{x} = [{a}, {b}, {c}, {d}]\nprint([{i} for {i} in {x} if {i} > {d}])"),
    ("join words", "连接单词", "{x} = ['{word}', '{other}']\nprint('-'.join({x}))"),
    ("swap two values", "交换两个值", "{x}, {i} = {a}, {b}\n{x}, {i} = {i}, {x}\nprint({x}, {i})"),
    ("compute the factorial of {e}", "计算{e}的阶乘",
     "def factorial(n):\n    return 1 if n == 0 else n * factorial(n - 1)\n\nprint(factorial({e}))"),
    ("compute Fibonacci numbers", "计算斐波那契数",
     "{x}, {i} = 0, 1\nfor step in range({d}):\n    {x}, {i} = {i}, {x} + {i}\nprint({x})"),
)  # fmt: skip
VARIABLES = "x value total number result items data answer text count".split()
INNER = "i n k item each other_value".split()
WORDS = "apple river stone green paper house light cloud bread tiger lemon music water".split()
FORMS = (
    "# Task: {task}\n{code}\n# Output:\n{output}",
    "{code}\n# prints\n{output}",
    "# {task}\n\n{code}\n\n# Output:\n{output}",
)


def run(code: str) -> str:
    """What the program prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    return printed.getvalue().rstrip("\n")


def commented(output: str) -> str:
    """The output as comment lines."""
    return "\n".join(f"# {line}" for line in output.split("\n"))


def compose(draw: random.Random) -> str:
    """One program with its task, in English or Chinese, and its output in comments."""
    *tasks, code = draw.choice(PROGRAMS)
    word, other = draw.sample(WORDS, 2)
    values = {"a": draw.randint(2, 60), "b": draw.randint(2, 60), "c": draw.randint(2, 60)}
    values |= {"d": draw.randint(2, 9), "e": draw.randint(1, 8), "word": word, "other": other}
    values |= {"x": draw.choice(VARIABLES), "i": draw.choice(INNER)}
    code, task = code.format(**values), draw.choice(tasks).format(**values)
    return draw.choice(FORMS).format(task=task, code=code, output=commented(run(code)))
