// A C++ file uses coroutines that a C file defines: arguments in member order, or one whole struct.
#include "two.h"

#include <cstdio>

int main()
{
    int out = 0;
    point p = {0, 0};
    if (trt_run(twice, &out, 21) != TRT_OK || out != 42)
        return 1;
    trt_config config = trt_config();
    config.workers = 2;
    trt_runtime *rt = nullptr;
    if (trt_runtime_start(&rt, &config) != TRT_OK)
        return 2;
    if (trt_block_on(rt, shift, &p, {1, 2}, 5) != TRT_OK || p.x != 6 || p.y != 7)
        return 3;
    trt_handle(twice) h = trt_spawn_on(rt, twice, 8);
    if (!trt_spawned(h) || trt_join_thread(h, &out) != TRT_OK || out != 16)
        return 4;
    trt_handle(half) b = trt_spawn_blocking_on(rt, half, half{30});
    if (trt_join_thread(b, &out) != TRT_OK || out != 15)
        return 5;
    struct half whole = {50};
    b = trt_spawn_blocking_on(rt, half, whole);
    if (trt_join_thread(b, &out) != TRT_OK || out != 25)
        return 6;
#if __cplusplus >= 202002L
    if (trt_block_on(rt, twice, &out, .n = 100) != TRT_OK || out != 200)
        return 7;
#endif
    trt_semaphore s = trt_semaphore();
    trt_permit permit = trt_permit();
    trt_semaphore_init(&s, 1);
    if (!trt_try_acquire(&s, &permit))
        return 8;
    trt_release(&permit);
    int *arc = static_cast<int *>(trt_arc_new(sizeof *arc, nullptr));
    int *other = trt_arc_clone(arc);
    trt_arc_drop(arc);
    trt_arc_drop(other);
    trt_channel(int) c = {};
    if (trt_channel_init(&c, 2) != TRT_OK || trt_send_thread(&c, &out) != TRT_OK || trt_recv_thread(&c, &out) != TRT_OK)
        return 9;
    trt_channel_free(&c);
    trt_duration d = trt_ms(5) + trt_s(0.5);
    if (d != 505000000)
        return 10;
    static objects all; // the same layout in both languages
    size_t offset = 0;
    all.last = 42;
    if (trt_join_thread(trt_spawn_blocking_on(rt, layout, &all), &offset) != TRT_OK || offset == 0)
        return 11;
    if (offset != size_t(reinterpret_cast<char *>(&all.last) - reinterpret_cast<char *>(&all)))
        return 12;
    trt_runtime_free(rt);
    std::puts("ok");
    return 0;
}
