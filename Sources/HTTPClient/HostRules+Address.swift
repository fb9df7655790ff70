import CCurl
import Glibc

extension HostRules {
    /// Why this resolved address may not be called; nil if it may. Unknown families may not.
    func refusal(_ address: UnsafePointer<sockaddr>) -> String? {
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                withUnsafeBytes(of: $0.pointee.sin_addr) { refusal(ipv4: Array($0)) }
            }
        case AF_INET6:
            address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                withUnsafeBytes(of: $0.pointee.sin6_addr) { refusal(ipv6: Array($0)) }
            }
        default: "not an internet address"
        }
    }

    /// Four bytes in network order. RFC 6890.
    func refusal(ipv4 bytes: [UInt8]) -> String? {
        switch (bytes[0], bytes[1]) {
        case (127, _), (0, _): allowsLoopback ? nil : "a loopback address"
        case (10, _), (172, 16...31), (192, 168), (100, 64...127), (169, 254), (198, 18...19),
            (224...255, _):
            allowsPrivate ? nil : "a private address"
        // 192.0.0/24 and the three nets for documentation.
        case (192, 0) where bytes[2] == 0 || bytes[2] == 2, (198, 51) where bytes[2] == 100,
            (203, 0) where bytes[2] == 113:
            allowsPrivate ? nil : "a private address"
        default: nil
        }
    }

    /// Sixteen bytes in network order. RFC 6890; what carries an IPv4 address is judged by that.
    func refusal(ipv6 bytes: [UInt8]) -> String? {
        let last = Array(bytes[12...])
        if bytes[..<10].allSatisfy({ $0 == 0 }), bytes[10] == 0xFF, bytes[11] == 0xFF {
            return refusal(ipv4: last)
        }
        if bytes[..<12].allSatisfy({ $0 == 0 }) {
            return allowsLoopback ? nil : "a loopback address"
        }
        // NAT64 and 6to4 lead to the IPv4 address inside.
        if bytes.starts(with: [0, 0x64, 0xFF, 0x9B]) { return refusal(ipv4: last) }
        if bytes.starts(with: [0x20, 0x02]) { return refusal(ipv4: Array(bytes[2..<6])) }
        // 2000::/3 is all that is public; 2001:db8::/32 is for documentation.
        let isGlobal = bytes[0] & 0xE0 == 0x20 && !bytes.starts(with: [0x20, 0x01, 0x0D, 0xB8])
        return isGlobal || allowsPrivate ? nil : "a private address"
    }
}
