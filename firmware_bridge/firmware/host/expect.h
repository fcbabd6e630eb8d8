/* The tests' own harness: a table of named tests, and expectations that say where they failed. */
#ifndef NIGHTSCOPE_EXPECT_H
#define NIGHTSCOPE_EXPECT_H

#include <stddef.h>
#include <stdio.h>

struct test {
    const char *name;
    void (*run)(void);
};

struct suite {
    const char *name;
    const struct test *tests;
    size_t count;
};

extern int expect_failures;

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            expect_failures++;                                                                     \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                 \
        }                                                                                          \
    } while (0)

#define EXPECT_EQUAL(found, wanted)                                                                \
    do {                                                                                           \
        long long found_ = (long long)(found), wanted_ = (long long)(wanted);                      \
        if (found_ != wanted_) {                                                                   \
            expect_failures++;                                                                     \
            printf("%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #found, found_, wanted_);  \
        }                                                                                          \
    } while (0)

#define SUITE(label, table)                                                                        \
    { (label), (table), sizeof(table) / sizeof(table)[0] }

extern const struct suite frame_suite, motion_suite, board_suite, safety_suite;

#endif
