/* treesum.c - POSIX checksum, size and path of every regular file below the paths it is given.
 *
 * The output is that of `find PATH... -type f | LC_ALL=C sort | xargs cksum`, made on all cores.
 * How the work is divided:
 *
 *   walk        the root task: one join set of visits, and the visits that follow from each
 *   visit       one task for each directory, and for each further batch of its files
 *   read_batch  a blocking job: lists a directory, then sums files until it has done its share
 *   sum_large   forks a sum_part for each part of a large file, and puts their sums together
 *   read_part   a blocking job: sums one part of a large file
 *   progress    tells a terminal how far it is
 *
 * A job has one directory and one file open at most, and starts only with a permit of one
 * semaphore: open files are bounded, whatever the shape of the tree. Lists and paths grow with the
 * tree; there is no limit on the length of a path, the number of files or the depth.
 *
 *     cc -std=c11 -O2 -pthread examples/treesum.c -o treesum
 */
#define _DEFAULT_SOURCE         /* d_type */
#define _POSIX_C_SOURCE 200809L /* openat, fdopendir, pread */
#define _FILE_OFFSET_BITS 64
#define TASKRT_IMPLEMENTATION
#include "../taskrt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define BATCH_FILES ((size_t)128) /* the share of one job: so many files, */
#define BATCH_BYTES (8 * MIB)     /* or so many bytes, whichever comes first */
#define LARGE_FILE (16 * MIB)     /* from this size on, a file is summed in parts */
#define PART (4 * MIB)
#define READ (64 * KIB)

/* ------------------------------------------------------------------------------------------------
 * The checksum: CRC-32 by the polynomial P = 0x04C11DB7, highest bit first, of the file's bytes and
 * then of its length (lowest byte first, no zeros at the end), with all bits inverted at last.
 *
 * The usual way is tables: sixteen bytes a step, one look into a table for each. It is kept for
 * what a faster way leaves over. x^203 + x^186 + x^123 + x^85 + x^79 + 1 is a multiple of P, and as
 * squaring a polynomial modulo 2 squares each term, it stays one with x^128 in place of x. So any
 * sixteen bytes may be taken away from the input if they are added (xor) to those that come 17, 80,
 * 118, 124 and 203 places of sixteen bytes later: the remainder by P is the same. fold() does that
 * from the front until the last 203 places are left. Compilers make vector code of its loop.
 */
enum { PLACE = 2, WINDOW = 203 * PLACE }; /* in 64-bit words */
#define P 0x04C11DB7u

static uint32_t crc_table[16][256]; /* [zeros][byte]: of a byte and so many zero bytes behind it */

static void crc_start(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte << 24;
        for (int bit = 0; bit < 8; bit++) crc = crc << 1 ^ (crc >> 31 ? P : 0);
        crc_table[0][byte] = crc;
    }
    for (int zeros = 1; zeros < 16; zeros++) {
        for (int byte = 0; byte < 256; byte++) {
            uint32_t crc = crc_table[zeros - 1][byte];
            crc_table[zeros][byte] = crc << 8 ^ crc_table[0][crc >> 24];
        }
    }
}

static uint32_t crc_of_4(const unsigned char *bytes, int zeros)
{
    return crc_table[zeros + 3][bytes[0]] ^ crc_table[zeros + 2][bytes[1]] ^
           crc_table[zeros + 1][bytes[2]] ^ crc_table[zeros][bytes[3]];
}

static uint32_t crc_bytes(uint32_t crc, const unsigned char *bytes, size_t count)
{
    for (; count >= 16; bytes += 16, count -= 16) {
        unsigned char first[4];
        for (int i = 0; i < 4; i++) first[i] = (unsigned char)(crc >> (24 - 8 * i)) ^ bytes[i];
        crc = crc_of_4(first, 12) ^ crc_of_4(bytes + 4, 8) ^ crc_of_4(bytes + 8, 4) ^
              crc_of_4(bytes + 12, 0);
    }
    while (count-- > 0) crc = crc << 8 ^ crc_table[0][crc >> 24 ^ *bytes++];
    return crc;
}

