/**
 * The texts that are walked and scanned: what somebody might write to a model, in Chinese and in English. The sentences
 * come again and again, but each time in another order and with other numbers and names, so that nothing that reads
 * them falls into step.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { working_directory } from "./processes.ts";
import { pick, random_numbers, shuffled } from "./random.ts";

const BYTES = 30000;

/** @ stands for a number, % for one of the names. */
interface Language {
  names: string[];
  sentences: string[];
  between: string;
}

const ENGLISH: Language = {
  names: ["Lena", "the librarian", "our neighbour", "a friend from Leeds", "Mr Okafor", "the tram driver", "Ines", "my uncle"],
  sentences: [
    "Could you help me to plan a weekend with % and @ children who would rather be outdoors?",
    "The museum opens at ten, the last tram leaves at @ minutes past eleven, and it will probably rain.",
    "% says that the bread has to rest overnight, but the recipe in this book gives it only @ hours.",
    'Last spring we painted the kitchen, and the tin still says "enough for @ square metres".',
    "Write a short letter to % in which I thank everybody for the flowers and mention the new address.",
    "I keep a list of birds: @ sparrows, a pair of kestrels, and something grey that nobody could name.",
    "Why does the river run faster here than below the bridge, although it's just as wide?",
    "Please explain how a pendulum clock keeps time, as if you were talking to someone of @ years.",
    "The spreadsheet has three columns (date, item, price), and I'd like the total of every month.",
    "% asked whether the second chapter might be shorter; I think it needs one more example instead.",
    "My bicycle makes a clicking noise whenever I push hard, and I have already replaced @ spokes.",
    "Compare two ways of storing apples through the winter, and say which of them works without a cellar.",
    "In the meeting we agreed on four things: the colour, the date, who brings the ladder, and the price.",
    "There's a small bakery behind the station; its owner has been getting up at three for @ years.",
    "Summarise the discussion below in five sentences, without names, and leave the figures as they are.",
    "If the function returns nothing, the loop goes on for another @ rounds and then gives up quietly.",
    "Before sunrise the valley lies in fog, and only the two towers of the old mill can be seen.",
    "% would like to learn the cello, which is a fine idea at any age, and borrow one at first.",
  ],
  between: " ",
};

const CHINESE: Language = {
  names: ["小林", "图书馆的老师", "隔壁邻居", "我的表姐", "陈老伯", "售票员", "阿宁", "同桌"],
  sentences: [
    "我想和%一起安排一次周末出游，带上@个喜欢户外的孩子，请帮忙想想路线。",
    "博物馆上午十点开门，末班电车在晚上十一点@分出发，天气预报说可能会下雨。",
    "%说面团要放一整夜，可是这本食谱上只写了@个小时，到底该听谁的？",
    "去年春天我们把厨房重新刷了一遍，油漆桶上还写着“够刷@面墙”。",
    "请替我给%写一张便条，感谢大家送来的花，并顺便告诉他们我们搬家了。",
    "我有一本观鸟笔记：麻雀@只，红隼一对，还有一只灰色的，谁也叫不出名字。",
    "为什么河水在这里比过桥以后跑得更快，明明两处一样宽呢？",
    "请像对一个@岁的孩子说话那样，解释摆钟是怎样计时的。",
    "这张表格有三列：日期、物品、花费，我希望算出每个月的总数。",
    "%问第二章能不能再短一些；我倒觉得还需要补充一个例子。",
    "每次用力踩踏板，自行车就会发出咔嗒声，我已经换过@根辐条了。",
    "请比较两种冬天保存土豆的办法，并说明哪一种不需要地窖。",
    "会上我们商定了四件事：颜色、日期、谁带梯子，以及预算是多少。",
    "车站后面有一家小小的面包房，店主@年来每天凌晨三点起床和面。",
    "把下面的讨论概括成五句话，不要出现姓名，数字保持原样。",
    "如果函数没有返回结果，循环会再进行@次，最后安静地结束。",
    "日出之前山谷里全是雾，只看得见老磨坊的两座塔楼。",
    "%打算学大提琴，什么年纪开始都不晚，起初借一把就够了。",
  ],
  between: "",
};

/** About 30 kB in that language, in paragraphs. */
function text_in(language: Language, seed: number): string {
  const random = random_numbers(seed);
  const paragraphs: string[] = [];
  let bytes = 0;
  while (bytes < BYTES) {
    const sentences = shuffled(language.sentences, random).slice(0, 4 + Math.floor(random() * 5));
    const paragraph = sentences
      .map((sentence) =>
        sentence
          .replace("@", () => String(2 + Math.floor(random() * 57)))
          .replace("%", () => pick(language.names, random))
          .replace(/^./u, (first) => first.toUpperCase()),
      )
      .join(language.between);
    paragraphs.push(paragraph);
    bytes += Buffer.byteLength(paragraph) + 2;
  }
  return paragraphs.join("\n\n");
}

/** The text of each language, by its name. */
const TEXTS: Record<"Chinese" | "English", string> = { Chinese: text_in(CHINESE, 1), English: text_in(ENGLISH, 2) };

/** Writes the texts, `Chinese.txt` and `English.txt`, into the temporary directory. */
function write_texts(): void {
  for (const [language, text] of Object.entries(TEXTS)) {
    writeFileSync(join(working_directory(), `${language}.txt`), text);
  }
}

export { TEXTS, write_texts };
