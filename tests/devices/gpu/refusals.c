/* What a library has no answer to: FUNCTION(name) of each is in functions.h. What other files define takes its place. */
#include "stand_in.h"

#define FUNCTION(name)                                                  \
    __attribute__((weak)) int name(void)                                \
    {                                                                   \
        fprintf(stderr, "stand-in for CUDA: it has no " #name "\n");    \
        return 1;                                                       \
    }

#include "functions.h"
