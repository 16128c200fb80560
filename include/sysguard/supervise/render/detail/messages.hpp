#pragma once

#include "addresses.hpp"
#include "arguments.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <sys/socket.h>

/// Vectors of buffers, and messages with what is sent beside them.
namespace sysguard::supervise::render::detail {

/// What is shown of the buffers of a vector.
enum class BufferShow : std::uint8_t {
    contents,  ///< all of them
    result,    ///< no more bytes in all than `limit`
    address,
};

/// [{iov_base="abc", iov_len=3}, ...]
inline void show_vector(Walk& walk, std::uint64_t address, std::uint64_t count, BufferShow show,
                        std::uint64_t limit = ~0ULL) {
    const unsigned size = 2 * walk.word;
    if (count > 0x7fffffff / size) return walk.address(address);
    show_each(walk, address, count, size, [&](const unsigned char* bytes) {
        const std::uint64_t base = number_at(bytes, 0, walk.word);
        const std::uint64_t length = number_at(bytes, walk.word, walk.word);
        walk.sink.begin(Shape::structure);
        walk.field("iov_base");
        if (show == BufferShow::address) {
            walk.address(base);
        } else {
            const std::uint64_t shown = std::min(length, limit);
            show_bytes(walk, base, shown);
            if (limit != ~0ULL) limit -= shown;
        }
        walk.count("iov_len", length);
        walk.sink.end();
    });
}

inline void form_vector(Walk& walk, const Item& item) {
    show_vector(walk, item.value, item.more, BufferShow::contents);
}
inline void form_vector_addresses(Walk& walk, const Item& item) {
    show_vector(walk, item.value, item.more, BufferShow::address);
}
inline void form_vector_result(Walk& walk, const Item& item) {
    const bool has_some = walk.is_returned() && !walk.call.is_error && walk.call.result >= 0;
    show_vector(walk, item.value, item.more, has_some ? BufferShow::result : BufferShow::address,
                has_some ? static_cast<std::uint64_t>(walk.call.result) : 0);
}

inline constexpr std::size_t most_control = 8192;  ///< of a message: more than a kernel's optmem_max gives at once

/// The data of a control message: what a level and type of its say it is.
inline void show_control_data(Walk& walk, unsigned level, unsigned type, const unsigned char* data, std::size_t size) {
    if (level == SOL_SOCKET && type == SCM_RIGHTS) {
        walk.sink.begin(Shape::array);
        for (std::size_t at = 0; at + 4 <= size; at += 4) {
            if (at / 4 >= walk.most_bytes()) {
                walk.sink.more();
                break;
            }
            walk.sink.element();
            show_descriptor(walk, low_int(number_at(data, at, 4)));
        }
        return walk.sink.end();
    }
    if (level == SOL_SOCKET && type == SCM_CREDENTIALS && size >= abi::size_of(abi::Layout::credentials, 8))
        return show_fields(walk, abi::Layout::credentials, data, 8);
    constexpr unsigned timestamp = 29;       // SO_TIMESTAMP_OLD
    constexpr unsigned timestamp_nano = 35;  // SO_TIMESTAMPNS_OLD
    constexpr unsigned timestamping = 37;    // SO_TIMESTAMPING_OLD
    constexpr unsigned timestamp_new = 63;   // SO_TIMESTAMP_NEW
    constexpr unsigned timestamp_nano_new = 64;
    constexpr unsigned timestamping_new = 65;
    if (level == SOL_SOCKET) {
        const bool is_new = type == timestamp_new || type == timestamp_nano_new || type == timestamping_new;
        const unsigned word = is_new ? 8 : walk.word;
        const bool micro = type == timestamp || type == timestamp_new;
        const bool nano = type == timestamp_nano || type == timestamp_nano_new;
        const abi::Layout layout = micro ? abi::Layout::timeval : abi::Layout::timespec;
        if ((micro || nano) && size >= 2 * word) return show_fields(walk, layout, data, word);
        if ((type == timestamping || type == timestamping_new) && size >= 6 * word) {
            walk.sink.begin(Shape::array);
            for (unsigned i = 0; i < 3; ++i) {
                walk.sink.element();
                show_fields(walk, abi::Layout::timespec, data + i * 2 * word, word);
            }
            return walk.sink.end();
        }
    }
    constexpr unsigned ip_tos = 1;
    constexpr unsigned ip_ttl = 2;
    constexpr unsigned ip_pktinfo = 8;
    constexpr unsigned ip_original = 20;
    if (level == IPPROTO_IP && type == ip_pktinfo && size >= 12) {
        walk.sink.begin(Shape::structure);
        walk.field("ipi_ifindex");
        show_interface(walk, number_at(data, 0, 4));
        walk.field("ipi_spec_dst");
        show_inet(walk, number_at(data, 4, 4));
        walk.field("ipi_addr");
        show_inet(walk, number_at(data, 8, 4));
        return walk.sink.end();
    }
    if (level == IPPROTO_IP && type == ip_ttl && size >= 4) {
        walk.sink.begin(Shape::array);
        walk.sink.element();
        walk.count(number_at(data, 0, 4));
        return walk.sink.end();
    }
    if (level == IPPROTO_IP && type == ip_tos && size >= 1) {
        walk.sink.begin(Shape::array);
        walk.sink.element();
        walk.hex(number_at(data, 0, 1));
        return walk.sink.end();
    }
    if (level == IPPROTO_IP && type == ip_original && size >= 16) return show_address_bytes(walk, data, 16);
    const std::size_t shown = std::min<std::size_t>(size, walk.most_bytes());
    walk.sink.string({reinterpret_cast<const char*>(data), shown}, shown == size, Quoting::plain);
}

/// The control messages in so many bytes, read once.
inline void show_control(Walk& walk, std::uint64_t address, std::uint64_t length) {
    static_assert(sizeof(cmsghdr) == 16);
    unsigned char room[most_control];
    const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(length, most_control));
    const std::size_t head = walk.word + 8;
    if (size < head || !walk.read(address, room, size)) return walk.address(address);
    walk.sink.begin(Shape::array);
    for (std::size_t at = 0; at + head <= size;) {
        const std::uint64_t given = number_at(room, at, walk.word);
        const auto level = static_cast<unsigned>(number_at(room, at + walk.word, 4));
        const auto type = static_cast<unsigned>(number_at(room, at + walk.word + 4, 4));
        walk.sink.element();
        walk.sink.begin(Shape::structure);
        walk.count("cmsg_len", given);
        walk.field("cmsg_level");
        show_choice(walk, abi::ConstantSet::socket_level, level, 0xffffffff);
        walk.field("cmsg_type");
        if (level == SOL_SOCKET)
            show_choice(walk, abi::ConstantSet::socket_control, type, 0xffffffff);
        else if (level == IPPROTO_IP)
            show_choice(walk, abi::ConstantSet::ip_control, type, 0xffffffff);
        else
            walk.hex(type);
        const std::uint64_t whole = std::min<std::uint64_t>(std::max<std::uint64_t>(given, head), size - at);
        if (whole > head) {
            walk.field("cmsg_data");
            show_control_data(walk, level, type, room + at + head, static_cast<std::size_t>(whole) - head);
        }
        walk.sink.end();
        if (given < head || given > size - at) break;
        const std::uint64_t step = (given + walk.word - 1) / walk.word * walk.word;
        if (step > size - at) break;
        at += static_cast<std::size_t>(step);
        if (at + head > size && at < size) {
            walk.sink.more();
            walk.sink.note(Piece{}.hex(address + at).view());
        }
    }
    walk.sink.end();
}

