/** 32 bits that look random, of a place and a round: what is decided by them is the same for any number of threads and in a resumed run. In C: kernels/chance.h. */
export function chanceOf(place: number, round: number): number {
  let hash = Math.imul(place, 0x9e3779b1) ^ Math.imul(round, 0x85ebca77);
  hash = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
  hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97);
  return (hash ^ (hash >>> 15)) >>> 0;
}
