/*
 * The host helper: answers questions about the machine it runs on and about what containers answer on their ports.
 *
 * A question is a line "KIND TAG" on standard input. The answer, on standard output, is a line "begin TAG", lines of words,
 * and a line "end TAG". Everybody who is attached to the container sees all answers, so the tag tells whose an answer is.
 *
 *     version     one line "version N"
 *     host        counters of the whole machine, mostly as the kernel writes them
 *     containers  one line per container with the counters of its control group ("-": not known here)
 *
 * One kind of question is answered when its answer is there, other answers before it and within it: "probe TAG …", by lines
 * that begin "at TAG" (see probe.h).
 *
 * It opens files for reading, lists folders and writes to standard output; what else it asks of the kernel is the time, the
 * size of the file system, to wait, to end, and for probes what probe.h says. It ends with its standard input.
 *
 * Arguments: "idle=SECONDS" has it end when nothing was asked for so long. For tests, behind that: the folder to use as /proc,
 * and the one to use as /cgroup.
 */

#define VERSION "2"

#include "base.h"

enum { FILE_BYTES = 65536, LINE_BYTES = 8192, TAG_LETTERS = 64, PARENTS = 16, DEEPEST = 10, ID_LETTERS = 64, FULL_PIECE = 2048 };

/* How long the folders in which containers were found are taken for all there are. */
#define WALK_EVERY (60 * SECOND)

/* Files. */

static const char *proc = "/proc";
static const char *cgroup = "/cgroup";
static char text[FILE_BYTES];

/* The text of a file, or its beginning, in "text"; 0 if it cannot be read. */
static int load_in(int folder, const char *path) {
    u64 size = 0;
    int file = open_in(folder, path, 0);
    text[0] = 0;
    if (file < 0)
        return 0;
    /* The kernel writes such files by the page: a piece that is far from full was the last one. */
    for (long count = FULL_PIECE; count >= FULL_PIECE && size < FILE_BYTES - 1; size += count > 0 ? (u64)count : 0)
        count = call(READ, (u64)file, (u64)(text + size), FILE_BYTES - 1 - size);
    call(CLOSE, (u64)file, 0, 0);
    text[size] = 0;
    return size > 0;
}

static int load(const char *path) {
    return load_in(AT_FDCWD, path);
}

static int load_proc(const char *name) {
    char path[PATH_BYTES];
    join(path, (const char *const[]){proc, name, 0});
    return load(path);
}

/* The number behind the word with which a line of the text begins. */
static u64 value_of(const char *word) {
    for (const char *line = text; *line; line = after_line(line)) {
        u64 size = begins(line, word);
        if (size) {
            line += size;
            while (*line == ' ')
                line++;
            return number(line);
        }
    }
    return NOT_KNOWN;
}

/* The sum of all numbers that come right after the mark. */
static u64 sum_of(const char *mark) {
    u64 sum = 0;
    for (const char *at = text; *at; at++) {
        u64 size = begins(at, mark);
        if (size && number(at + size) != NOT_KNOWN)
            sum += number(at + size);
    }
    return sum;
}

/* The machine. */

static void say_file(const char *name, const char *path) {
    if (load_proc(path)) {
        say(name);
        put(' ');
        say_line(text);
        put('\n');
    }
}

static void say_time(void) {
    say("time");
    say_number(now());
    put('\n');
}

static void say_host(void) {
    struct { u64 type, block, blocks, free, available, rest[32]; } disk;
    u64 cores = 0;
    say_time();
    say_file("boot", "/sys/kernel/random/boot_id");
    if (load_proc("/stat")) {
        for (const char *line = text; begins(line, "cpu"); line = after_line(line))
            cores++;
        say_line(text);
        say("\ncores");
        say_number(cores - 1);
        put('\n');
    }
    if (load_proc("/meminfo")) {
        say("memory");
        say_number(value_of("MemTotal:"));
        say_number(value_of("MemAvailable:"));
        put('\n');
    }
    say_file("load", "/loadavg");
    say_file("pressure-cpu", "/pressure/cpu");
    say_file("pressure-memory", "/pressure/memory");
    say_file("pressure-io", "/pressure/io");
    if (call(STATFS, (u64) "/", (u64)&disk, 0) == 0) {
        say("disk");
        say_number(disk.blocks * disk.block);
        say_number(disk.free * disk.block);
        put('\n');
    }
}

/* Containers. */

struct entry { u64 inode, offset; unsigned short size; unsigned char type; char name[]; };

static char parents[PARENTS][PATH_BYTES];
static int parent_count;
static u64 walked;
static int unified;

/* The container's id within the name of its control group; 0 if the name is of something else. */
static const char *container_id(const char *name) {
    u64 letters = 0;
    const char *id = name + begins(name, "docker-");
    if (id == name)
        id = name + begins(name, "libpod-");
    while ((id[letters] >= '0' && id[letters] <= '9') || (id[letters] >= 'a' && id[letters] <= 'f'))
        letters++;
    if (letters != ID_LETTERS)
        return 0;
    return id == name ? (id[letters] ? 0 : id) : (begins(id + letters, ".scope") ? id : 0);
}

/* The folder of a controller: one for all of them, or each its own. */
static const char *controller(const char *name) {
    return unified ? "" : name;
}

static int load_group(const char *kind, const char *group, const char *file) {
    char path[PATH_BYTES];
    join(path, (const char *const[]){cgroup, controller(kind), group, file, 0});
    return load(path);
}

static u64 group_number(const char *kind, const char *group, const char *file) {
    return load_group(kind, group, file) ? number(text) : NOT_KNOWN;
}