static uint32_t crc_end(uint32_t crc, uint64_t length)
{
    for (; length; length >>= 8) crc = crc << 8 ^ crc_table[0][crc >> 24 ^ (length & 255)];
    return ~crc;
}

/* Folds `count` words into the last WINDOW, which it returns. WINDOW zeros must stand before. */
static uint64_t *fold(uint64_t *words, size_t count)
{
    enum { A = 17 * PLACE, B = 80 * PLACE, C = 118 * PLACE, D = 124 * PLACE };
    static const int later[] = {A, B, C, D, WINDOW};
    uint64_t *const end = words + (count - WINDOW);
    for (uint64_t *w = words; w < end; w++) *w ^= w[-A] ^ w[-B] ^ w[-C] ^ w[-D] ^ w[-WINDOW];
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        for (uint64_t *w = end; w < end + later[i]; w++) *w ^= w[-later[i]];
    return end;
}

static uint32_t crc_multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = 1u << 31; bit; bit >>= 1)
        product = product << 1 ^ (product >> 31 ? P : 0) ^ (b & bit ? a : 0);
    return product;
}

/* The sum of what `crc` is the sum of, and so many zero bytes behind it. */
static uint32_t crc_zeros(uint32_t crc, uint64_t count)
{
    for (uint32_t power = 1u << 8; count; count >>= 1, power = crc_multiply(power, power))
        if (count & 1) crc = crc_multiply(crc, power);
    return crc;
}

/* ------------------------------------------------------------------------------------------------
 * The tree, and what a job does with files. Errors are errno values, 0 is success.
 */
struct file {
    char *path;
    uint64_t size;
    uint32_t crc;
    int error;
    bool large; /* left to sum_large */
};

struct directory {
    struct directory *next;
    struct file self;        /* path and error */
    size_t prefix;           /* length of what stands before the names in the paths of the files */
    struct directory *below; /* what it contains; filled by the first visit */
    struct file *files;
    size_t count, room;
    bool listed;
};

/* The arguments are listed as if they were the entries of a directory without a name. */
static bool is_arguments(const struct directory *dir) { return *dir->self.path == '\0'; }

struct tree {
    char **paths; /* the arguments, NULL at the end */
    struct directory *directories;
    trt_semaphore open_files;
    size_t jobs; /* at the same time */
    atomic_size_t files_done;
    atomic_uint_least64_t bytes_done;
};

struct sum {
    uint32_t crc;
    uint64_t count;
    int error;
};

struct buffer {
    uint64_t words[WINDOW + WINDOW + READ / 8]; /* zeros, what fold left over, what was read */
};

static struct buffer *new_buffer(void)
{
    struct buffer *buffer = malloc(sizeof *buffer);
    if (buffer) memset(buffer->words, 0, WINDOW * sizeof *buffer->words);
    return buffer;
}

/* Sums an open file from `offset` to its end, or `most` bytes of it. */
static struct sum sum_range(int fd, uint64_t offset, uint64_t most, struct buffer *buffer)
{
    uint64_t *const window = buffer->words + WINDOW;
    unsigned char *const data = (unsigned char *)(window + WINDOW);
    struct sum sum = {0};
    size_t filled = 0;
    memset(window, 0, WINDOW * sizeof *window);
    while (sum.count < most) {
        size_t room = most - sum.count < READ - filled ? (size_t)(most - sum.count) : READ - filled;
        ssize_t got = pread(fd, data + filled, room, (off_t)(offset + sum.count));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return (struct sum){.error = errno};
        if (got == 0) break;
        sum.count += (uint64_t)got;
        filled += (size_t)got;
        if (filled == READ) {
            memcpy(window, fold(window, WINDOW + READ / 8), WINDOW * sizeof *window);
            filled = 0;
        }
    }
    const unsigned char *rest = data;
    if (sum.count > WINDOW * sizeof *window) /* else the tables alone are faster */
        rest = (const unsigned char *)fold(window, WINDOW + filled / 8);
    sum.crc = crc_bytes(0, rest, (size_t)(data + filled - rest));
    return sum;
}

