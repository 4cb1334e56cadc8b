/* weight_matmul: out [tokens, n] (+)= x w for many tokens; slots as weight_matvec. */
#include "weight_row.h"

static void weight_matmul(const double *args, work w) { weight_matvec(args, w); }
