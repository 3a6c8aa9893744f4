/* plain.h - a second definition of the layer under taskrt.h, written without looking at the first.
 *
 * Each hook is the plain call of the C library. layer.sh compiles taskrt.h with it and without, and compares the machine
 * code: so the layer costs nothing, and a model that defines the same names sees everything.
 */
#define PLAIN_ORDER_relaxed memory_order_relaxed
#define PLAIN_ORDER_acquire memory_order_acquire
#define PLAIN_ORDER_release memory_order_release
#define PLAIN_ORDER_acq_rel memory_order_acq_rel
#define PLAIN_ORDER_seq_cst memory_order_seq_cst
/* A compare that fails has read and not written: what is left of its order. */
#define PLAIN_FAILED_relaxed memory_order_relaxed
#define PLAIN_FAILED_acquire memory_order_acquire
#define PLAIN_FAILED_release memory_order_relaxed
#define PLAIN_FAILED_acq_rel memory_order_acquire
#define PLAIN_FAILED_seq_cst memory_order_seq_cst

#define TRT_LOAD_(object, order) atomic_load_explicit(object, PLAIN_ORDER_##order)
#define TRT_STORE_(object, value, order) atomic_store_explicit(object, value, PLAIN_ORDER_##order)
#define TRT_SWAP_(object, value, order) atomic_exchange_explicit(object, value, PLAIN_ORDER_##order)
#define TRT_ADD_(object, value, order) atomic_fetch_add_explicit(object, value, PLAIN_ORDER_##order)
#define TRT_SUB_(object, value, order) atomic_fetch_sub_explicit(object, value, PLAIN_ORDER_##order)
#define TRT_OR_(object, value, order) atomic_fetch_or_explicit(object, value, PLAIN_ORDER_##order)
#define TRT_AND_(object, value, order) atomic_fetch_and_explicit(object, value, PLAIN_ORDER_##order)
#define TRT_CAS_(object, expected, value, order)                                                                       \
    atomic_compare_exchange_strong_explicit(object, expected, value, PLAIN_ORDER_##order, PLAIN_FAILED_##order)
#define TRT_CAS_WEAK_(object, expected, value, order)                                                                  \
    atomic_compare_exchange_weak_explicit(object, expected, value, PLAIN_ORDER_##order, PLAIN_FAILED_##order)
#define TRT_FENCE_(word) atomic_thread_fence(memory_order_seq_cst)

#define TRT_LIGHT_FENCE_(word) atomic_signal_fence(memory_order_seq_cst)
#define TRT_LEARN_(word) atomic_store_explicit(word, 1u, memory_order_relaxed)
#define TRT_LEARNED_(word) atomic_load_explicit(word, memory_order_relaxed)
#define TRT_SYS_(function) function
#define TRT_THREAD_LOCAL_(type, name) _Thread_local type name
#if defined __x86_64__ || defined __i386__
#define TRT_PAUSE_() __builtin_ia32_pause()
#else
#define TRT_PAUSE_() __asm__ __volatile__("yield")
#endif