/// A message's structure in the program's memory.
struct MessageBytes {
    unsigned char bytes[56];
    unsigned word;

    unsigned size() const noexcept { return word == 8 ? 56 : 28; }
    std::uint64_t name() const noexcept { return number_at(bytes, 0, word); }
    std::uint64_t name_length() const noexcept { return number_at(bytes, word, 4); }
    std::uint64_t vector() const noexcept { return number_at(bytes, 2 * word, word); }
    std::uint64_t vector_length() const noexcept { return number_at(bytes, 3 * word, word); }
    std::uint64_t control() const noexcept { return number_at(bytes, 4 * word, word); }
    std::uint64_t control_length() const noexcept { return number_at(bytes, 5 * word, word); }
    std::uint64_t flags() const noexcept { return number_at(bytes, 6 * word, 4); }
};

/// {msg_name=..., ...}; of one that was received, `limit` bytes of its buffers. `given`: how long its name could be.
inline void show_message(Walk& walk, const MessageBytes& message, BufferShow show, std::uint64_t limit,
                         std::uint64_t given) {
    walk.sink.begin(Shape::structure);
    walk.field("msg_name");
    const std::int64_t length = low_int(message.name_length());
    show_address(walk, message.name(), given == ~0ULL ? length : std::min<std::int64_t>(length, low_int(given)));
    walk.sink.field("msg_namelen");
    if (given != ~0ULL && given != message.name_length()) {
        walk.number(low_int(given));
        walk.sink.becomes();
    }
    walk.number(length);
    walk.field("msg_iov");
    show_vector(walk, message.vector(), message.vector_length(), show, limit);
    walk.count("msg_iovlen", message.vector_length());
    if (message.control_length() != 0) {
        walk.field("msg_control");
        show_control(walk, message.control(), message.control_length());
    }
    walk.count("msg_controllen", message.control_length());
    walk.field("msg_flags");
    show_flags(walk, abi::ConstantSet::message, message.flags());
    walk.sink.end();
}

