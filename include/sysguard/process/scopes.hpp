#pragma once

namespace sysguard {

/// What a worker may do to nobody but itself and what it has started (Landlock, Linux 6.12). What it is refused fails
/// with EPERM.
struct Scopes {
    /// Connecting or sending to abstract sockets (unix(7)) that others have made. Socket files are not held by this,
    /// nor are sockets that the worker is given connected.
    bool abstract_sockets = false;

    /// Signals to others: kill(2) and its kin, and those that a file descriptor sends (F_SETOWN).
    bool signals = false;
};

}  // namespace sysguard
