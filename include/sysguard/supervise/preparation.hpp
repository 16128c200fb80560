#pragma once

#include "detail/worker_messages.hpp"
#include "messages.hpp"
#include "pending.hpp"
#include "perform/extended_attributes.hpp"
#include "perform/performers.hpp"
#include "remote_descriptor.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace sysguard::supervise {

/// What a call needs that is to be performed: copies of what its pointers lead to, room for what it writes, duplicates
/// of its descriptors. Bounded, whatever the worker says.
class Preparation {
public:
    Preparation(const Preparation&) = delete;
    Preparation& operator=(const Preparation&) = delete;
    explicit Preparation(Pending&& call) : call_{std::move(call)} {
        job_.call = call_.call;
        for (int i = 0; i < abi::max_arguments; ++i) {
            job_.arguments[i] = call_.arguments[i];
            job_.fds[i] = -EBADF;
        }
    }

    /// Copies what has not been copied yet of what the call leads to. May wait as reading the worker's memory may.
    /// Throws std::bad_alloc.
    void prepare() {
        performer_ = perform::performer(call_.number);
        job_.caller = {call_.thread, process_of(call_.thread), call_.line->session};
        job_.ruleset = call_.line->ruleset;
        for (int i = 0; i < call_.call->argument_count(); ++i) prepare_argument(i);
        for (int i = 0; i < abi::max_arguments; ++i)
            if (call_.copies[i].is_decided) job_.decided[i] = call_.copies[i].place.c_str();
        if (detail::sends_messages(call_.number)) {
            messages_ = &detail::messages_of(call_);
            job_.extra = messages_->outgoing();
        }
        if (messages_ != nullptr || call_.number == sys::sendto)
            wants_sigpipe_ = owes_sigpipe(job_.fds[0], call_.value(abi::ArgName::flags), EPIPE);
    }

protected:
    ~Preparation() = default;

    /// Gives the worker what a call that has succeeded has written. What cannot be written is noted in the call.
    void write_outputs() noexcept {
        for (int i = 0; i < abi::max_arguments; ++i)
            if (job_.out[i].size > 0 && !call_.write(call_.arguments[i], job_.out[i].data, job_.out[i].size)) break;
        if (messages_) write_lengths();
        if (value_out_.size > 0) call_.write(value_.value, value_out_.data, value_out_.size);
    }

    Pending call_;
    perform::Job job_{};
    perform::Performer performer_ = nullptr;
    Messages* messages_ = nullptr;  ///< the call's
    bool wants_sigpipe_ = false;

private:
    static constexpr std::size_t most_value = 65536;  // XATTR_SIZE_MAX

    void prepare_argument(int i) {
        const abi::Argument& argument = call_.call->arguments[i];
        if (argument.type == abi::Type::fd || argument.type == abi::Type::dirfd) {
            job_.fds[i] = duplicate(i);
            return;
        }
        if (!abi::is_pointer(argument.type)) return;
        if (argument.direction == abi::Direction::out)
            prepare_output(i);
        else if (argument.type != abi::Type::msghdr && argument.type != abi::Type::mmsghdr)
            prepare_input(i);
    }

    void prepare_input(int i) {
        if (call_.arguments[i] == 0) {
            if (says_that_there_is_something(i)) job_.in[i].error = EFAULT;
            return;
        }
        const Copied& copied = call_.copy(i);
        job_.in[i].error = copied.error;
        job_.in[i].size = copied.bytes.size();
        job_.in[i].data = copied.error == 0 ? copied.bytes.data() : nullptr;
        if (copied.is_cut && copied.error == 0) limit_input(i);
        if (call_.call->arguments[i].type == abi::Type::xattr_args) prepare_value(copied.bytes);
    }

    /// Of a null pointer.
    bool says_that_there_is_something(int i) const noexcept {
        const abi::Argument& argument = call_.call->arguments[i];
        return argument.type == abi::Type::bytes && argument.length != abi::ArgName::none &&
               call_.value(argument.length) != 0;
    }

    /// A payload of which the host has copied the beginning: streams are told of a short write; all else fails.
    void limit_input(int i) noexcept {
        const abi::ArgName length = call_.call->arguments[i].length;
        if (call_.number == sys::sendto && is_stream(job_.fds[0]))
            job_.arguments[call_.call->position(length)] = job_.in[i].size;
        else
            job_.in[i] = {nullptr, 0, call_.number == sys::sendto ? EMSGSIZE : E2BIG};
    }

    static bool is_stream(int fd) noexcept {
        int type = 0;
        socklen_t size = sizeof type;
        return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
    }

    /// In place of a performer that would need a descriptor which the host may not have.
    SYSGUARD_BARE static long refuse(perform::Job&) noexcept { return -EPERM; }

    /// The value that the structure of setxattrat and getxattrat leads to.
    void prepare_value(const std::string& structure) {
        if (structure.size() < sizeof value_) return;
        __builtin_memcpy(&value_, structure.data(), sizeof value_);
        const std::size_t most = most_value < call_.line->most_read ? most_value : call_.line->most_read;
        value_bytes_.resize(value_.size < most ? value_.size : most);
        if (call_.number == sys::getxattrat) {
            value_out_ = {value_bytes_.data(), value_bytes_.size(), 0};
            job_.extra = &value_out_;
            return;
        }
        job_.extra = &value_in_;
        const std::size_t size = value_bytes_.size();
        value_in_ = {value_bytes_.data(), size, 0};
        if (value_.size > most_value) return;  // the kernel refuses it without a look
        const bool is_read = read_memory(call_.thread, value_.value, value_bytes_.data(), size) == size;
        if (value_.size > most) value_in_ = {nullptr, 0, E2BIG};
        if (!is_read || !call_.is_pending()) value_in_ = {nullptr, 0, EFAULT};
    }

    void prepare_output(int i) {
        const abi::Argument& argument = call_.call->arguments[i];
        if (call_.arguments[i] == 0) return;
        std::size_t size = 0;
        if (argument.type == abi::Type::stat) size = sizeof(struct stat);
        if (argument.type == abi::Type::statx) size = 256;
        if (argument.type == abi::Type::statfs) size = 120;
        if (argument.type == abi::Type::bytes && argument.length != abi::ArgName::none) {
            const int at = call_.call->position(argument.length);
            const std::uint64_t said = call_.arguments[at] & abi::info(call_.call->arguments[at].type).tested;
            size = said < call_.line->most_read ? static_cast<std::size_t>(said) : call_.line->most_read;
        }
        outputs_[i].resize(size);
        job_.out[i].data = outputs_[i].data();
        job_.out[i].capacity = size;
    }

    int duplicate(int i) {
        if (static_cast<int>(call_.arguments[i]) == AT_FDCWD) return AT_FDCWD;
        const bool is_place = call_.call->arguments[i].type == abi::Type::dirfd;
        const process::Descriptor& copy = call_.descriptor(i, is_place ? duplicate_place : duplicate_descriptor);
        if (!copy && call_.copies[i].error == EPERM) performer_ = refuse;
        return copy ? copy.get() : -EBADF;
    }

    void write_lengths() noexcept {
        if (call_.number != sys::sendmmsg) return;
        for (unsigned i = 0; i < messages_->sent(); ++i) {
            const std::uint32_t length = messages_->length(i);
            call_.write(messages_->place_of_length(i), reinterpret_cast<const char*>(&length), sizeof length);
        }
    }

    std::string outputs_[abi::max_arguments]{};
    detail::XattrArgs value_{};
    std::string value_bytes_{};
    perform::Input value_in_{};
    perform::Output value_out_{};
};

}  // namespace sysguard::supervise
