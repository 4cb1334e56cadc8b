/** The text that a model's zeros are measured on: that of `--text`, or else a page of plain English. */

import { givenTexts, type TextFileOptions } from './text-files.ts';

/** The texts of `--text`, or the page where it is not given. Throws as `givenTexts`. */
export function textsOrSample(options: TextFileOptions): readonly string[] {
  return givenTexts(options) ?? [SAMPLE_TEXT];
}

/** Prose of several kinds, written for this. */
const SAMPLE_TEXT = `The harbour was quiet before sunrise. Two boats had come back early, and the men were already
sorting the catch into wooden boxes, talking in low voices so as not to wake the village. A woman in a grey coat stood
at the end of the pier and counted the lights on the water. When the last one had turned towards home she nodded, put
her hands into her pockets and walked back up the hill.

"You worry too much," said her brother, who was waiting at the door with a pot of tea. "They have done this for thirty
years."

"And for thirty years I have counted them," she answered. "It has worked so far."

Bread needs four things: flour, water, salt and time. Mix the first three in the evening, cover the bowl and leave it in
a cool place. By the morning the dough has doubled; fold it twice, let it rest for an hour, and bake it in a very hot
oven until the crust is dark brown and sounds hollow when you knock on it.

The distance from the Earth to the Moon is about 384,000 kilometres. Light covers it in a little more than a second, a
fast train would need about two months. In 1969 it took three days. The orbit is not a perfect circle, so the distance
changes during the month by some 40,000 kilometres, which is why the Moon sometimes looks larger than usual.

Dear Sir or Madam, I am writing about the bicycle that I ordered from your shop on the third of May. It arrived last
week, well packed and in good time, but with two left pedals. I would be grateful if you could send me a right one.
`;
