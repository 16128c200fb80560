#include <sysguard/abi/layouts.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <iterator>
#include <string_view>

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <sys/ioctl.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <utime.h>
#include <csignal>
#include <ctime>

namespace abi = sysguard::abi;

namespace {

constexpr const abi::Field& field(abi::Layout layout, std::string_view name) {
    for (const abi::Field& each : abi::fields_of(layout))
        if (each.name == name) return each;
    throw "no such field";
}

}  // namespace

/// A field lies where the system's headers have it, and has its size there.
#define SYSGUARD_SAME(layout, type, member)                                             \
    static_assert(field(abi::Layout::layout, #member).at[0] == offsetof(type, member)); \
    static_assert(field(abi::Layout::layout, #member).size[0] == sizeof(static_cast<type*>(0)->member))
#define SYSGUARD_SAME_AS(layout, name, type, member)                                 \
    static_assert(field(abi::Layout::layout, name).at[0] == offsetof(type, member)); \
    static_assert(field(abi::Layout::layout, name).size[0] == sizeof(static_cast<type*>(0)->member))

SYSGUARD_SAME(timespec, timespec, tv_sec);
SYSGUARD_SAME(timespec, timespec, tv_nsec);
SYSGUARD_SAME(timeval, timeval, tv_sec);
SYSGUARD_SAME(timeval, timeval, tv_usec);
SYSGUARD_SAME(itimerspec, itimerspec, it_value);
SYSGUARD_SAME(itimerval, itimerval, it_value);
SYSGUARD_SAME(utimbuf, utimbuf, modtime);
SYSGUARD_SAME_AS(rusage, "ru_stime", rusage, ru_stime);
SYSGUARD_SAME(rusage, rusage, ru_maxrss);
SYSGUARD_SAME(rusage, rusage, ru_nivcsw);
SYSGUARD_SAME(rlimit, rlimit, rlim_max);
SYSGUARD_SAME(tms, tms, tms_cstime);
SYSGUARD_SAME_AS(sysinfo, "uptime", struct sysinfo, uptime);
SYSGUARD_SAME_AS(sysinfo, "loads", struct sysinfo, loads);
SYSGUARD_SAME_AS(sysinfo, "freeswap", struct sysinfo, freeswap);
SYSGUARD_SAME_AS(sysinfo, "procs", struct sysinfo, procs);
SYSGUARD_SAME_AS(sysinfo, "freehigh", struct sysinfo, freehigh);
SYSGUARD_SAME_AS(sysinfo, "mem_unit", struct sysinfo, mem_unit);
SYSGUARD_SAME_AS(stat, "st_dev", struct stat, st_dev);
SYSGUARD_SAME_AS(stat, "st_ino", struct stat, st_ino);
SYSGUARD_SAME_AS(stat, "st_mode", struct stat, st_mode);
SYSGUARD_SAME_AS(stat, "st_nlink", struct stat, st_nlink);
SYSGUARD_SAME_AS(stat, "st_uid", struct stat, st_uid);
SYSGUARD_SAME_AS(stat, "st_gid", struct stat, st_gid);
SYSGUARD_SAME_AS(stat, "st_rdev", struct stat, st_rdev);
SYSGUARD_SAME_AS(stat, "st_size", struct stat, st_size);
SYSGUARD_SAME_AS(stat, "st_blksize", struct stat, st_blksize);
SYSGUARD_SAME_AS(stat, "st_blocks", struct stat, st_blocks);
SYSGUARD_SAME_AS(stat, "st_atime_nsec", struct stat, st_atim.tv_nsec);
SYSGUARD_SAME_AS(stat, "st_ctime_nsec", struct stat, st_ctim.tv_nsec);
SYSGUARD_SAME_AS(statfs, "f_type", struct statfs, f_type);
SYSGUARD_SAME_AS(statfs, "f_blocks", struct statfs, f_blocks);
SYSGUARD_SAME_AS(statfs, "f_ffree", struct statfs, f_ffree);
SYSGUARD_SAME_AS(statfs, "f_fsid", struct statfs, f_fsid);
SYSGUARD_SAME_AS(statfs, "f_namelen", struct statfs, f_namelen);
SYSGUARD_SAME_AS(statfs, "f_flags", struct statfs, f_flags);
SYSGUARD_SAME_AS(statx, "stx_mask", struct statx, stx_mask);
SYSGUARD_SAME_AS(statx, "stx_attributes", struct statx, stx_attributes);
SYSGUARD_SAME_AS(statx, "stx_mode", struct statx, stx_mode);
SYSGUARD_SAME_AS(statx, "stx_size", struct statx, stx_size);
SYSGUARD_SAME_AS(statx, "stx_mtime", struct statx, stx_mtime);
SYSGUARD_SAME_AS(statx, "stx_dev_minor", struct statx, stx_dev_minor);
SYSGUARD_SAME(stack, stack_t, ss_sp);
SYSGUARD_SAME(stack, stack_t, ss_flags);
SYSGUARD_SAME(stack, stack_t, ss_size);
SYSGUARD_SAME_AS(flock, "l_type", struct flock, l_type);
SYSGUARD_SAME_AS(flock, "l_whence", struct flock, l_whence);
SYSGUARD_SAME_AS(flock, "l_start", struct flock, l_start);
SYSGUARD_SAME_AS(flock, "l_len", struct flock, l_len);
SYSGUARD_SAME_AS(flock_owned, "l_pid", struct flock, l_pid);
SYSGUARD_SAME(winsize, winsize, ws_ypixel);
SYSGUARD_SAME(mq_attr, mq_attr, mq_flags);
SYSGUARD_SAME(mq_attr, mq_attr, mq_curmsgs);
SYSGUARD_SAME(sembuf, sembuf, sem_flg);
SYSGUARD_SAME_AS(shmid_ds, "shm_perm", struct shmid_ds, shm_perm);
SYSGUARD_SAME_AS(shmid_ds, "shm_segsz", struct shmid_ds, shm_segsz);
SYSGUARD_SAME_AS(shmid_ds, "shm_ctime", struct shmid_ds, shm_ctime);
SYSGUARD_SAME_AS(shmid_ds, "shm_lpid", struct shmid_ds, shm_lpid);
SYSGUARD_SAME_AS(shmid_ds, "shm_nattch", struct shmid_ds, shm_nattch);
SYSGUARD_SAME_AS(ipc_perm, "uid", struct ipc_perm, uid);
SYSGUARD_SAME_AS(ipc_perm, "cgid", struct ipc_perm, cgid);
SYSGUARD_SAME_AS(msqid_ds, "msg_ctime", struct msqid_ds, msg_ctime);
SYSGUARD_SAME_AS(msqid_ds, "msg_qbytes", struct msqid_ds, msg_qbytes);
SYSGUARD_SAME_AS(msqid_ds, "msg_lrpid", struct msqid_ds, msg_lrpid);
SYSGUARD_SAME_AS(semid_ds, "sem_otime", struct semid_ds, sem_otime);
SYSGUARD_SAME_AS(semid_ds, "sem_nsems", struct semid_ds, sem_nsems);
SYSGUARD_SAME(io_event, io_event, res2);
SYSGUARD_SAME_AS(timex, "status", struct timex, status);
SYSGUARD_SAME_AS(timex, "time", struct timex, time);
SYSGUARD_SAME_AS(timex, "shift", struct timex, shift);
SYSGUARD_SAME_AS(timex, "tai", struct timex, tai);
SYSGUARD_SAME_AS(mount_attr, "propagation", struct mount_attr, propagation);
SYSGUARD_SAME_AS(futex_waitv, "flags", struct futex_waitv, flags);
SYSGUARD_SAME_AS(seccomp_sizes, "seccomp_data", struct seccomp_notif_sizes, seccomp_data);
SYSGUARD_SAME_AS(credentials, "gid", struct ucred, gid);
SYSGUARD_SAME_AS(linger, "l_linger", struct linger, l_linger);
static_assert(abi::size_of(abi::Layout::utsname, 8) == sizeof(utsname));
static_assert(abi::size_of(abi::Layout::stat, 8) == sizeof(struct stat));
static_assert(abi::size_of(abi::Layout::statx, 8) == sizeof(struct statx));
static_assert(abi::size_of(abi::Layout::statfs, 8) == sizeof(struct statfs));
static_assert(abi::size_of(abi::Layout::sysinfo, 8) == sizeof(struct sysinfo));
static_assert(abi::size_of(abi::Layout::rusage, 8) == sizeof(rusage));
static_assert(abi::size_of(abi::Layout::timex, 8) == sizeof(timex));
static_assert(abi::size_of(abi::Layout::shmid_ds, 8) == sizeof(struct shmid_ds));
static_assert(abi::size_of(abi::Layout::semid_ds, 8) == sizeof(struct semid_ds));

TEST_CASE("fields lie within their structures, for programs of 64 bits and of 32") {
    for (const abi::Field& each : abi::fields)
        for (const unsigned word : {8U, 4U}) {
            const unsigned column = word == 8 ? 0 : 1;
            CAPTURE(std::string_view{each.name});
            CHECK(each.at[column] + each.size[column] <= abi::size_of(each.layout, word));
            CHECK(each.size[column] > 0);
            if (each.nested != abi::Layout::none) CHECK(abi::size_of(each.nested, word) <= each.size[column]);
        }
}

TEST_CASE("a field that is made of constants says of which, and a structure which") {
    for (const abi::Field& each : abi::fields) {
        CAPTURE(std::string_view{each.name});
        const bool needs = each.show == abi::FieldShow::choice || each.show == abi::FieldShow::flags;
        CHECK(needs == (each.set != abi::ConstantSet::none));
        CHECK((each.show == abi::FieldShow::structure) == (each.nested != abi::Layout::none));
    }
}
