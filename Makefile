# taskrt.h is one file and needs no building: this runs its tests.
# Everything is written under build/. CC, CFLAGS, SAN, JOBS may be set: make test CC=clang SAN=-fsanitize=address

CC      = cc
CFLAGS  = -O1 -g
SAN     =
JOBS    =
SCHEDULES =
SEED      =
MUTANTS   =
export CC CFLAGS SAN JOBS SCHEDULES SEED MUTANTS

help:
	@echo 'make test            unit tests, examples, snippets, compile checks: needs a C compiler and make only'
	@echo 'make check-compile   what must and what must not compile, C and C++, with every compiler found'
	@echo 'make check-san       the tests with gcc and clang, -O0 and -O2, under the sanitizers'
	@echo 'make check-poll      the tests with poll() instead of epoll or kqueue'
	@echo 'make check-faults    every allocation, thread and system call fails once, and from then on'
	@echo 'make check-soak      a random workload on real threads with delays, SOAK_SECONDS long (3600)'
	@echo 'make check-fuzz      libFuzzer writes programs, an oracle knows what each step must give, FUZZ_SECONDS long (3600)'
	@echo 'make check-valgrind  the tests under valgrind'
	@echo 'make check-user      TSan, ASan, UBSan, LSan and valgrind with their defaults find nothing in a program of a user'
	@echo 'make check-cross     the tests on other machines (qemu-user), C libraries, languages and compilers, as far as'
	@echo '                     they are installed; CROSS="s390x musl" SECTIONS="tasks time" choose'
	@echo 'make check-model     the implementation under a scheduler that decides every switch; SCHEDULES=1000000 SEED=fresh'
	@echo 'make bench           the benchmarks; TOKIO_BENCH=path/to/tokio-bench measures Tokio beside, see tests/bench/run.sh'
	@echo 'make check-mutants   taskrt.h broken in one place at a time: does a test notice? Hours; MUTANTS=REGEX for a part'
	@echo 'make clean           removes build/'
	@echo
	@echo 'Each check ends with one line: N passed, N failed. Set CC, CFLAGS, SAN or JOBS to change how it runs.'

checks = check-compile check-san check-poll check-faults check-soak check-fuzz check-valgrind check-user check-cross \
    check-model
test $(checks):
	@sh tests/run.sh $@

bench:
	@sh tests/bench/run.sh

check-mutants:
	@sh tests/mutants.sh

clean:
	rm -rf build

.PHONY: help bench test clean check-mutants $(checks)