static u64 nanoseconds(u64 microseconds) {
    return microseconds == NOT_KNOWN ? NOT_KNOWN : microseconds * 1000;
}

/* CPU and throttled time in nanoseconds; memory used, of which inactive files, limit; processes; kills; bytes read, written. */
static void say_container(const char *id, const char *group) {
    u64 cpu, throttled, readings, writings;
    for (int i = 0; i < ID_LETTERS; i++)
        put(id[i]);
    load_group("/cpu", group, "/cpu.stat");
    if (unified) {
        cpu = nanoseconds(value_of("usage_usec "));
        throttled = nanoseconds(value_of("throttled_usec "));
    } else {
        throttled = value_of("throttled_time ");
        cpu = group_number("/cpuacct", group, "/cpuacct.usage");
    }
    say_number(cpu);
    say_number(throttled);
    say_number(group_number("/memory", group, unified ? "/memory.current" : "/memory.usage_in_bytes"));
    load_group("/memory", group, "/memory.stat");
    say_number(value_of(unified ? "inactive_file " : "total_inactive_file "));
    say_number(group_number("/memory", group, unified ? "/memory.max" : "/memory.limit_in_bytes"));
    say_number(group_number("/pids", group, "/pids.current"));
    load_group("/memory", group, unified ? "/memory.events" : "/memory.oom_control");
    say_number(value_of("oom_kill "));
    readings = writings = NOT_KNOWN;
    /* A container that has read nothing has an empty file, which cannot be told from none; so has one without limits. */
    if (load_group("/blkio", group, unified ? "/io.stat" : "/blkio.throttle.io_service_bytes_recursive")) {
        readings = sum_of(unified ? " rbytes=" : " Read ");
        writings = sum_of(unified ? " wbytes=" : " Write ");
    }
    say_number(readings);
    say_number(writings);
    put('\n');
}

static void remember(const char *group) {
    for (int i = 0; i < parent_count; i++)
        if (length(parents[i]) == length(group) && (!*group || begins(parents[i], group)))
            return;
    if (parent_count < PARENTS)
        join(parents[parent_count++], (const char *const[]){group, 0});
}

/* Looks through the folders of a control group. Tells of the containers in it, or remembers where there are some, all the way
 * down; 0 if the group is gone. */
static int look_through(const char *group, int depth, int telling) {
    char path[PATH_BYTES], entries[2048] __attribute__((aligned(8)));
    join(path, (const char *const[]){cgroup, controller("/cpuacct"), group, 0});
    int folder = open_to_read(path, O_DIRECTORY);
    if (folder < 0)
        return 0;
    for (;;) {
        long size = call(GETDENTS, (u64)folder, (u64)entries, sizeof entries);
        if (size <= 0)
            break;
        for (long at = 0; at < size; at += ((struct entry *)(entries + at))->size) {
            struct entry *one = (struct entry *)(entries + at);
            const char *id = container_id(one->name);
            if (one->type != DT_DIR || one->name[0] == '.' || (telling && !id))
                continue;
            join(path, (const char *const[]){group, "/", one->name, 0});
            if (!id && *path && depth < DEEPEST)
                look_through(path, depth + 1, 0);
            else if (id && telling)
                say_container(id, path);
            else if (id)
                remember(group);
        }
    }
    call(CLOSE, (u64)folder, 0, 0);
    return 1;
}

static void say_containers(void) {
    char path[PATH_BYTES];
    join(path, (const char *const[]){cgroup, "/cgroup.controllers", 0});
    unified = load(path);
    say_time();
    if (!walked || now() - walked > WALK_EVERY) {
        parent_count = 0;
        walked = now();
        look_through("", 0, 0);
    }
    for (int i = 0; i < parent_count; i++)
        if (!look_through(parents[i], 0, 1))
            walked = 0;
}

#include "probe.h"

/* Questions. */

static void reply(char *line) {
    char *tag = after_word(line);
    if (begins(line, "probe")) {
        probe(tag);
        return;
    }
    if (length(tag) > TAG_LETTERS)
        return;
    say("begin ");
    say(tag);
    put('\n');
    if (begins(line, "host"))
        say_host();
    else if (begins(line, "containers"))
        say_containers();
    else
        say("version " VERSION "\n");
    say("end ");
    say(tag);
    put('\n');
    flush();
}

/* Entered from _start with the stack as the kernel has filled it: the count of arguments, then the arguments. */
__attribute__((used)) void run(u64 *stack) {
    static char line[LINE_BYTES], input[LINE_BYTES];
    char **arguments = (char **)(stack + 1), **last = arguments + stack[0];
    u64 used = 0, asked = now(), idle = NOT_KNOWN;
    if (++arguments < last && begins(*arguments, "idle="))
        idle = number(*arguments++ + 5) * SECOND;
    if (arguments < last)
        proc = *arguments++;
    if (arguments < last)
        cgroup = *arguments;
    for (;;) {
        u64 quiet = now() - asked;
        gather_children();
        if (quiet >= idle)
            end(0);
        if (!ready(0, POLLIN, children ? SECOND : idle - quiet))
            continue;
        long count = call(READ, 0, (u64)input, sizeof input);
        if (count <= 0)
            end(count < 0);
        asked = now();
        for (long i = 0; i < count; i++) {
            if (input[i] != '\n') {
                /* Of a line that is too long, the beginning is the question. */
                if (used < LINE_BYTES - 1)
                    line[used++] = input[i];
                continue;
            }
            line[used] = 0;
            used = 0;
            if (line[0])
                reply(line);
        }
    }
}
