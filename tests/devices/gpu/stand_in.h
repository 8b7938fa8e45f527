/* What the libraries share: how each of their functions that would compute something is noted at its first call, in the file
 * that STAND_IN_LAUNCHED names.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SUCCESS 0

static inline void note_launch(const char *function)
{
    const char *path = getenv("STAND_IN_LAUNCHED");
    int file = path ? open(path, O_WRONLY | O_APPEND | O_CREAT, 0644) : -1;

    if (file >= 0) {
        dprintf(file, "%s\n", function);
        close(file);
    }
}

#define LAUNCHED()                    \
    do {                              \
        static char noted;            \
        if (!noted) {                 \
            noted = 1;                \
            note_launch(__func__);    \
        }                             \
    } while (0)

/* A function that would compute something on the device. */
#define COMPUTES(function) \
    int function(void) { LAUNCHED(); return SUCCESS; }

/* A function that is told something that nobody asks for. */
#define TOLD(function) \
    int function(void) { return SUCCESS; }