inline bool read_message(Walk& walk, std::uint64_t address, MessageBytes& message) noexcept {
    message.word = walk.word;
    return walk.read(address, message.bytes, message.size());
}

inline void form_message_in(Walk& walk, const Item& item) {
    MessageBytes message;
    if (!read_message(walk, item.value, message)) return walk.address(item.value);
    show_message(walk, message, BufferShow::contents, ~0ULL, ~0ULL);
}

inline void keep_name_length(Walk& walk, const Item& item) {
    MessageBytes message;
    walk.saved[walk.place] = read_message(walk, item.value, message) ? message.name_length() : ~0ULL;
}

/// One that is received: where that fails, what was there before is all that counts.
inline void form_message_out(Walk& walk, const Item& item) {
    const std::uint64_t given = walk.saved[walk.place];
    MessageBytes message;
    if (given == ~0ULL || !read_message(walk, item.value, message)) return walk.address(item.value);
    if (walk.has_failed()) {
        walk.sink.begin(Shape::structure);
        walk.number("msg_namelen", low_int(given));
        return walk.sink.end();
    }
    const std::uint64_t received = walk.call.result < 0 ? 0 : static_cast<std::uint64_t>(walk.call.result);
    show_message(walk, message, BufferShow::result, received, given);
}

/// [{msg_hdr={...}, msg_len=3}]; `more`: how many.
inline void show_messages(Walk& walk, std::uint64_t address, std::uint64_t count, bool is_received) {
    const unsigned size = walk.word == 8 ? 64 : 32;
    if (address == 0) return walk.address(0);
    MessageBytes message;
    if (count > 0 && !read_message(walk, address, message)) return walk.address(address);
    walk.sink.begin(Shape::array);
    for (std::uint64_t i = 0; i < count; ++i) {
        if (i >= walk.most_bytes()) {
            walk.sink.more();
            break;
        }
        const std::uint64_t at = address + i * size;
        std::uint64_t length = 0;
        if ((i > 0 && !read_message(walk, at, message)) || !walk.read_number(at + message.size(), 4, length)) {
            walk.sink.more();
            walk.sink.note(Piece{}.hex(at).view());
            break;
        }
        walk.sink.element();
        walk.sink.begin(Shape::structure);
        walk.field("msg_hdr");
        show_message(walk, message, is_received ? BufferShow::result : BufferShow::contents,
                     is_received ? length : ~0ULL, ~0ULL);
        if (walk.is_returned()) walk.count("msg_len", length);
        walk.sink.end();
    }
    walk.sink.end();
}

/// Those that the call answers to have received.
inline void form_messages_out(Walk& walk, const Item& item) {
    show_messages(walk, item.value, walk.call.result < 0 ? 0 : static_cast<std::uint64_t>(walk.call.result), true);
}
/// Those that are sent: when it has succeeded, with how much of each.
inline void form_messages_in(Walk& walk, const Item& item) {
    show_messages(walk, item.value, item.more, false);
}

}  // namespace sysguard::supervise::render::detail
