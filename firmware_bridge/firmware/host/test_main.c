#include "expect.h"

int expect_failures;

int main(void) {
    const struct suite *suites[] = {&frame_suite, &motion_suite, &board_suite, &safety_suite};
    size_t run = 0;
    for (size_t at = 0; at < sizeof suites / sizeof suites[0]; at++) {
        for (size_t test = 0; test < suites[at]->count; test++, run++) {
            int before = expect_failures;
            suites[at]->tests[test].run();
            if (expect_failures != before)
                printf("FAILED %s: %s\n", suites[at]->name, suites[at]->tests[test].name);
        }
    }
    printf("%zu tests, %d failed expectations\n", run, expect_failures);
    return expect_failures != 0;
}
