#include "made.hpp"

#include <doctest/doctest.h>

#include <string>

#include <sys/mman.h>

// Memory, messages of System V, filters, keys and rings. Expected texts are what strace 6.1 writes of the same calls.

using rendered::answered;
using rendered::einval;
using rendered::hex;
using rendered::refused;

namespace {

const void* const nowhere = reinterpret_cast<const void*>(8);

}  // namespace

TEST_CASE("mapping") {
    CHECK(answered(SYS_mmap, {nullptr, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}, 0x7f0000000000) ==
          "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000");
    CHECK(refused(SYS_mmap, {nullptr, 4096, 0, MAP_ANONYMOUS, 3, 0x1000}) ==
          "mmap(NULL, 4096, PROT_NONE, MAP_FILE|MAP_ANONYMOUS, 3, 0x1000)" + einval);
    CHECK(refused(SYS_mmap, {nowhere, 0, 7, 0x40022 | 21U << 26, -1, 0}) ==
          "mmap(0x8, 0, PROT_READ|PROT_WRITE|PROT_EXEC, MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB|21<<MAP_HUGE_SHIFT, -1, "
          "0)" +
              einval);
    CHECK(refused(SYS_mremap, {nowhere, 4096, 8192, 1, 0x5000}) == "mremap(0x8, 4096, 8192, MREMAP_MAYMOVE)" + einval);
    CHECK(refused(SYS_mremap, {nowhere, 4096, 8192, 15, 0x5000}) ==
          "mremap(0x8, 4096, 8192, MREMAP_MAYMOVE|MREMAP_FIXED|MREMAP_DONTUNMAP|0x8, 0x5000)" + einval);
    CHECK(refused(SYS_madvise, {nowhere, 4096, 99}) == "madvise(0x8, 4096, 0x63 /* MADV_??? */)" + einval);
    const char pages[] = {1, 0};
    CHECK(answered(SYS_mincore, {0x1000, 8192, pages}, 0) == "mincore(0x1000, 8192, [1, 0]) = 0");
    CHECK(refused(SYS_memfd_create, {"q", 5 | 21U << 26}) ==
          "memfd_create(\"q\", MFD_CLOEXEC|MFD_HUGETLB|21<<MFD_HUGE_SHIFT)" + einval);
    CHECK(answered(SYS_membarrier, {0, 0}, 9) ==
          "membarrier(MEMBARRIER_CMD_QUERY, 0) = 0x9 (MEMBARRIER_CMD_GLOBAL|MEMBARRIER_CMD_PRIVATE_EXPEDITED)");
}

TEST_CASE("futexes: which arguments are there depends on the operation") {
    const long time[] = {1, 0};
    CHECK(refused(SYS_futex, {nowhere, 0, 6, nullptr, 1, 1}) == "futex(0x8, FUTEX_WAIT, 6, NULL)" + einval);
    CHECK(refused(SYS_futex, {nowhere, 0x80, 6, time}) ==
          "futex(0x8, FUTEX_WAIT_PRIVATE, 6, {tv_sec=1, tv_nsec=0})" + einval);
    CHECK(refused(SYS_futex, {nowhere, 0x81, 1, 1, 1, 1}) == "futex(0x8, FUTEX_WAKE_PRIVATE, 1)" + einval);
    CHECK(
        refused(SYS_futex, {nowhere, 0x189, 6, time, 0, -1}) ==
        "futex(0x8, FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME, 6, {tv_sec=1, tv_nsec=0}, FUTEX_BITSET_MATCH_ANY)" +
            einval);
    CHECK(refused(SYS_futex, {nowhere, 5, 1, 1, nowhere, 0x4000001}) ==
          "futex(0x8, FUTEX_WAKE_OP, 1, 1, 0x8, FUTEX_OP_SET<<28|0<<12|FUTEX_OP_CMP_GT<<24|0x1)" + einval);
    CHECK(refused(SYS_futex, {nowhere, 99, 1, 2, 3, 4}) ==
          "futex(0x8, 0x63 /* FUTEX_??? */, 1, 0x2, 0x3, 0x4)" + einval);
}

