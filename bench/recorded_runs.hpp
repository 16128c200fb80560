#pragma once

#include <sysguard/policy/weights.hpp>

#include <vector>

namespace bench {

namespace sys = sysguard::sys;

/// What `strace -f -c -U calls,name` counted on x86_64 for GNU tar 1.34 with gzip 1.12, `tar -czf out.tgz linux`, of a
/// copy of Debian 12's /usr/include/linux (763 files, 6.5 MB). Calls that only x86_64 has are left out.
inline const std::vector<sysguard::CallCount> tar_run{
    {sys::newfstatat, 2452},  {sys::read, 1383},      {sys::openat, 839},
    {sys::close, 835},        {sys::write, 521},      {sys::fcntl, 61},
    {sys::getdents64, 58},    {sys::mmap, 50},        {sys::rt_sigaction, 22},
    {sys::mprotect, 12},      {sys::brk, 8},          {sys::pread64, 6},
    {sys::socket, 4},         {sys::connect, 4},      {sys::set_robust_list, 4},
    {sys::wait4, 3},          {sys::munmap, 3},       {sys::prlimit64, 3},
    {sys::rt_sigprocmask, 3}, {sys::execve, 3},       {sys::set_tid_address, 3},
    {sys::rseq, 3},           {sys::lseek, 2},        {sys::dup, 2},
    {sys::geteuid, 2},        {sys::statfs, 2},       {sys::getrandom, 2},
    {sys::ioctl, 1},          {sys::rt_sigreturn, 1}, {sys::getpid, 1},
    {sys::clone, 1},          {sys::getuid, 1},       {sys::getgid, 1},
    {sys::getegid, 1},        {sys::getppid, 1},      {sys::futex, 1},
    {sys::pipe2, 1},
};

/// The same for Python 3.11.2, `python3 -m compileall -q -f` of the json and http packages of its library.
inline const std::vector<sysguard::CallCount> python_run{
    {sys::newfstatat, 537}, {sys::read, 126},      {sys::lseek, 117},         {sys::openat, 103},
    {sys::close, 96},       {sys::ioctl, 78},      {sys::rt_sigaction, 66},   {sys::mmap, 50},
    {sys::brk, 43},         {sys::getdents64, 28}, {sys::write, 10},          {sys::mprotect, 10},
    {sys::munmap, 8},       {sys::fcntl, 4},       {sys::pread64, 2},         {sys::mremap, 2},
    {sys::getrandom, 2},    {sys::sysinfo, 1},     {sys::getcwd, 1},          {sys::getuid, 1},
    {sys::geteuid, 1},      {sys::getegid, 1},     {sys::execve, 1},          {sys::getgid, 1},
    {sys::gettid, 1},       {sys::futex, 1},       {sys::set_tid_address, 1}, {sys::set_robust_list, 1},
    {sys::prlimit64, 1},    {sys::rseq, 1},
};

}  // namespace bench
