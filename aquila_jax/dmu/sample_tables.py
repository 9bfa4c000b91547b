"""Tables of true data in English and Chinese, from which the sample corpus is written."""

# Left out: countries with a disputed or moving capital, two continents or no one main language.
COUNTRIES = """
China|中国|Beijing|北京|Asia|Chinese|汉语|yuan|人民币
Japan|日本|Tokyo|东京|Asia|Japanese|日语|yen|日元
South Korea|韩国|Seoul|首尔|Asia|Korean|韩语|won|韩元
India|印度|New Delhi|新德里|Asia|Hindi|印地语|rupee|卢比
Thailand|泰国|Bangkok|曼谷|Asia|Thai|泰语|baht|泰铢
Vietnam|越南|Hanoi|河内|Asia|Vietnamese|越南语|dong|越南盾
Iran|伊朗|Tehran|德黑兰|Asia|Persian|波斯语|rial|里亚尔
Saudi Arabia|沙特阿拉伯|Riyadh|利雅得|Asia|Arabic|阿拉伯语|riyal|里亚尔
the United Kingdom|英国|London|伦敦|Europe|English|英语|pound|英镑
France|法国|Paris|巴黎|Europe|French|法语|euro|欧元
Germany|德国|Berlin|柏林|Europe|German|德语|euro|欧元
Italy|意大利|Rome|罗马|Europe|Italian|意大利语|euro|欧元
Spain|西班牙|Madrid|马德里|Europe|Spanish|西班牙语|euro|欧元
Portugal|葡萄牙|Lisbon|里斯本|Europe|Portuguese|葡萄牙语|euro|欧元
the Netherlands|荷兰|Amsterdam|阿姆斯特丹|Europe|Dutch|荷兰语|euro|欧元
Greece|希腊|Athens|雅典|Europe|Greek|希腊语|euro|欧元
Poland|波兰|Warsaw|华沙|Europe|Polish|波兰语|zloty|兹罗提
Sweden|瑞典|Stockholm|斯德哥尔摩|Europe|Swedish|瑞典语|krona|克朗
Egypt|埃及|Cairo|开罗|Africa|Arabic|阿拉伯语|pound|埃及镑
Morocco|摩洛哥|Rabat|拉巴特|Africa|Arabic|阿拉伯语|dirham|迪拉姆
Kenya|肯尼亚|Nairobi|内罗毕|Africa|Swahili|斯瓦希里语|shilling|先令
Nigeria|尼日利亚|Abuja|阿布贾|Africa|English|英语|naira|奈拉
the United States|美国|Washington|华盛顿|North America|English|英语|dollar|美元
Canada|加拿大|Ottawa|渥太华|North America|English|英语|dollar|加元
Mexico|墨西哥|Mexico City|墨西哥城|North America|Spanish|西班牙语|peso|比索
Brazil|巴西|Brasilia|巴西利亚|South America|Portuguese|葡萄牙语|real|雷亚尔
Argentina|阿根廷|Buenos Aires|布宜诺斯艾利斯|South America|Spanish|西班牙语|peso|比索
Peru|秘鲁|Lima|利马|South America|Spanish|西班牙语|sol|索尔
Australia|澳大利亚|Canberra|堪培拉|Oceania|English|英语|dollar|澳元
New Zealand|新西兰|Wellington|惠灵顿|Oceania|English|英语|dollar|新西兰元
"""
CONTINENTS = {
    "Asia": "亚洲", "Europe": "欧洲", "Africa": "非洲",
    "North America": "北美洲", "South America": "南美洲", "Oceania": "大洋洲",
}  # fmt: skip

ELEMENTS = """
1|H|hydrogen|氢  2|He|helium|氦  6|C|carbon|碳  7|N|nitrogen|氮  8|O|oxygen|氧  10|Ne|neon|氖
11|Na|sodium|钠  12|Mg|magnesium|镁  13|Al|aluminium|铝  14|Si|silicon|硅  15|P|phosphorus|磷
16|S|sulfur|硫  17|Cl|chlorine|氯  19|K|potassium|钾  20|Ca|calcium|钙  26|Fe|iron|铁  28|Ni|nickel|镍
29|Cu|copper|铜  30|Zn|zinc|锌  47|Ag|silver|银  53|I|iodine|碘  79|Au|gold|金  80|Hg|mercury|汞
82|Pb|lead|铅
"""
GASES = "H He N O Ne Cl".split()  # at room temperature
LIQUIDS = ["Hg"]