static int open_file(int directory, const struct directory *dir, const struct file *file)
{
    /* O_NONBLOCK: what has become a pipe since it was listed must not hold us up. */
    return openat(directory, file->path + dir->prefix,
                  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* Sums a file, unless it is large. */
static int sum_file(int directory, const struct directory *dir, struct file *file,
                    struct buffer *buffer)
{
    int fd = open_file(directory, dir, file);
    if (fd < 0) return errno;
    struct stat about;
    int error = fstat(fd, &about) != 0 ? errno : S_ISREG(about.st_mode) ? 0 : ESTALE;
    if (error == 0) {
        file->size = (uint64_t)about.st_size;
        file->large = file->size >= LARGE_FILE;
    }
    if (error == 0 && !file->large) {
        struct sum sum = sum_range(fd, 0, UINT64_MAX, buffer);
        error = sum.error;
        file->size = sum.count; /* what was read, should the file have changed */
        file->crc = crc_end(sum.crc, sum.count);
    }
    close(fd);
    return error;
}

/* Opens a directory by a path of any length: a long one is followed in steps that the system
 * accepts. The longest name that a file system knows is much shorter than such a step. */
static int open_path(const char *path)
{
    enum { STEP = 1024 };
    int at = AT_FDCWD;
    for (;;) {
        char step[STEP];
        size_t length = strlen(path);
        if (length >= STEP)
            for (length = STEP - 1; length > 1 && path[length - 1] != '/';) length--;
        memcpy(step, path, length);
        step[length] = '\0';
        for (path += length; *path == '/';) path++;

        int fd = openat(at, step, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (*path ? 0 : O_NOFOLLOW));
        int error = errno;
        if (at != AT_FDCWD) close(at);
        errno = error;
        if (fd < 0 || !*path) return fd;
        at = fd;
    }
}

/* Opens a directory: what the names of its files are relative to, or -1. The stream is to be
 * closed; there is none for the arguments, which start where the program was started. */
static int open_directory(const struct directory *dir, DIR **stream)
{
    *stream = NULL;
    if (is_arguments(dir)) return AT_FDCWD;
    int fd = open_path(dir->self.path);
    if (fd < 0) return -1;
    *stream = fdopendir(fd);
    if (*stream) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* What a directory says about an entry. Where it does not, lstat; if that fails, it counts as a
 * regular file, and the open will tell what is wrong. */
static mode_t type_of(int directory, const struct dirent *entry)
{
#ifdef DT_UNKNOWN
    if (entry->d_type == DT_REG) return S_IFREG;
    if (entry->d_type == DT_DIR) return S_IFDIR;
    if (entry->d_type != DT_UNKNOWN) return 0;
#endif
    struct stat about;
    bool known = fstatat(directory, entry->d_name, &about, AT_SYMLINK_NOFOLLOW) == 0;
    return known ? about.st_mode & S_IFMT : S_IFREG;
}

static struct directory *new_directory(char *path)
{
    struct directory *dir = calloc(1, sizeof *dir);
    if (!dir) return NULL;
    dir->self.path = path;
    dir->prefix = strlen(path);
    if (dir->prefix > 0 && path[dir->prefix - 1] != '/') dir->prefix++;
    return dir;
}

/* Takes note of a file or directory. Takes `path` over; NULL is "no memory". */
static int add_entry(struct directory *dir, char *path, mode_t type, int error)
{
    if (!path) return ENOMEM;
    if (type == S_IFDIR) {
        struct directory *below = new_directory(path);
        if (!below) goto no_memory;
        below->next = dir->below;
        dir->below = below;
        return 0;
    }
    if (dir->count == dir->room) {
        size_t room = dir->room ? 2 * dir->room : 16;
        struct file *files = realloc(dir->files, room * sizeof *files);
        if (!files) goto no_memory;
        dir->files = files;
        dir->room = room;
    }
    dir->files[dir->count++] = (struct file){.path = path, .error = error};
    return 0;

no_memory:
    free(path);
    return ENOMEM;
}

static int list_directory(struct directory *dir, DIR *stream)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (!entry) return errno;
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
        mode_t type = type_of(dirfd(stream), entry);
        if (type != S_IFREG && type != S_IFDIR) continue;

        size_t length = strlen(name);
        char *path = malloc(dir->prefix + length + 1);
        if (path) {
            memset(path, '/', dir->prefix); /* the last of them may stay */
            memcpy(path, dir->self.path, strlen(dir->self.path));
            memcpy(path + dir->prefix, name, length + 1);
        }
        int error = add_entry(dir, path, type, 0);
        if (error) return error;
    }
}

static int list_arguments(struct directory *dir, char **paths)
{
    for (; *paths; paths++) {
        struct stat about;
        int missing = lstat(*paths, &about) != 0 ? errno : 0;
        mode_t type = missing ? S_IFREG : about.st_mode & S_IFMT;
        if (type != S_IFREG && type != S_IFDIR) continue;
        int error = add_entry(dir, strdup(*paths), type, missing);
        if (error) return error;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------
 * Jobs and tasks
 */
struct read_batch {
    struct tree *tree;
    struct directory *dir;
    size_t from, end; /* of its files; all if it is not listed yet */
};
trt_blocking_fn(size_t, read_batch) /* returns the first file that is left */
{
    struct directory *dir = self->dir;
    struct buffer *buffer = new_buffer();
    DIR *stream;
    int at = open_directory(dir, &stream);
    int error = at == -1 ? errno : buffer ? 0 : ENOMEM;
    size_t end = self->end;
    if (!dir->listed) {
        if (error == 0)
            dir->self.error = stream ? list_directory(dir, stream)
                                     : list_arguments(dir, self->tree->paths);
        else
            dir->self.error = error;
        dir->listed = true;
        end = dir->count;
    }
    size_t next = self->from;
    uint64_t bytes = 0;
    for (; next < end && next - self->from < BATCH_FILES && bytes < BATCH_BYTES; next++) {
        struct file *file = &dir->files[next];
        if (trt_cancelled()) break;
        if (file->error == 0) file->error = error ? error : sum_file(at, dir, file, buffer);
        if (!file->large) bytes += file->size;
    }
    if (stream) closedir(stream);
    free(buffer);
    atomic_fetch_add(&self->tree->files_done, next - self->from);
    atomic_fetch_add(&self->tree->bytes_done, bytes);
    return next;
}

struct part {
    const struct directory *dir;
    const struct file *file;
    uint64_t offset, most;
};

struct read_part {
    struct part part;
};
trt_blocking_fn(struct sum, read_part)
{
    struct sum sum = {0};
    struct buffer *buffer = new_buffer();
    DIR *stream;
    int at = open_directory(self->part.dir, &stream);
    int fd = at == -1 ? -1 : open_file(at, self->part.dir, self->part.file);
    if (fd == -1)
        sum.error = errno;
    else if (!buffer)
        sum.error = ENOMEM;
    else
        sum = sum_range(fd, self->part.offset, self->part.most, buffer);
    if (fd != -1) close(fd);
    if (stream) closedir(stream);
    free(buffer);
    return sum;
}

struct sum_part {
    struct tree *tree;
    struct part part;
    trt_permit permit;
    trt_job(read_part) job;
};
trt_async(struct sum, sum_part)
{
    trt_body {
        trt_await_ok(trt_acquire(&self->tree->open_files, &self->permit));
        trt_await_ok(trt_blocking(read_part, &self->job, .part = self->part));
        atomic_fetch_add(&self->tree->bytes_done, self->job.out.count);
        trt_return(self->job.out);
    }
    trt_cleanup { trt_release(&self->permit); }
}

struct sum_large {
    struct tree *tree;
    const struct directory *dir;
    struct file *file;
    struct sum *sums; /* of each part */
    size_t parts;
};
trt_async(trt_void, sum_large)
{
    trt_body {
        self->parts = (size_t)((self->file->size + PART - 1) / PART);
        self->sums = calloc(self->parts, sizeof *self->sums);
        if (!self->sums) trt_fail(TRT_NO_MEMORY);
        for (size_t i = 0; i < self->parts; i++)
            trt_fork(sum_part, &self->sums[i], .tree = self->tree,
                     .part = {.dir = self->dir, .file = self->file, .offset = (uint64_t)i * PART,
                              .most = i + 1 < self->parts ? PART : UINT64_MAX});
        trt_await_ok(trt_sync());

        struct file *file = self->file;
        uint32_t crc = 0;
        file->size = 0;
        for (size_t i = 0; i < self->parts && file->error == 0; i++) {
            const struct sum *sum = &self->sums[i];
            crc = crc_zeros(crc, sum->count) ^ sum->crc;
            file->size += sum->count;
            file->error = sum->error;
            if (sum->count < PART) break; /* the end, also of a file that has become shorter */
        }
        file->crc = crc_end(crc, file->size);
    }
    trt_cleanup { free(self->sums); }
}

struct visited {
    struct directory *dir;
    size_t next, end; /* files that are left */
};

struct visit {
    struct tree *tree;
    struct directory *dir;
    size_t from, end;
    trt_permit permit;
    trt_job(read_batch) job;
};
trt_async(struct visited, visit)
{
    trt_body {
        trt_await_ok(trt_acquire(&self->tree->open_files, &self->permit));
        trt_await_ok(trt_blocking(read_batch, &self->job, .tree = self->tree, .dir = self->dir,
                                  .from = self->from, .end = self->end));
        trt_release(&self->permit);
        for (size_t i = self->from; i < self->job.out; i++)
            if (self->dir->files[i].large)
                trt_fork(sum_large, NULL, .tree = self->tree, .dir = self->dir,
                         .file = &self->dir->files[i]);
        trt_await_ok(trt_sync());
        trt_return((struct visited){.dir = self->dir, .next = self->job.out,
                                    .end = self->end ? self->end : self->dir->count});
    }
    trt_cleanup { trt_release(&self->permit); }
}

struct progress {
    struct tree *tree;
    trt_interval every;
};
trt_async(trt_void, progress)
{
    trt_body {
        trt_status_code made = trt_interval_init(&self->every, trt_ms(200), TRT_SKIP);
        if (made != TRT_OK) trt_fail(made);
        for (;;) {
            trt_await_ok(trt_tick(&self->every));
            fprintf(stderr, "\r%zu files, %" PRIuLEAST64 " MiB ",
                    atomic_load(&self->tree->files_done),
                    atomic_load(&self->tree->bytes_done) / MIB);
        }
    }
    trt_cleanup { fprintf(stderr, "\r%40s\r", ""); }
}

struct walk {
    struct tree *tree;
    trt_join_set(visit) visits; /* what is left of them ends before the walk does */
    trt_handle(progress) progress;
    struct visited visited;
};
trt_async(trt_void, walk)
{
    trt_body {
        trt_status_code made = trt_semaphore_init(&self->tree->open_files, self->tree->jobs);
        if (made != TRT_OK) trt_fail(made);
        if (isatty(STDERR_FILENO)) self->progress = trt_spawn(progress, .tree = self->tree);
        trt_spawn_in(&self->visits, visit, .tree = self->tree, .dir = self->tree->directories);
        for (;;) {
            trt_await(trt_join_next(&self->visits, &self->visited));
            if (trt_status() == TRT_EMPTY) break;
            if (trt_status() != TRT_OK) trt_fail(trt_status());

            struct directory *dir = self->visited.dir, *below;
            while ((below = dir->below)) {
                dir->below = below->next;
                below->next = self->tree->directories;
                self->tree->directories = below;
                trt_spawn_in(&self->visits, visit, .tree = self->tree, .dir = below);
            }
            const size_t end = self->visited.end;
            for (size_t from = self->visited.next; from < end; from += BATCH_FILES)
                trt_spawn_in(&self->visits, visit, .tree = self->tree, .dir = dir, .from = from,
                             .end = end - from < BATCH_FILES ? end : from + BATCH_FILES);
        }
    }
    trt_cleanup { trt_await(trt_stop(self->progress)); }
}

/* ------------------------------------------------------------------------------------------------
 * The report, and the command
 */
static int by_path(const void *a, const void *b)
{
    return strcmp((*(const struct file *const *)a)->path, (*(const struct file *const *)b)->path);
}

/* Returns the exit status. */
static int report(const struct tree *tree)
{
    size_t count = 0;
    for (const struct directory *dir = tree->directories; dir; dir = dir->next)
        count += dir->count + (dir->self.error != 0);
    const struct file **files = malloc((count + 1) * sizeof(const struct file *));
    if (!files) {
        fprintf(stderr, "treesum: out of memory\n");
        return 1;
    }
    count = 0;
    for (const struct directory *dir = tree->directories; dir; dir = dir->next) {
        if (dir->self.error != 0) files[count++] = &dir->self;
        for (size_t i = 0; i < dir->count; i++) files[count++] = &dir->files[i];
    }
    qsort(files, count, sizeof(const struct file *), by_path);

    int status = 0;
    for (size_t i = 0; i < count; i++) {
        const struct file *file = files[i];
        if (file->error == 0) {
            printf("%" PRIu32 " %" PRIu64 " %s\n", file->crc, file->size, file->path);
        } else {
            fprintf(stderr, "treesum: %s: %s\n", file->path, strerror(file->error));
            status = 1;
        }
    }
    free(files);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("treesum: standard output");
        status = 1;
    }
    return status;
}

static void free_directories(struct directory *dir)
{
    while (dir) {
        struct directory *next = dir->next;
        for (size_t i = 0; i < dir->count; i++) free(dir->files[i].path);
        for (struct directory *below; (below = dir->below); next = below) {
            dir->below = below->next;
            below->next = next;
        }
        free(dir->files);
        free(dir->self.path);
        free(dir);
        dir = next;
    }
}

static int usage(FILE *to)
{
    fprintf(to, "usage: treesum [-j JOBS] PATH...\n"
                "Prints checksum, size and path of every regular file below each PATH, as cksum\n"
                "does, in the order of the paths. Symbolic links are not followed.\n"
                "  -j JOBS  read so many files at a time (8)\n"
                "  -h       print this text\n"
                "Exit status: 0; 1 if something could not be read; 2 for a wrong command line.\n");
    return to == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
    struct tree tree = {.jobs = 8};
    if (argc > 1 && strcmp(argv[1], "--help") == 0) return usage(stdout);
    for (int option; (option = getopt(argc, argv, "+hj:")) != -1;) {
        char *end = NULL;
        if (option == 'h') return usage(stdout);
        if (option != 'j') return usage(stderr);
        tree.jobs = strtoul(optarg, &end, 10);
        if (*optarg < '1' || *optarg > '9' || *end || tree.jobs > 1000) return usage(stderr);
    }
    if (optind == argc) return usage(stderr);
    tree.paths = argv + optind;

    char *empty = calloc(1, 1);
    tree.directories = empty ? new_directory(empty) : NULL;
    if (!tree.directories) {
        free(empty);
        fprintf(stderr, "treesum: out of memory\n");
        return 1;
    }
    crc_start();

    /* The tasks only hand out work: they need no thread besides this one and those of the jobs. */
    trt_config config = {.current_thread = true, .max_blocking_threads = tree.jobs};
    trt_status_code ended = trt_run_with(&config, walk, NULL, .tree = &tree);
    if (ended != TRT_OK) fprintf(stderr, "treesum: %s\n", trt_strerror(ended));
    int status = ended == TRT_OK ? report(&tree) : 1;
    free_directories(tree.directories);
    return status;
}
