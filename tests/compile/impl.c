/* The implementation alone in its file. */
#define TASKRT_IMPLEMENTATION
#include "../../taskrt.h"
