import Glibc

/// Tells systemd how the service does, by datagrams to `$NOTIFY_SOCKET`. Does nothing without it.
package struct SystemdNotifier: Sendable {
    private let address: String?
    /// How often `watchdog()` is to be called: half of `$WATCHDOG_USEC`; nil without a watchdog.
    package let watchdogMilliseconds: Int64?

    package init(environment: [String: String] = Environment.all) {
        let socket = environment["NOTIFY_SOCKET"] ?? ""
        address = socket.hasPrefix("/") || socket.hasPrefix("@") ? socket : nil
        let isForUs = environment["WATCHDOG_PID"].map { $0 == String(getpid()) } ?? true
        let micros = environment["WATCHDOG_USEC"].flatMap { Int64($0) } ?? 0
        watchdogMilliseconds =
            address != nil && isForUs && micros > 0 ? max(1, micros / 2000) : nil
    }

    package func ready() { send("READY=1") }
    package func stopping() { send("STOPPING=1") }
    /// Send it from the loop that does the work, never from a timer of its own.
    package func watchdog() { send("WATCHDOG=1") }
    /// One line for `systemctl status`.
    package func status(_ text: String) {
        send("STATUS=" + text.replacing(text: "\n", with: " "))
    }
    /// Then `ready()` once the new configuration is in force.
    package func reloading() { send("RELOADING=1") }

    private func send(_ message: String) {
        guard let address else { return }
        var target = sockaddr_un()
        target.sun_family = sa_family_t(AF_UNIX)
        var path = Array(address.utf8)
        guard path.count < MemoryLayout.size(ofValue: target.sun_path) else { return }
        // `@` stands for the zero byte that begins a name in the abstract namespace.
        if path[0] == UInt8(ascii: "@") { path[0] = 0 }
        withUnsafeMutableBytes(of: &target.sun_path) { $0.copyBytes(from: path) }
        let length = socklen_t(
            MemoryLayout.offset(of: \sockaddr_un.sun_path).map { $0 + path.count } ?? 0)
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(message.utf8)
        withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                // systemd going away is not the service's trouble.
                _ = sendto(
                    descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), pointer, length)
            }
        }
    }
}

/// The process's environment.
package enum Environment {
    package static var all: [String: String] {
        var values: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { values[String(parts[0])] = String(parts[1]) }
            entry += 1
        }
        return values
    }
}
