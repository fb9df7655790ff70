import Glibc
import Service
import Web

/// Whether the operator's server can be reached at all, step by step.
enum Reachability {
    struct Trouble: Hashable, Sendable {
        var what: String
        var mend: String
    }

    static let patienceMilliseconds: Int32 = 3000

    /// nil if a connection to the server's port is taken.
    static func trouble(of url: String) async -> Trouble? {
        guard let place = WebSocketURL.place(url) else {
            return Trouble(what: "is no address", mend: "csms.url begins with wss:// or ws://")
        }
        let addresses = await Resolver.addresses(of: place.host)
        guard !addresses.isEmpty else {
            return Trouble(
                what: "the name \(place.host) is not known",
                mend: "check network and name server: getent hosts \(place.host)")
        }
        var last = ""
        for address in addresses.prefix(2) {
            guard let why = refusal(address, place.port) else { return nil }
            last = "\(address) port \(place.port): \(why)"
        }
        return Trouble(what: last, mend: "check the network, the firewall and the port in csms.url")
    }

    private static func refusal(_ address: String, _ port: Int) -> String? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(address, String(port), &hints, &found) == 0, let found else {
            return "is no address"
        }
        defer { freeaddrinfo(found) }
        let kind = Int32(SOCK_STREAM.rawValue) | O_NONBLOCK | O_CLOEXEC
        let descriptor = socket(found.pointee.ai_family, kind, 0)
        guard descriptor >= 0 else { return String(cString: strerror(errno)) }
        defer { close(descriptor) }
        if connect(descriptor, found.pointee.ai_addr, found.pointee.ai_addrlen) == 0 { return nil }
        guard errno == EINPROGRESS else { return String(cString: strerror(errno)) }
        var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard poll(&wait, 1, patienceMilliseconds) > 0 else { return "no answer" }
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
        return code == 0 ? nil : String(cString: strerror(code))
    }
}
