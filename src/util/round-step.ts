/** The distance between ticks that divides `span` (above 0) into about `wanted` parts, seldom more: 1, 2 or 5 times a power of ten. */
export function roundStep(span: number, wanted: number): number {
  const rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999)!;
}
