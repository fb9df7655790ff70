import Glibc
import Service

/// Names to addresses, off every loop: libwebsockets would block its thread in `getaddrinfo`.
package enum Resolver {
    /// Numeric addresses in the system's order of preference; empty if there are none.
    package static func addresses(of host: String) async -> [String] {
        // No name server has a say in this name, and a machine without a hosts file knows it too.
        // RFC 6761 §6.3.
        let name = host.lowercased()
        if name == "localhost" || name.hasSuffix(".localhost") { return ["127.0.0.1", "::1"] }
        return await withCheckedContinuation { continuation in
            // One thread for each look-up: they are as rare as connection attempts, and one that
            // hangs in a dead name server must not hold up the others.
            _ = NativeThread.start("resolve", stackBytes: 256 << 10) {
                continuation.resume(returning: look(up: host))
            }
        }
    }

    private static func look(up host: String) -> [String] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var first: UnsafeMutablePointer<addrinfo>?
        // ADDRCONFIG leaves out loopback-only families, which a test machine may have nothing else of.
        if getaddrinfo(host, nil, &hints, &first) != 0 {
            hints.ai_flags = 0
            guard getaddrinfo(host, nil, &hints, &first) == 0 else { return [] }
        }
        defer { freeaddrinfo(first) }
        var found: [String] = []
        var next = first
        while let entry = next?.pointee {
            var text = [CChar](repeating: 0, count: 64)
            let status = getnameinfo(
                entry.ai_addr, entry.ai_addrlen, &text, socklen_t(text.count), nil, 0,
                NI_NUMERICHOST)
            if status == 0 {
                let name = String(
                    decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
                if !found.contains(name) { found.append(name) }
            }
            next = entry.ai_next
        }
        return found
    }
}
