/* 32 bits that look random, of a place and a round, one by one and in lanes: the same as in src/tensor/chance.ts. */
#ifndef QSPARSE_CHANCE_H
#define QSPARSE_CHANCE_H

#include "vector_math.h"

#define CHANCE_OF(place, round) \
  do { \
    hash = (place) * 0x9e3779b1u ^ (round) * 0x85ebca77u; \
    hash = (hash ^ hash >> 16) * 0x21f0aaadu; \
    hash = (hash ^ hash >> 15) * 0x735a2d97u; \
    hash = hash ^ hash >> 15; \
  } while (0)

INLINE uint32_t chance_of(uint32_t place, uint32_t round) {
  uint32_t hash;
  CHANCE_OF(place, round);
  return hash;
}

INLINE vu chance_lanes(vu place, uint32_t round) {
  vu hash;
  CHANCE_OF(place, round);
  return hash;
}

#undef CHANCE_OF

#endif