TEST_CASE("System V's and POSIX' messages, semaphores and memory") {
    CHECK(refused(SYS_shmget, {0, 4096, 01600}) == "shmget(IPC_PRIVATE, 4096, IPC_CREAT|0600)" + einval);
    CHECK(refused(SYS_shmget, {0x123, 4096, 0}) == "shmget(0x123, 4096, 000)" + einval);
    CHECK(refused(SYS_shmat, {5, nullptr, 010000}) == "shmat(5, NULL, SHM_RDONLY)" + einval);
    CHECK(refused(SYS_shmctl, {5, 0, nullptr}) == "shmctl(5, IPC_RMID, NULL)" + einval);
    const short operations[] = {0, 1, 0, 1, -1, 0x1800};
    CHECK(refused(SYS_semop, {5, operations, 2}) ==
          "semop(5, [{sem_num=0, sem_op=1, sem_flg=0}, {sem_num=1, sem_op=-1, sem_flg=SEM_UNDO|IPC_NOWAIT}], 2)" +
              einval);
    CHECK(refused(SYS_semctl, {5, 0, 16, 5}) == "semctl(5, 0, SETVAL, 0x5)" + einval);
    const struct {
        long type = 5;
        char text[8] = "hello";
    } message;
    CHECK(refused(SYS_msgsnd, {5, &message, 5, 04000}) ==
          "msgsnd(5, {mtype=5, mtext=\"hello\"}, 5, IPC_NOWAIT)" + einval);
    const long attributes[8] = {0, 2, 10, 0};
    CHECK(refused(SYS_mq_open, {"mq", 0x42, 0600, attributes}) ==
          "mq_open(\"mq\", O_RDWR|O_CREAT, 0600, {mq_flags=0, mq_maxmsg=2, mq_msgsize=10, mq_curmsgs=0})" + einval);
    CHECK(refused(SYS_mq_open, {"mq", 0, 0600, attributes}) == "mq_open(\"mq\", O_RDONLY)" + einval);
}

TEST_CASE("filters, programs and keys") {
    const struct {
        unsigned short length = 3;
        const void* filter = nowhere;
    } program;
    CHECK(refused(SYS_seccomp, {1, 8, &program}, EFAULT) ==
          "seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, {len=3, filter=0x8}) = -1 EFAULT (Bad "
          "address)");
    const unsigned action = 0x7fc00000;
    CHECK(answered(SYS_seccomp, {2, 0, &action}, 0) ==
          "seccomp(SECCOMP_GET_ACTION_AVAIL, 0, [SECCOMP_RET_USER_NOTIF]) = 0");
    const unsigned map[18] = {2, 4, 8, 10};
    CHECK(refused(SYS_bpf, {0, map, 16}) ==
          "bpf(BPF_MAP_CREATE, {map_type=BPF_MAP_TYPE_ARRAY, key_size=4, value_size=8, max_entries=10}, 16)" + einval);
    CHECK(refused(SYS_bpf, {99, map, 8}) == "bpf(0x63 /* BPF_??? */, " + hex(map) + ", 8)" + einval);
    CHECK(
        refused(SYS_keyctl, {5, 5, 0x3f010000}) ==
        "keyctl(KEYCTL_SETPERM, 5, KEY_POS_VIEW|KEY_POS_READ|KEY_POS_WRITE|KEY_POS_SEARCH|KEY_POS_LINK|KEY_POS_SETATTR|"
        "KEY_USR_VIEW)" +
            einval);
    CHECK(refused(SYS_add_key, {"user", "nm", "pl", 2, -3}) ==
          "add_key(\"user\", \"nm\", \"pl\", 2, KEY_SPEC_SESSION_KEYRING)" + einval);
    CHECK(refused(SYS_landlock_create_ruleset, {nullptr, 0, 1}) ==
          "landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)" + einval);
}

TEST_CASE("rings and other input and output") {
    const struct {
        unsigned long data = 7;
        unsigned key = 0;
        unsigned flags = 0;
        unsigned short operation = 1;
        short priority = 0;
        unsigned fd = 5;
        const char* buffer = "data";
        unsigned long size = 4;
        long offset = 0;
        unsigned long reserved = 0;
        unsigned more = 0;
        unsigned event = 0;
    } block;
    const void* const blocks[] = {&block, nowhere};
    CHECK(refused(SYS_io_submit, {5, 2, blocks}) ==
          "io_submit(0x5, 2, [{aio_data=0x7, aio_lio_opcode=IOCB_CMD_PWRITE, aio_fildes=5, aio_buf=\"data\", "
          "aio_nbytes=4, "
          "aio_offset=0}, 0x8])" +
              einval);
    CHECK(refused(SYS_io_uring_setup, {0, nowhere}, EFAULT) == "io_uring_setup(0, 0x8) = -1 EFAULT (Bad address)");
    CHECK(refused(SYS_io_uring_enter, {5, 1, 1, 15, nullptr, 8}) ==
          "io_uring_enter(5, 1, 1, "
          "IORING_ENTER_GETEVENTS|IORING_ENTER_SQ_WAKEUP|IORING_ENTER_SQ_WAIT|IORING_ENTER_EXT_ARG, "
          "NULL, 8)" +
              einval);
    CHECK(refused(SYS_reboot, {0xfee1deadU, 1, 2, nullptr}, EPERM) ==
          "reboot(LINUX_REBOOT_MAGIC1, 0x1 /* LINUX_REBOOT_MAGIC_??? */, 0x2 /* LINUX_REBOOT_CMD_??? */) = -1 EPERM "
          "(Operation not permitted)");
    CHECK(refused(SYS_quotactl, {0x80000700, "/dev/null", 0, nowhere}) ==
          "quotactl(QCMD(Q_GETQUOTA, USRQUOTA), \"/dev/null\", 0, 0x8)" + einval);
}
