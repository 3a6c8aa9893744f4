/* small.h - sizes of taskrt.h that are reached within a few steps. */
#define TASKRT_TEST_RING 4
#define TASKRT_TEST_BUDGET 4
#define TASKRT_TEST_DEQUE 2
#define TASKRT_TEST_BATCH 2
#define TASKRT_TEST_MAINTENANCE 7