# The larger unit, the smaller one in the plural, and how many make one.
UNITS = """
hour|minutes|小时|分钟|60  minute|seconds|分钟|秒|60  day|hours|天|小时|24  week|days|星期|天|7
year|months|年|个月|12  century|years|世纪|年|100  kilometre|metres|千米|米|1000
metre|centimetres|米|厘米|100  centimetre|millimetres|厘米|毫米|10  kilogram|grams|千克|克|1000
tonne|kilograms|吨|千克|1000  litre|millilitres|升|毫升|1000  foot|inches|英尺|英寸|12
byte|bits|字节|比特|8  dozen|pieces|打|个|12  jin|grams|斤|克|500  liang|grams|两|克|50
li|metres|里|米|500
"""

ANIMALS = """
mammal|哺乳动物|dog|狗|cat|猫|horse|马|whale|鲸|bat|蝙蝠|tiger|老虎
bird|鸟类|eagle|老鹰|penguin|企鹅|owl|猫头鹰|duck|鸭子
fish|鱼类|salmon|三文鱼|shark|鲨鱼|carp|鲤鱼|tuna|金枪鱼
insect|昆虫|ant|蚂蚁|bee|蜜蜂|butterfly|蝴蝶|mosquito|蚊子
reptile|爬行动物|snake|蛇|lizard|蜥蜴|turtle|乌龟|crocodile|鳄鱼
"""

OPPOSITES = """
hot|热|cold|冷  big|大|small|小  long|长|short|短  high|高|low|低  fast|快|slow|慢  new|新|old|旧
black|黑|white|白  day|白天|night|黑夜  up|上|down|下  left|左|right|右  wet|湿|dry|干
hard|硬|soft|软  full|满|empty|空  rich|富|poor|穷  near|近|far|远  deep|深|shallow|浅
"""

WORDS = """
water|水  fire|火  tree|树  flower|花  sun|太阳  moon|月亮  rain|雨  snow|雪  river|河
sea|海  mountain|山  house|房子  door|门  book|书  school|学校  teacher|老师  friend|朋友
mother|妈妈  hand|手  eye|眼睛  bread|面包  milk|牛奶  tea|茶  car|汽车  city|城市  time|时间
"""

WEEKDAYS = [
    ("Monday", "星期一"), ("Tuesday", "星期二"), ("Wednesday", "星期三"), ("Thursday", "星期四"),
    ("Friday", "星期五"), ("Saturday", "星期六"), ("Sunday", "星期日"),
]  # fmt: skip
MONTHS = [
    ("January", "一月"), ("February", "二月"), ("March", "三月"), ("April", "四月"),
    ("May", "五月"), ("June", "六月"), ("July", "七月"), ("August", "八月"),
    ("September", "九月"), ("October", "十月"), ("November", "十一月"), ("December", "十二月"),
]  # fmt: skip
COUNTS = [
    ("one day", "一天"), ("two days", "两天"), ("three days", "三天"), ("four days", "四天"),
    ("five days", "五天"),
]  # fmt: skip

# Days as usually given, in the Gregorian calendar.
EVENTS = """
1776-07-04|the Declaration of Independence was adopted in Philadelphia|《独立宣言》在费城通过
1789-07-14|the people of Paris stormed the Bastille|巴黎人民攻占了巴士底狱
1869-05-10|the first railway across the United States was finished|第一条横贯美国的铁路竣工
1895-12-28|the Lumiere brothers showed films to a paying public in Paris|卢米埃尔兄弟在巴黎公开放映电影
1903-12-17|the Wright brothers made their first flight with an engine|莱特兄弟首次完成动力飞行
1912-04-15|the Titanic sank in the Atlantic|泰坦尼克号在大西洋沉没
1918-11-11|the fighting of the First World War ended|第一次世界大战停战
1945-10-24|the United Nations was founded|联合国成立
1949-10-01|the People's Republic of China was proclaimed in Beijing|中华人民共和国在北京宣告成立
1953-05-29|Hillary and Tenzing reached the top of Mount Everest|希拉里和丹增登上珠穆朗玛峰
1957-10-04|the first satellite, Sputnik, was launched|第一颗人造卫星斯普特尼克发射升空
1961-04-12|Yuri Gagarin flew into space|尤里·加加林飞入太空
1969-07-20|people landed on the Moon|人类登上月球
1970-04-24|China launched its first satellite|中国发射第一颗人造卫星
1989-11-09|the Berlin Wall was opened|柏林墙开放
1990-04-24|the Hubble telescope was launched|哈勃望远镜发射升空
1997-07-01|Hong Kong returned to China|香港回归中国
1999-12-20|Macau returned to China|澳门回归中国
2003-10-15|Yang Liwei flew into space|杨利伟飞入太空
2008-08-08|the Olympic Games opened in Beijing|北京奥运会开幕
"""
