#include <stddef.h>
#include <stdint.h>

// Swift's library knows the English name of every Unicode scalar, half a megabyte of a board's agent that
// asks for none. Its release build is linked with `--wrap`, so that the call ends here and the tables stay out.
intptr_t __wrap__swift_stdlib_getScalarName(uint32_t scalar, uint8_t *buffer, intptr_t capacity);

intptr_t __wrap__swift_stdlib_getScalarName(uint32_t scalar, uint8_t *buffer, intptr_t capacity) {
    (void)scalar;
    (void)buffer;
    (void)capacity;
    return 0;  // No name.
}
